"""From Messages requests to canonical bodies. The names of the tests are those of the translation cases."""

import copy
import json
import random
from contextlib import suppress

import pytest

from aura.catalogue import unknown
from aura.dialects import anthropic, ollama, openai
from aura.dialects.anthropic.messages import NO_RESULT
from aura.dialects.anthropic.names import long_names, name_in
from aura.dialects.anthropic.turns import BESIDE
from aura.dialects.beyond import KEY
from aura.errors import BadRequest

from .anthropic_wire import ADAPTIVE, BUDGET

CACHED = {"type": "ephemeral"}
USER = {"role": "user", "content": "Hi"}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
CLOSED = {**CITY, "required": ["city"], "additionalProperties": False}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
FOREIGN = {"type": "thinking", "thinking": "Hm.", "signature": ""}
HIDDEN = {"type": "redacted_thinking", "data": "ZGF0YQ=="}


def text(said, **more):
    return {"type": "text", "text": said, **more}


def used(name="weather", key="toolu_1", **given):
    return {"type": "tool_use", "id": key, "name": name, "input": given}


def result(content="sunny", key="toolu_1", **more):
    return {"type": "tool_result", "tool_use_id": key, "content": content, **more}


def said(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def asked(*blocks):
    return {"role": "user", "content": list(blocks)}


def both(**body):
    """The canonical body and what is lost with it; what the client sent stays as it was."""
    body = {"model": "auto", "max_tokens": 100, "messages": [USER], **body}
    before = copy.deepcopy(body)
    found = anthropic.request_in(body)

    assert before == body, "the client's body is never changed"
    json.dumps(found)
    return found


def canonical(**body):
    return both(**body)[0]


def plain(**body):
    """What a provider of OpenAI's grammar is sent."""
    return openai.request_out(canonical(**body), unknown("m")).body


def messages(*turns, **body):
    return canonical(messages=list(turns), **body)["messages"]


def parts(*blocks):
    return messages(asked(*blocks))[0]["content"]


def only(**body):
    return canonical(**body)[KEY]["only"]


def refused(**body):
    with pytest.raises(BadRequest) as error:
        both(**body)
    return error.value.param


# System and turns


@pytest.mark.parametrize(
    ("system", "content"),
    [
        ("Be brief.", "Be brief."),
        ([text("Be brief.")], "Be brief."),
        ([text("Be"), text("brief.")], [text("Be"), text("brief.")]),
        ([text("Be", cache_control=CACHED)], [text("Be", cache_control=CACHED)]),
    ],
)
def test_inbound_system_text_becomes_the_first_message(system, content):
    assert canonical(system=system)["messages"] == [{"role": "system", "content": content}, USER]


@pytest.mark.parametrize("system", [None, "", [], [text("")]])
def test_inbound_an_empty_system_text_is_no_message(system):
    assert canonical(system=system)["messages"] == [USER]


def test_inbound_system_text_in_mid_conversation_stays_where_it_is():
    told = messages(USER, {"role": "system", "content": "Now French."}, said(text("Oui.")), USER)

    assert [message["role"] for message in told] == ["user", "system", "assistant", "user"]


def test_inbound_texts_of_an_assistant_are_joined():
    assert messages(USER, said(text("On"), text("e.")))[1] == {"role": "assistant", "content": "One."}


def test_inbound_a_call_and_its_result_become_messages():
    told = messages(USER, said(text("Look."), used(city="Rome")), asked(result()))

    call = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    assert told[1] == {"role": "assistant", "content": "Look.", "tool_calls": [call]}
    assert told[2] == {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"}


def test_inbound_results_follow_their_calls_in_their_order_before_what_is_said():
    calls = said(used(key="a"), used(key="b"))
    told = messages(USER, calls, asked(result("2", "b"), text("So?"), result("1", "a")))

    assert [(m["role"], m.get("content")) for m in told[2:]] == [("tool", "1"), ("tool", "2"), ("user", "So?")]


@pytest.mark.parametrize(
    ("turns", "content"),
    [
        ([asked(text("Never mind."))], NO_RESULT),
        ([], NO_RESULT),
        ([asked(result("first"), result("last"))], "last"),
        ([asked(result("first")), asked(result("last"))], "last"),
        ([asked(result("other", key="toolu_9"), result("mine"))], "mine"),
    ],
)
def test_inbound_every_call_has_one_result_and_every_result_its_call(turns, content):
    told = messages(USER, said(used()), *turns)

    assert [message["content"] for message in told if message["role"] == "tool"] == [content]


def test_inbound_a_result_may_hold_blocks_and_be_an_error():
    told = messages(USER, said(used()), asked(result([text("a"), text("b")], is_error=True, cache_control=CACHED)))

    assert told[2]["content"] == "a\n\nb"
    assert told[2]["is_error"] is True
    assert told[2]["cache_control"] == CACHED


def test_inbound_a_picture_in_a_result_follows_in_a_message_of_the_users():
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
    told = messages(USER, said(used()), asked(result([picture]), text("See?")))

    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    assert [message["role"] for message in told[2:]] == ["tool", "user", "user"]
    assert told[2]["content"] == BESIDE
    assert told[3]["content"] == [url]


def test_inbound_signed_thinking_is_kept_for_anthropic_and_unsigned_is_not():
    told = messages(USER, said(THOUGHT, HIDDEN, FOREIGN, text("Yes.")))[1]

    assert told == {"role": "assistant", "content": "Yes.", "thinking_blocks": [THOUGHT, HIDDEN]}


def test_inbound_a_turn_of_unsigned_thinking_alone_is_left_out():
    assert [m["role"] for m in messages(USER, said(FOREIGN), USER)] == ["user", "user"]


def test_inbound_interleaved_blocks_and_those_of_server_tools_are_kept_beside_the_message():
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    blocks = [text("Let me see."), search, found, text("Found.")]
    told = messages(USER, said(*blocks), USER)[1]

    assert told == {"role": "assistant", "content": "Let me see.Found.", "content_blocks": blocks}
    assert only(messages=[USER, said(*blocks), USER]) == ""


def test_inbound_what_was_kept_goes_back_to_anthropic_as_it_was():
    """A broken answer may be continued there: the canonical body holds all that it needs."""
    turns = [
        asked(text("Hi", cache_control=CACHED)),
        said(THOUGHT, text("Look."), used(city="Rome")),
        asked(result("sunny", cache_control=CACHED), text("So?")),
    ]
    body = canonical(
        messages=turns,
        system=[text("Be brief.", cache_control=CACHED)],
        tools=[{"name": "weather", "input_schema": CITY, "cache_control": CACHED}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 1024},
        max_tokens=5000,
        metadata={"user_id": "u"},
        stop_sequences=["END"],
        top_k=5,
        context_management={"edits": []},
        anthropic_beta=["context-management-2025-06-27"],
    )
    translation = anthropic.request_out(body, BUDGET)
    sent = translation.body

    assert sent["messages"] == turns
    assert sent["system"] == [text("Be brief.", cache_control=CACHED)]
    assert sent["tools"] == [{"name": "weather", "input_schema": CITY, "cache_control": CACHED}]
    assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert (sent["stop_sequences"], sent["metadata"]) == (["END"], {"user_id": "u"})
    assert sent["context_management"] == {"edits": []}
    assert translation.headers == {"anthropic-beta": "context-management-2025-06-27"}
    assert translation.dropped == ["top_k"]  # thinking excludes it


# Media


PNG = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"type": "image", "source": PNG}, [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
            [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}],
        ),
        (
            {"type": "document", "source": PDF, "title": "Plan"},
            [{"type": "file", "file": {"filename": "Plan", "file_data": "data:application/pdf;base64,JVBE"}}],
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "abc"}, "title": "T"},
            [text("<document>\nT"), text("abc"), text("</document>")],
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [text("abc")]}},
            [text("<document>"), text("abc"), text("</document>")],
        ),
        (
            {"type": "search_result", "title": "T", "source": "https://a.example", "content": [text("abc")]},
            [text("<search_result>\nT\nhttps://a.example\nabc\n</search_result>")],
        ),
    ],
    ids=["image", "image url", "pdf", "text document", "content document", "search result"],
)
def test_inbound_media_become_parts(block, told):
    assert parts(text("See:"), block) == [text("See:"), *told]
    assert only(messages=[asked(block)]) == ""


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "something_of_next_year", "x": 1},
    ],
)
def test_inbound_what_only_anthropic_reads_stays_as_it_is_and_is_noted(block):
    assert parts(text("See:"), block)[1] == block
    assert only(messages=[asked(text("See:"), block)]) == "messages.0.content.1"


