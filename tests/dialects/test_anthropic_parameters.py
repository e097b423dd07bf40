"""Parameters, JSON and thinking to Anthropic's. The names of the tests are those of the translation cases."""

import json
from dataclasses import replace

import pytest

from aura.call import Model
from aura.catalogue import unknown
from aura.dialects.anthropic.request import SAFE_MAX_TOKENS
from aura.dialects.anthropic.schemas import constrained
from aura.errors import BadRequest

from .anthropic_wire import ADAPTIVE, BUDGET, OLD, USER, call, calling, function, result, sent

UNKNOWN = unknown("claude-next")
FIXED = replace(ADAPTIVE, name="claude-opus-4-6", capabilities=ADAPTIVE.capabilities - {"effort_xhigh"} | {"sampling"})
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}


# Limits and sampling


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        (OLD, 4096),
        (BUDGET, 64000),
        (ADAPTIVE, 128000),
        pytest.param(UNKNOWN, SAFE_MAX_TOKENS, id="nothing is known: what every model takes"),
    ],
)
def test_a48_without_max_tokens_the_models_own_limit_is_sent(model, limit):
    assert sent(model).body["max_tokens"] == limit


def test_a48_the_models_own_limit_leaves_room_for_the_prompt():
    """Prompt and max_tokens together must fit the window of some models."""
    model = replace(BUDGET, context_window=200_000)
    long = {"role": "user", "content": "word " * 120_000}
    limit = sent(model, messages=[long]).body["max_tokens"]

    assert 1024 <= limit < 50_000
    assert sent(model).body["max_tokens"] == 64000
    assert sent(model, messages=[long], max_tokens=60_000).body["max_tokens"] == 60_000


def test_a48_more_than_the_model_can_is_brought_down_to_it():
    assert sent(OLD, max_tokens=100_000).body["max_tokens"] == 4096
    assert sent(UNKNOWN, max_tokens=100_000).body["max_tokens"] == 100_000


@pytest.mark.parametrize(
    "body", [{"max_tokens": 9}, {"max_completion_tokens": 9}, {"max_tokens": 8, "max_completion_tokens": 9}]
)
def test_a49_max_completion_tokens_is_the_newer_name(body):
    assert sent(**body).body["max_tokens"] == 9


@pytest.mark.parametrize(
    ("stop", "sequences"),
    [
        ("END", ["END"]),
        (["a", "b"], ["a", "b"]),
        (["\n", " ", "", "x\n"], ["x\n"]),
        ("\n", None),
        ([], None),
        (None, None),
    ],
)
def test_a50_stop(stop, sequences):
    assert sent(stop=stop).body.get("stop_sequences") == sequences


@pytest.mark.parametrize(("given", "told"), [(0, 0), (0.7, 0.7), (1, 1), (1.7, 1), (2, 1), (-0.5, 0)])
def test_a51_temperature_ends_at_one(given, told):
    request = sent(temperature=given)

    assert request.body["temperature"] == told
    assert request.dropped == []


def test_a52_a_model_that_refuses_sampling_gets_none_and_the_client_is_told():
    request = sent(ADAPTIVE, temperature=0.2, top_p=0.5, top_k=5)

    assert not {"temperature", "top_p", "top_k"} & request.body.keys()
    assert request.dropped == ["temperature", "top_p", "top_k"]


def test_a52_what_asks_for_nothing_is_left_out_in_silence():
    assert sent(ADAPTIVE, temperature=1, top_p=1).dropped == []


