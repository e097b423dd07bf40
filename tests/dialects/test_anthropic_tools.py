"""Tools, media and parts to Anthropic's. The names of the tests are those of the translation cases."""

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.catalogue import unknown
from aura.dialects.anthropic.messages import DOCUMENT
from aura.dialects.anthropic.tools import DUMMY, Names, id_out
from aura.errors import BadRequest

from .anthropic_wire import ADAPTIVE, BUDGET, OLD, USER, answered, call, calling, function, result, sent, text, turns

EMPTY = {"type": "object", "properties": {}}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CACHED = {"type": "ephemeral"}
PDF = base64.b64encode(b"%PDF-1.4").decode()


def tools(*given, model=OLD, **body):
    return sent(model, tools=list(given), **body).body["tools"]


def refused(**body):
    with pytest.raises(BadRequest) as error:
        sent(**body)
    return error.value.param


# Tools


def test_a21_a_function_becomes_a_tool():
    told = function(description="Tells the weather.", parameters=CITY)

    assert tools(told) == [{"name": "get_weather", "description": "Tells the weather.", "input_schema": CITY}]


@pytest.mark.parametrize("told", [function(), function(parameters={}), function(parameters=None, description=None)])
def test_a22_a_function_without_parameters_takes_an_empty_object(told):
    assert tools(told) == [{"name": "get_weather", "input_schema": EMPTY}]


def test_a23_a_schema_without_a_type_is_an_objects():
    told = function(parameters={"properties": {"a": {"type": "string"}}})

    assert tools(told)[0]["input_schema"] == {"type": "object", "properties": {"a": {"type": "string"}}}


def test_a24_a_schema_is_kept_whole():
    schema = {
        "type": "object",
        "properties": {"who": {"$ref": "#/$defs/person"}, "age": {"type": "integer", "minimum": 0}},
        "additionalProperties": False,
        "$defs": {"person": {"type": "string", "pattern": "^[a-z]+$"}},
    }

    assert tools(function(parameters=schema))[0]["input_schema"] == schema


@pytest.mark.parametrize("name", ["get.weather", "weather/get now", "wetter für heute", "x" * 200, "天気"])
def test_a25_a_name_is_made_fit_and_mapped_back(name):
    request = sent(tools=[function(name)], messages=[USER, calling(call(name)), result()])
    told = request.body["tools"][0]["name"]

    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", told)
    assert request.body["messages"][1]["content"][0]["name"] == told
    back = answered({"type": "tool_use", "id": "t", "name": told, "input": {}}, request=request, stop="tool_use")
    assert back["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == name


@given(st.lists(st.text(min_size=1, max_size=140), unique=True, max_size=8))
def test_a25_different_names_stay_different(names):
    table = Names()
    told = [table.out(name) for name in names]

    assert len(set(told)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name) for name in told)
    assert [table.changed().get(name, name) for name in told] == names


def test_a25_a_good_name_keeps_itself_though_another_becomes_like_it():
    assert [tool["name"] for tool in tools(function("a.b"), function("a_b"))][1] == "a_b"


STRICT = {**CITY, "additionalProperties": False}


def test_a26_strict_is_kept_where_the_model_enforces_schemas():
    request = sent(ADAPTIVE, tools=[function(parameters=STRICT, strict=True)])

    assert request.body["tools"] == [{"name": "get_weather", "input_schema": STRICT, "strict": True}]
    assert request.dropped == []


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        pytest.param(OLD, STRICT, id="the model enforces nothing"),
        pytest.param(ADAPTIVE, EMPTY, id="the schema leaves the keys to the model"),
    ],
)
def test_a26_strict_is_dropped_aloud_where_it_cannot_be(model, parameters):
    request = sent(model, tools=[function(parameters=parameters, strict=True)])

    assert "strict" not in request.body["tools"][0]
    assert request.body["tools"][0]["input_schema"] == parameters
    assert request.dropped == ["strict"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"city": "Rome", "area": 1, "b": [2]}', '{"city": "Rome", "area": 1, "b": [2]}'),
        ("", "{}"),
        (" \n", "{}"),
        (None, "{}"),
        ({"z": 1, "a": 2}, '{"z": 1, "a": 2}'),
        ('{"broken": ', '{"arguments": "{\\"broken\\": "}'),
        ("[1, 2]", '{"arguments": [1, 2]}'),
        ('"text"', '{"arguments": "text"}'),
        ("NaN", '{"arguments": "NaN"}'),
    ],
)
def test_a27_tool_call_arguments_become_an_object_and_keep_their_order(arguments, expected):
    blocks = turns(USER, calling(call("f", arguments)), result(), tools=[function("f")])[1]["content"]

    assert json.dumps(blocks[0]["input"]) == expected


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"function": {"name": "f", "arguments": 5}}, "messages[1].tool_calls[0].function.arguments"),
        ({"function": {"arguments": "{}"}}, "messages[1].tool_calls[0]"),
        ("f", "messages[1].tool_calls[0]"),
    ],
)
def test_a27_what_is_no_call_is_refused(told, param):
    assert refused(messages=[USER, calling(told)]) == param


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_a29_different_ids_stay_different(one, other):
    assert (id_out(one) == id_out(other)) == (one == other)