def test_inbound_citations_get_lost_aloud():
    assert both(messages=[asked({"type": "document", "source": PDF, "citations": {"enabled": True}})])[1] == [
        "citations"
    ]


# Tools


def test_inbound_a_tool_becomes_a_function():
    tool = {"name": "weather", "description": "Tells it.", "input_schema": CITY, "type": "custom"}

    function = {"name": "weather", "description": "Tells it.", "parameters": CITY}
    assert canonical(tools=[tool])["tools"] == [{"type": "function", "function": function}]


@pytest.mark.parametrize(("schema", "strict"), [(CLOSED, True), (CITY, None)])
def test_inbound_a_strict_tool_is_strict_where_openai_takes_its_schema(schema, strict):
    [tool] = canonical(tools=[{"name": "weather", "input_schema": schema, "strict": True}])["tools"]

    assert tool["function"].get("strict") == strict


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "w"}, {"tool_choice": {"type": "function", "function": {"name": "w"}}}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_inbound_the_choice_of_tools(choice, told):
    body = canonical(tools=[{"name": "w", "input_schema": CITY}], tool_choice=choice)

    assert {key: body[key] for key in ("tool_choice", "parallel_tool_calls") if key in body} == told
    assert "tool_choice" not in canonical(tool_choice=choice)