@pytest.mark.parametrize(
    ("body", "told", "dropped"),
    [
        ({"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3}, ["top_p"]),
        ({"temperature": 0.3, "top_p": 1}, {"temperature": 0.3}, []),
        ({"temperature": 1, "top_p": 0.5}, {"top_p": 0.5}, []),
        ({"top_p": 0.5}, {"top_p": 0.5}, []),
    ],
)
def test_a53_not_both_temperature_and_top_p_where_that_is_refused(body, told, dropped):
    request = sent(BUDGET, **body)

    assert {key: request.body[key] for key in ("temperature", "top_p") if key in request.body} == told
    assert request.dropped == dropped


def test_a53_both_where_the_model_takes_both():
    body = sent(OLD, temperature=0.3, top_p=0.5).body

    assert (body["temperature"], body["top_p"]) == (0.3, 0.5)


def test_a54_top_k_passes():
    assert sent(top_k=5).body["top_k"] == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("frequency_penalty", 0.5),
        ("presence_penalty", 0.5),
        ("logit_bias", {"50256": -100}),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("seed", 7),
        ("store", True),
        ("prediction", {"type": "content", "content": "x"}),
        ("something_new", 1),
    ],
)
def test_a55_a_knob_that_anthropic_lacks_is_dropped_aloud(key, value):
    request = sent(**{key: value})

    assert request.dropped == [key]
    assert key not in request.body


@pytest.mark.parametrize(
    "body",
    [
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "logprobs": False, "store": False, "n": 1},
        {"seed": None, "n": None, "modalities": ["text"], "stream_options": {"include_usage": True}, "aura": {}},
    ],
)
def test_a55_a_knob_that_asks_for_nothing_is_dropped_in_silence(body):
    assert sent(**body).dropped == []


@pytest.mark.parametrize(
    ("body", "param"),
    [({"n": 2}, "n"), ({"modalities": ["text", "audio"]}, "modalities"), ({"audio": {"voice": "x"}}, "modalities")],
)
def test_a55_another_kind_of_answer_is_refused(body, param):
    with pytest.raises(BadRequest) as refused:
        sent(**body)

    assert refused.value.param == param


@pytest.mark.parametrize(
    ("body", "metadata", "dropped"),
    [
        ({"user": "u-123"}, {"user_id": "u-123"}, []),
        ({"user": "12345678901"}, {"user_id": "12345678901"}, []),
        ({"safety_identifier": "h4sh"}, {"user_id": "h4sh"}, []),
        ({"metadata": {"user_id": "m"}, "user": "u"}, {"user_id": "m"}, []),
        ({"user": "ann@example.com"}, None, ["user"]),
        ({"user": "+49 431 12345"}, None, ["user"]),
        ({"user": "x" * 300}, None, ["user"]),
        ({"metadata": {"ticket": "7"}}, None, ["metadata"]),
        ({"user": ""}, None, []),
    ],
)
def test_a56_user_becomes_the_users_id_unless_it_names_a_person(body, metadata, dropped):
    request = sent(**body)

    assert request.body.get("metadata") == metadata
    assert request.dropped == dropped


@pytest.mark.parametrize(
    ("tier", "told", "dropped"),
    [
        ("auto", "auto", []),
        ("priority", "auto", []),
        ("default", "standard_only", []),
        ("standard_only", "standard_only", []),
        ("flex", "standard_only", ["service_tier"]),
        ("gold", None, ["service_tier"]),
        ({}, None, ["service_tier"]),
        (None, None, []),
    ],
)
def test_a57_service_tier(tier, told, dropped):
    request = sent(service_tier=tier)

    assert request.body.get("service_tier") == told
    assert request.dropped == dropped


def test_a1_the_betas_that_the_client_names_are_sent():
    assert sent(anthropic_beta=["one-2025", "two-2025", "one-2025"]).headers == {"anthropic-beta": "one-2025,two-2025"}
    assert sent(anthropic_beta="one-2025, bad\r\nheader: x").headers == {"anthropic-beta": "one-2025"}
    assert sent().headers == {}


def test_anthropics_own_parameters_pass():
    own = {"cache_control": {"type": "ephemeral"}, "container": "c", "inference_geo": "eu", "speed": "fast"}

    assert own.items() <= sent(**own).body.items()


@pytest.mark.parametrize("stream", [True, False, None])
def test_stream_is_said_where_it_is_wanted(stream):
    assert sent(stream=stream).body.get("stream") == (True if stream else None)


# JSON