@pytest.mark.parametrize("offered", [{}, {"tools": []}, {"tools": None}])
def test_a35_a_history_with_calls_comes_with_a_tool_that_is_not_called(offered):
    body = sent(messages=[USER, calling(call("f")), result()], **offered).body

    assert body["tools"] == [DUMMY]
    assert body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"type": "tool", "name": "get_weather"}),
        ({"type": "any"}, {"type": "any"}),
    ],
)
def test_a36_tool_choice(choice, expected):
    assert sent(tools=[function()], tool_choice=choice).body.get("tool_choice") == expected


@pytest.mark.parametrize(("mode", "kind"), [("auto", "auto"), ("required", "any")])
def test_a36_allowed_tools_leave_the_others_out(mode, kind):
    only = {"mode": mode, "tools": [{"type": "function", "function": {"name": "b"}}]}
    body = sent(tools=[function("a"), function("b")], tool_choice={"type": "allowed_tools", "allowed_tools": only}).body

    assert [tool["name"] for tool in body["tools"]] == ["b"]
    assert body["tool_choice"] == {"type": kind}


@pytest.mark.parametrize("choice", ["auto", "required", "none"])
def test_a36_a_choice_without_tools_is_left_out(choice):
    assert "tool_choice" not in sent(tool_choice=choice).body


@pytest.mark.parametrize(
    "choice",
    [
        "sometimes",
        5,
        {"type": "function", "function": {"name": "other"}},
        {"type": "function"},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "other"}}]}},
    ],
)
def test_a36_a_choice_of_what_is_not_offered_is_refused(choice):
    assert refused(tools=[function()], tool_choice=choice) == "tool_choice"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"type": "any", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
    ],
)
def test_a37_no_parallel_calls(choice, expected):
    told = sent(tools=[function()], tool_choice=choice, parallel_tool_calls=False).body["tool_choice"]

    assert told == expected


def test_a37_without_tools_nothing_is_said():
    assert "tool_choice" not in sent(parallel_tool_calls=False).body


def test_a38_a_forced_tool_stands_above_thinking():
    request = sent(BUDGET, tools=[function()], tool_choice="required", reasoning_effort="high")

    assert request.body["tool_choice"] == {"type": "any"}
    assert "thinking" not in request.body
    assert request.dropped == ["reasoning_effort"]


def test_a38_an_effort_that_is_told_apart_from_thinking_stays():
    request = sent(ADAPTIVE, tools=[function()], tool_choice="required", reasoning_effort="high")

    assert "thinking" not in request.body
    assert request.body["output_config"] == {"effort": "high"}
    assert request.dropped == []


def test_a40_web_search_options_become_the_web_search_tool():
    place = {"type": "approximate", "approximate": {"country": "DE", "city": "Kiel", "region": None}}
    request = sent(web_search_options={"user_location": place, "search_context_size": "high"})

    assert request.body["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "user_location": {"type": "approximate", "city": "Kiel", "country": "DE"},
        }
    ]
    assert request.dropped == ["web_search_options.search_context_size"]


def test_a40_anthropics_own_tools_pass_as_they_are():
    own = [{"type": "bash_20250124", "name": "bash"}, {"name": "f", "input_schema": CITY, "cache_control": CACHED}]

    assert tools(*own) == own


def test_cache_control_stays_on_a_tool():
    assert tools({**function(), "cache_control": CACHED})[0]["cache_control"] == CACHED


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ([{"type": "custom", "custom": {"name": "f"}}], "tools[0]"),
        ([function("f"), {"type": "web_search", "name": "x"}], "tools[1].type"),
        ([5], "tools[0]"),
        ([function("")], "tools[0]"),
        ([function("f", parameters="x")], "tools[0].function.parameters"),
        ("f", "tools"),
    ],
)
def test_what_is_no_tool_is_refused(told, param):
    assert refused(tools=told) == param


# Media


def blocks(*parts, model=OLD):
    return turns({"role": "user", "content": list(parts)}, model=model)[0]["content"]


def image(url, **more):
    return {"type": "image_url", "image_url": {"url": url, **more}}


def file(**told):
    return {"type": "file", "file": told}


@pytest.mark.parametrize("url", ["https://example.com/a.png", "http://example.com/a.png", "HTTPS://example.com/a"])
def test_a41_the_address_of_an_image(url):
    assert blocks(image(url)) == [{"type": "image", "source": {"type": "url", "url": url}}]