@pytest.mark.parametrize("kind", ["web_search_20250305", "bash_20250124", "computer_toolset_20260801", "mcp_toolset"])
def test_inbound_tools_of_anthropics_own_are_for_anthropic_alone(kind):
    tool = {"type": kind, "name": "x"}
    body = canonical(tools=[{"name": "w", "input_schema": CITY}, tool])

    assert body["tools"][1] == tool
    assert body[KEY]["only"] == "tools.1"


def test_inbound_a_search_among_tools_gets_lost_aloud_and_all_are_offered():
    search = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    body, lost = both(tools=[search, {"name": "w", "input_schema": CITY, "defer_loading": True}])

    assert lost == ["tools.0"]
    assert body[KEY]["only"] == ""
    assert openai.request_out(body, unknown("m")).body["tools"] == [
        {"type": "function", "function": {"name": "w", "parameters": CITY}}
    ]


def test_inbound_a_long_name_is_short_for_others_and_comes_back():
    long = "mcp__" + 100 * "x"
    native = {"tools": [{"name": long, "input_schema": CITY}]}
    body = canonical(**native, messages=[USER, said(used(long)), asked(result())])
    short = body["tools"][0]["function"]["name"]

    assert len(short) == 64
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == short == name_in(long)
    assert long_names(native) == {short: long}


# Parameters


@pytest.mark.parametrize(
    ("given", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "high"),
        ({"thinking": {"type": "adaptive"}}, "medium"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "high"),
        ({"output_config": {"effort": "low"}}, "low"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({}, None),
    ],
)
def test_a106_thinking_becomes_an_effort(given, effort):
    assert canonical(**given).get("reasoning_effort") == effort
    assert "thinking" not in plain(**given)
    assert anthropic.request_out(canonical(max_tokens=50000, **given), ADAPTIVE).dropped == []


@pytest.mark.parametrize(("schema", "strict"), [(CLOSED, True), (CITY, False)])
def test_a107_the_form_of_the_answer_by_both_names(schema, strict):
    form = {"type": "json_schema", "schema": schema}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": strict}}

    assert plain(output_format=form)["response_format"] == wanted
    assert plain(output_config={"format": form, "effort": "low"})["response_format"] == wanted
    assert "output_config" not in plain(output_config={"format": form})


def test_a108_stop_sequences_become_stop_and_openai_gets_as_many_as_it_takes():
    sequences = ["1", "2", "3", "4", "5"]
    translation = openai.request_out(canonical(stop_sequences=sequences), unknown("m"))

    assert canonical(stop_sequences=["END"])["stop"] == ["END"]
    assert translation.body["stop"] == ["1", "2", "3", "4"]
    assert translation.dropped == ["stop_sequences"]
    assert ollama.request_out(canonical(stop_sequences=sequences), unknown("m")).body["options"]["stop"] == sequences


def test_inbound_the_user_is_named_as_openai_takes_it():
    short, long = canonical(metadata={"user_id": "u"}), canonical(metadata={"user_id": 130 * "u"})

    assert short["user"] == "u"
    assert len(long["user"]) <= 64
    assert "metadata" not in plain(metadata={"user_id": "u"})


@pytest.mark.parametrize(("tier", "told"), [("auto", None), ("standard_only", "default"), (None, None)])
def test_inbound_service_tiers(tier, told):
    assert plain(service_tier=tier).get("service_tier") == told


def test_inbound_top_k_is_dropped_aloud_where_the_grammar_has_none():
    out = openai.request_out(canonical(top_k=5), unknown("m"))
    local = ollama.request_out(canonical(top_k=5), unknown("m"))

    assert ("top_k" in out.body, out.dropped) == (False, ["top_k"])
    assert (local.body["options"]["top_k"], local.dropped) == (5, [])


@pytest.mark.parametrize("name", ["container", "context_management", "speed", "diagnostics"])
def test_inbound_what_only_anthropic_understands_is_dropped_aloud(name):
    for dialect in (openai, ollama):
        translation = dialect.request_out(canonical(**{name: {"x": 1}}), unknown("m"))

        assert name not in translation.body
        assert translation.dropped == [name]


@pytest.mark.parametrize("name", ["user_profile_id", "a_member_of_next_year", "n", "functions", "stop", "options"])
def test_inbound_what_nobody_knows_is_dropped_aloud_and_taken_for_nothing_else(name):
    body, lost = both(**{name: 5})

    assert name not in body
    assert lost == [name]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"mcp_servers": [{"type": "url", "url": "https://a.example"}]}, "mcp_servers"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"mcp_servers": [], "inference_geo": "global"}, ""),
    ],
)
def test_inbound_what_an_answer_depends_on_is_for_anthropic_alone(more, where):
    assert only(**more) == where


def test_inbound_nothing_of_anthropics_reaches_another_grammar():
    body = {
        "system": [text("S", cache_control=CACHED)],
        "messages": [
            asked(text("Hi", cache_control=CACHED)),
            said(THOUGHT, text("a", cache_control=CACHED), used()),
            asked(result(is_error=True, cache_control=CACHED)),
        ],
        "tools": [{"name": "weather", "input_schema": CITY, "cache_control": CACHED, "eager_input_streaming": True}],
        "cache_control": CACHED,
        "thinking": {"type": "adaptive"},
        "anthropic_beta": ["x"],
    }
    for dialect in (openai, ollama):
        sent = json.dumps(dialect.request_out(canonical(**body), unknown("m")).body)

        for word in ("cache_control", "thinking_blocks", "is_error", "eager", "anthropic", "aura", "signature"):
            assert word not in sent


# Errors


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"messages": "Hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["Hi"]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "assistant", "content": 5}]}, "messages.0.content"),
        ({"messages": [asked("x")]}, "messages.0.content.0"),
        ({"messages": [asked({})]}, "messages.0.content.0.type"),
        ({"messages": [asked({"type": "text"})]}, "messages.0.content.0.text"),
        ({"messages": [asked({"type": "image"})]}, "messages.0.content.0.source"),
        ({"messages": [asked({"type": "image", "source": {"type": "url"}})]}, "messages.0.content.0.source.url"),
        (
            {"messages": [asked({"type": "image", "source": {"type": "base64"}})]},
            "messages.0.content.0.source.media_type",
        ),
        ({"messages": [asked({"type": "tool_result"})]}, "messages.0.content.0.tool_use_id"),
        ({"messages": [said({"type": "tool_use", "id": "a", "name": "b"})]}, "messages.0.content.0.input"),
        ({"messages": [said({"type": "tool_use"})]}, "messages.0.content.0.id"),
        ({"system": 5}, "system"),
        ({"system": [{"type": "image", "source": PNG}]}, "system.0"),
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools.0"),
        ({"tools": [{"name": "x"}]}, "tools.0.input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": [{"name": "x", "input_schema": {}}], "tool_choice": {"type": "x"}}, "tool_choice.type"),
        ({"tools": [{"name": "x", "input_schema": {}}], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {}}, "thinking.type"),
        ({"output_format": {"type": "xml"}}, "output_format.type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ],
)
def test_inbound_what_is_wrong_is_named_by_its_path(body, where):
    assert refused(**body) == where


WORDS = [
    "type", "text", "content", "source", "role", "id", "name", "input", "tool_use_id", "thinking", "signature", "url",
    "data", "media_type", "title", "format", "schema", "budget_tokens", "input_schema", "properties", "required",
]  # fmt: skip
KINDS = ["text", "image", "document", "tool_use", "tool_result", "thinking", "search_result", "base64", "enabled"]
TOP = ["system", "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "stop_sequences"]


def anything(dice, depth=3):
    """Some JSON, made of the words of the grammar."""
    kind = dice.randrange(9 if depth else 6)
    if kind < 6:
        return dice.choice([None, True, 0, 7, "", "x", dice.choice(KINDS), dice.choice(KINDS)])
    if kind == 6:
        return [anything(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {dice.choice(WORDS): anything(dice, depth - 1) for _ in range(dice.randrange(5))}


def block_of(dice):
    return {"type": dice.choice(KINDS)} | {dice.choice(WORDS): anything(dice) for _ in range(dice.randrange(5))}


def body_of(dice):
    turns = []
    for _ in range(dice.randrange(1, 4)):
        blocks = [block_of(dice) for _ in range(dice.randrange(3))]
        role = dice.choice(["user", "assistant", "system"])
        turns.append({"role": role, "content": dice.choice(["x", anything(dice), blocks])})
    return {"model": "m", "max_tokens": 5, "messages": turns} | {
        dice.choice(TOP): anything(dice) for _ in range(dice.randrange(3))
    }


@pytest.mark.parametrize("seed", range(20))
def test_inbound_whatever_is_sent_is_translated_or_refused_by_its_path(seed):
    dice, translated, refusals = random.Random(seed), 0, []
    for _ in range(100):
        body = body_of(dice)
        try:
            found, _ = anthropic.request_in(body)
        except BadRequest as error:
            refusals.append(error.param)
            continue
        translated += 1
        openai.request_out(found, unknown("m"))
        anthropic.request_forward(body, BUDGET, None)
        for dialect in (ollama, anthropic):
            with suppress(BadRequest):
                dialect.request_out(found, BUDGET)

    assert translated
    assert all(refusals)