SCHEMA = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 0, "maximum": 150, "description": "In years."},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 9},
        "when": {"type": "string", "format": "date"},
        "mail": {"type": ["string", "null"], "format": "idn-email"},
        "kind": {"oneOf": [{"type": "string"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["age"],
    "$defs": {"tag": {"type": ["string", "integer"], "enum": ["a", 1]}},
}
TAKEN = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "description": "In years. (minimum: 0, maximum: 150)"},
        "name": {"type": "string", "description": '(pattern: "^[a-z]+$", maxLength: 9)'},
        "when": {"type": "string", "format": "date"},
        "mail": {"anyOf": [{"type": "string", "description": '(format: "idn-email")'}, {"type": "null"}]},
        "kind": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "tags": {
            "type": "array",
            "items": {"$ref": "#/$defs/tag"},
            "minItems": 1,
            "description": "(maxItems: 3)",
        },
    },
    "required": ["age"],
    "additionalProperties": False,
    "$defs": {"tag": {"enum": ["a", 1]}},
}
FREE = {"type": "object", "additionalProperties": {"type": "string"}}
TREE = {
    "type": "object",
    "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
}


def json_schema(schema, **more):
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **more}}


@pytest.mark.parametrize("model", [ADAPTIVE, UNKNOWN, Model("claude-next")])
def test_a58_a_schema_is_enforced_where_the_model_does_that(model):
    body = sent(model, response_format=json_schema(SCHEMA)).body

    assert body["output_config"] == {"format": {"type": "json_schema", "schema": TAKEN}}
    assert "tools" not in body


@pytest.mark.parametrize(
    "schema",
    [
        FREE,
        TREE,
        {"type": "object"},
        {"type": "array"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
        {"type": "object", "properties": {"a": {"not": {"type": "string"}}}},
    ],
)
def test_a58_a_schema_that_cannot_be_enforced_goes_by_a_tool(schema):
    body = sent(ADAPTIVE, response_format=json_schema(schema)).body

    assert constrained(schema) is None
    assert "output_config" not in body
    assert [tool["name"] for tool in body["tools"]] == ["json_tool_call"]


def test_a58_a_hostile_schema_takes_no_time():
    """Every definition is followed once, however often it is meant."""
    twice = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(25)}
    schema = {"$ref": "#/$defs/d0", "$defs": {**twice, "d25": {"type": "null"}}}
    deep = {"type": "null"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}

    assert constrained(schema) == schema
    assert constrained(deep) is None


def test_a58_an_effort_and_a_schema_share_their_parameter():
    body = sent(ADAPTIVE, response_format=json_schema(TAKEN), reasoning_effort="low").body

    assert body["output_config"].keys() == {"effort", "format"}


def test_a59_an_older_model_answers_through_a_forced_tool():
    request = sent(OLD, response_format=json_schema(SCHEMA, description="A person."))

    assert request.body["tools"] == [
        {"name": "json_tool_call", "description": "Takes the answer. A person.", "input_schema": SCHEMA}
    ]
    assert request.body["tool_choice"] == {
        "type": "tool",
        "name": "json_tool_call",
        "disable_parallel_tool_use": True,
    }


def test_a59_beside_the_clients_tools_one_of_all_must_be_called():
    body = sent(OLD, response_format=json_schema(SCHEMA), tools=[function()]).body

    assert [tool["name"] for tool in body["tools"]] == ["get_weather", "json_tool_call"]
    assert body["tool_choice"] == {"type": "any"}


def test_a59_a_tool_that_the_client_forces_goes_first():
    body = sent(OLD, response_format=json_schema(SCHEMA), tools=[function()], tool_choice="required").body

    assert [tool["name"] for tool in body["tools"]] == ["get_weather"]


def test_a59_tools_that_the_client_forbids_stay_forbidden():
    body = sent(OLD, response_format=json_schema(SCHEMA), tools=[function()], tool_choice="none").body

    assert body["tool_choice"]["name"] == "json_tool_call"


def test_a59_the_name_of_a_clients_tool_is_not_taken():
    body = sent(OLD, response_format=json_schema(SCHEMA), tools=[function("json_tool_call")]).body

    assert [tool["name"] for tool in body["tools"]] == ["json_tool_call", "json_tool_call_"]


def test_a59_an_answer_that_is_no_object_is_wrapped_for_the_way():
    schema = {"type": "array", "items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"type": "string"}}}
    told = sent(OLD, response_format=json_schema(schema)).body["tools"][0]["input_schema"]

    assert told == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"$ref": "#/$defs/x"}}},
        "required": ["value"],
        "$defs": {"x": {"type": "string"}},
    }