@pytest.mark.parametrize(
    ("url", "media_type"),
    [
        ("data:image/png;base64,iVBO", "image/png"),
        ("data:image/jpg;base64,iVBO", "image/jpeg"),
        ("DATA:IMAGE/WEBP;BASE64,iVBO", "image/webp"),
        ("data:image/gif;charset=utf-8;name=a.gif;base64,iVBO", "image/gif"),
    ],
)
def test_a42_a_data_url_becomes_base64(url, media_type):
    source = {"type": "base64", "media_type": media_type, "data": "iVBO"}

    assert blocks(image(url)) == [{"type": "image", "source": source}]


def test_a43_detail_is_left_out_and_cache_control_is_kept():
    part = {**image("https://example.com/a.png", detail="high"), "cache_control": CACHED}

    source = {"type": "url", "url": "https://example.com/a.png"}
    assert blocks(part) == [{"type": "image", "source": source, "cache_control": CACHED}]


NOTE = base64.b64encode("Grüße".encode()).decode()


@pytest.mark.parametrize(
    ("part", "source", "title"),
    [
        pytest.param(
            file(filename="a.pdf", file_data=f"data:application/pdf;base64,{PDF}"),
            {"type": "base64", "media_type": "application/pdf", "data": PDF},
            "a.pdf",
            id="a PDF as data URL",
        ),
        pytest.param(
            file(file_data=PDF),
            {"type": "base64", "media_type": "application/pdf", "data": PDF},
            None,
            id="bare base64",
        ),
        pytest.param(
            file(file_data="https://example.com/a.pdf"),
            {"type": "url", "url": "https://example.com/a.pdf"},
            None,
            id="an address",
        ),
        pytest.param(
            file(filename="a.txt", file_data=NOTE),
            {"type": "text", "media_type": "text/plain", "data": "Grüße"},
            "a.txt",
            id="a text by its ending",
        ),
        pytest.param(
            file(file_data=f"data:text/markdown;base64,{NOTE}"),
            {"type": "text", "media_type": "text/plain", "data": "Grüße"},
            None,
            id="a text by its type",
        ),
        pytest.param(
            file(file_data="data:text/plain,a%20b"),
            {"type": "text", "media_type": "text/plain", "data": "a b"},
            None,
            id="a text that is not base64",
        ),
        pytest.param(file(file_id="file_01"), {"type": "file", "file_id": "file_01"}, None, id="Anthropic's own id"),
        pytest.param(
            image(f"data:application/pdf;base64,{PDF}"),
            {"type": "base64", "media_type": "application/pdf", "data": PDF},
            None,
            id="a PDF among the images",
        ),
    ],
)
def test_a44_a_file_becomes_a_document(part, source, title):
    told = blocks(text("Read."), part)[1]

    assert told == {"type": "document", "source": source, **({"title": title} if title else {})}


def test_a44_a_file_that_is_an_image_becomes_one():
    assert blocks(file(filename="a.png", file_data="iVBO"))[0]["type"] == "image"


def test_a44_an_id_of_anthropics_asks_for_the_beta_it_needs():
    request = sent(messages=[{"role": "user", "content": [file(file_id="file_01")]}])

    assert request.headers == {"anthropic-beta": "files-api-2025-04-14"}


def test_a45_a_document_has_a_text_beside_it():
    assert blocks(file(file_data=PDF))[1:] == [text(DOCUMENT)]
    assert blocks(file(file_data=PDF), text("Read."))[1:] == [text("Read.")]


def test_a46_audio_is_refused_by_its_place():
    part = {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}
    with pytest.raises(BadRequest, match="audio") as error:
        sent(messages=[USER, {"role": "user", "content": [text("Listen."), part]}])

    assert error.value.param == "messages[1].content[1]"


@pytest.mark.parametrize(
    "part",
    [
        image("ftp://example.com/a.png"),
        image("file:///etc/passwd"),
        image("data:image/png,raw"),
        image("data:image/png;base64,"),
        image("data:image/tiff;base64,iVBO"),
        image(5),
        {"type": "image_url"},
        {"type": "file"},
        file(),
        file(file_id="file-abc"),
        file(filename="a.txt", file_data="not base64!"),
        file(file_data=f"data:application/zip;base64,{PDF}"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_its_place(part):
    assert refused(messages=[USER, {"role": "user", "content": [text("Look."), part]}]) == "messages[1].content[1]"


def test_anthropics_own_blocks_pass_as_they_are():
    own = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "citations": {}}

    assert blocks(own, text("Read.")) == [own, text("Read.")]


def test_a_model_that_nothing_is_known_of_gets_the_same_tools():
    assert tools(function(), model=unknown("claude-next")) == tools(function())