@pytest.mark.parametrize("model", [OLD, ADAPTIVE])
@pytest.mark.parametrize("wanted", [{"type": "json_object"}, json_schema(None), json_schema({})])
def test_a61_a_json_object_is_asked_for_in_the_system_text(model, wanted):
    body = sent(model, response_format=wanted, messages=[{"role": "system", "content": "Be brief."}, USER]).body

    assert body["system"][0]["text"] == "Be brief."
    assert "JSON" in body["system"][1]["text"]
    assert "tools" not in body


def test_a62_nothing_is_forced_while_the_model_thinks():
    request = sent(BUDGET, response_format=json_schema(SCHEMA), reasoning_effort="low")

    assert request.body["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert "tool_choice" not in request.body
    assert "json_tool_call" in request.body["system"]
    assert request.dropped == []


def test_a62_forbidden_tools_are_not_offered_beside_an_answer_that_is_not_forced():
    body = sent(
        BUDGET, response_format=json_schema(SCHEMA), reasoning_effort="low", tools=[function()], tool_choice="none"
    ).body

    assert [tool["name"] for tool in body["tools"]] == ["json_tool_call"]


@pytest.mark.parametrize("wanted", [{"type": "text"}, None])
def test_text_is_the_usual_answer(wanted):
    assert not {"system", "tools", "output_config"} & sent(response_format=wanted).body.keys()


@pytest.mark.parametrize("wanted", [{"type": "xml"}, {"type": "json_schema"}, "json", {}])
def test_what_is_no_format_is_refused(wanted):
    with pytest.raises(BadRequest) as refused:
        sent(response_format=wanted)

    assert refused.value.param == "response_format"


def test_anthropics_own_format_passes():
    own = {"type": "json_schema", "schema": {"type": "object"}}

    assert sent(output_format=own).body["output_config"] == {"format": own}
    assert sent(output_config={"format": own, "effort": "low"}).body["output_config"] == {
        "format": own,
        "effort": "low",
    }


# Thinking


@pytest.mark.parametrize(
    ("effort", "budget"),
    [("minimal", 1024), ("low", 1024), ("medium", 2048), ("high", 4096), ("xhigh", 8192), ("max", 16384)],
)
@pytest.mark.parametrize("form", ["reasoning_effort", "reasoning"])
def test_a63_an_effort_becomes_a_budget(effort, budget, form):
    request = sent(BUDGET, **{form: effort if form == "reasoning_effort" else {"effort": effort}})

    assert request.body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert request.dropped == []


@pytest.mark.parametrize(
    ("model", "effort", "told"),
    [
        (ADAPTIVE, "minimal", "low"),
        (ADAPTIVE, "medium", "medium"),
        (ADAPTIVE, "xhigh", "xhigh"),
        (ADAPTIVE, "max", "max"),
        (FIXED, "xhigh", "high"),
    ],
)
def test_a63_newer_models_think_as_they_see_fit(model, effort, told):
    body = sent(model, reasoning_effort=effort).body

    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": told}


@pytest.mark.parametrize(
    ("model", "told"), [(BUDGET, {"type": "disabled"}), (ADAPTIVE, {"type": "disabled"}), (OLD, None)]
)
def test_a63_none_switches_it_off(model, told):
    request = sent(model, reasoning_effort="none")

    assert request.body.get("thinking") == told
    assert request.dropped == []


@pytest.mark.parametrize("model", [OLD, UNKNOWN])
def test_a63_a_model_that_is_not_known_to_think_is_not_asked_to(model):
    request = sent(model, reasoning_effort="high")

    assert "thinking" not in request.body
    assert request.dropped == ["reasoning_effort"]


@pytest.mark.parametrize(
    ("model", "given", "told", "dropped"),
    [
        (BUDGET, {"type": "enabled", "budget_tokens": 3000}, {"type": "enabled", "budget_tokens": 3000}, []),
        (UNKNOWN, {"type": "adaptive"}, {"type": "adaptive"}, []),
        (ADAPTIVE, {"type": "enabled", "budget_tokens": 3000}, {"type": "adaptive"}, []),
        (BUDGET, {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 4096}, []),
        (OLD, {"type": "enabled", "budget_tokens": 3000}, None, ["thinking"]),
        (OLD, {"type": "disabled"}, None, []),
        (ADAPTIVE, {"type": "disabled"}, {"type": "disabled"}, []),
    ],
)
def test_a63_the_clients_own_thinking_takes_the_form_of_the_model(model, given, told, dropped):
    request = sent(model, thinking=given)

    assert request.body.get("thinking") == told
    assert request.dropped == dropped


@pytest.mark.parametrize(
    ("model", "body", "limit", "budget"),
    [
        pytest.param(BUDGET, {"reasoning_effort": "high", "max_tokens": 500}, 4596, 4096, id="raised"),
        pytest.param(BUDGET, {"reasoning_effort": "high", "max_tokens": 5000}, 5000, 4096, id="room enough"),
        pytest.param(
            BUDGET,
            {"thinking": {"type": "enabled", "budget_tokens": 9}, "max_tokens": 5000},
            5000,
            1024,
            id="too small",
        ),
        pytest.param(
            replace(BUDGET, max_output=8192), {"reasoning_effort": "max"}, 8192, 4096, id="as far as the model goes"
        ),
        pytest.param(
            UNKNOWN, {"thinking": {"type": "enabled", "budget_tokens": 10_000}}, 14096, 10_000, id="unknown model"
        ),
    ],
)
def test_a64_the_budget_lies_between_1024_and_max_tokens(model, body, limit, budget):
    told = sent(model, **body).body

    assert (told["max_tokens"], told["thinking"]["budget_tokens"]) == (limit, budget)


def test_a64_a_model_without_room_does_not_think():
    request = sent(replace(BUDGET, max_output=1024), reasoning_effort="low")

    assert "thinking" not in request.body
    assert request.dropped == ["reasoning_effort"]


@pytest.mark.parametrize("model", [BUDGET, FIXED])
def test_a65_thinking_excludes_other_sampling(model):
    request = sent(model, reasoning_effort="low", temperature=0.2, top_p=0.5, top_k=5)

    assert request.body["thinking"]["type"] != "disabled"
    assert not {"temperature", "top_p", "top_k"} & request.body.keys()
    assert request.dropped == ["temperature", "top_p", "top_k"]


def test_a65_what_thinking_allows_is_kept():
    body = sent(BUDGET, reasoning_effort="low", top_p=0.97).body

    assert body["top_p"] == 0.97


CALLED = [USER, calling(call("f"))]


@pytest.mark.parametrize(
    ("model", "messages", "thinks"),
    [
        pytest.param(BUDGET, [*CALLED, result()], False, id="a call without thinking"),
        pytest.param(
            BUDGET, [USER, calling(call("f"), thinking_blocks=[SIGNED]), result()], True, id="a call with thinking"
        ),
        pytest.param(
            BUDGET,
            [*CALLED, result(), {"role": "assistant", "content": "Sunny."}, USER],
            True,
            id="the calls are of an earlier turn",
        ),
        pytest.param(ADAPTIVE, [*CALLED, result()], True, id="adaptive thinking does without"),
    ],
)
def test_a68_thinking_is_off_where_the_calling_turn_did_not_begin_with_it(model, messages, thinks):
    request = sent(model, messages=messages, tools=[function("f")], reasoning_effort="low")

    assert ("thinking" in request.body) == thinks
    assert request.dropped == ([] if thinks else ["reasoning_effort"])


@pytest.mark.parametrize("model", [BUDGET, ADAPTIVE])
def test_a69_how_thinking_is_shown_is_the_clients_to_say(model):
    assert "display" not in sent(model, reasoning_effort="low").body["thinking"]
    given = {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}
    assert sent(model, thinking=given).body["thinking"]["display"] == "omitted"


def test_the_request_is_json_of_the_target_alone():
    told = json.loads(json.dumps(sent(fallbacks=["x/y"], aura={"tier": "eco"}).body))

    assert told == {
        "model": "claude-3-haiku",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }
