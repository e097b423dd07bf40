"""A chat request's fields: types, ranges, names that would steer the gateway."""

import copy
import random

import orjson
import pytest

from aura import strict_json
from aura.api import schemas
from aura.api.checking import faults
from aura.errors import BadRequest

HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
# Every value of another kind; each field refuses those that are not its own.
KINDS = {
    "true": True,
    "integer": 5,
    "decimal": 1.5,
    "text": "x",
    "empty text": "",
    "array": [],
    "array of null": [None],
    "array of arrays": [[{}]],
    "object": {},
}
NUMBERS = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}
INTEGERS = {
    "max_tokens": (1, 2**31 - 1),
    "max_completion_tokens": (1, 2**31 - 1),
    "n": (1, 128),
    "top_logprobs": (0, 20),
    "seed": (-(2**63), 2**63 - 1),
}
FLAGS = ["stream", "logprobs", "parallel_tool_calls", "store"]
TEXTS = ["user", "reasoning_effort", "verbosity", "service_tier", "prompt_cache_key", "safety_identifier"]
OBJECTS = ["metadata", "audio", "prediction", "web_search_options", "provider", "aura"]
# Of these values, those that each field takes.
TAKEN = {
    **{name: {"integer"} for name in INTEGERS},
    **{name: {"integer", "decimal"} for name in NUMBERS},
    **{name: {"true"} for name in FLAGS},
    **{name: {"text", "empty text"} for name in TEXTS},
    **{name: {"object"} for name in (*OBJECTS, "logit_bias")},
    **{name: set() for name in ("tools", "functions", "tool_choice", "function_call")},
    **{name: set() for name in ("response_format", "stream_options", "messages")},
    "model": {"text"},
    "stop": {"text", "empty text"},
    "modalities": {"array"},
    "fallbacks": {"array"},
}
WRONG_KINDS = [(name, kind) for name, taken in TAKEN.items() for kind in KINDS if kind not in taken]
RIGHT_KINDS = [(name, kind) for name, taken in TAKEN.items() for kind in sorted(taken) if name not in NUMBERS]


def refusal(body: dict) -> BadRequest:
    """The error of a request that must be refused."""
    with pytest.raises(BadRequest) as caught:
        schemas.check_chat(body)
    return caught.value


def test_every_declared_field_has_a_rule_here():
    assert set(schemas.SCHEMA.fields) == set(TAKEN)


@pytest.mark.parametrize(("name", "kind"), WRONG_KINDS)
def test_a_value_of_another_kind_is_refused_and_never_coerced(name, kind):
    error = refusal({**HELLO, name: KINDS[kind]})

    # An array is blamed for what it holds, but for messages: there each is counted.
    assert error.param == ("messages[0]" if name == "messages" and kind.startswith("array of") else name)


@pytest.mark.parametrize(("name", "kind"), RIGHT_KINDS)
def test_a_value_of_the_right_kind_is_accepted(name, kind):
    schemas.check_chat({**HELLO, name: KINDS[kind]})


@pytest.mark.parametrize("name", sorted(set(TAKEN) - {"model", "messages", "provider", "fallbacks", "aura"}))
def test_a_parameter_may_be_null_as_it_may_be_left_out(name):
    schemas.check_chat({**HELLO, name: None})


@pytest.mark.parametrize("name", ["model", "messages", "provider", "fallbacks", "aura"])
def test_what_the_gateway_reads_itself_may_not_be_null(name):
    assert refusal({**HELLO, name: None}).param == name


@pytest.mark.parametrize("name", ["model", "messages"])
def test_what_is_needed_is_named_when_it_is_missing(name):
    error = refusal({key: value for key, value in HELLO.items() if key != name})

    assert (error.param, error.message) == (name, f"'{name}' is missing.")


@pytest.mark.parametrize(("name", "limits"), (NUMBERS | INTEGERS).items())
def test_a_range_includes_its_ends_and_nothing_beyond(name, limits):
    step = 1 if name in INTEGERS else 0.01
    low, high = limits
    for value in limits:
        schemas.check_chat({**HELLO, name: value})
    for value in (low - step, high + step, -(10**15) * 10**5, 2**64 - 1):
        error = refusal({**HELLO, name: value})

        assert error.param == name
        assert error.message == f"'{name}' must lie between {low} and {high}."


@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_is_written_without_a_point(name):
    assert "must be an integer, not a decimal number" in refusal({**HELLO, name: 5.0}).message


@pytest.mark.parametrize("value", [0, 1, 1.0, 0.7])
def test_a_number_may_be_written_as_an_integer(value):
    schemas.check_chat({**HELLO, "temperature": value})


MODELS = [
    "auto",
    "gpt-4",
    "eco",
    "claude-3-5-sonnet-20241022",
    "llama3:8b",
    "anthropic/claude-3-haiku-20240307",
    "openrouter/meta-llama/llama-3.1-8b-instruct:free",
    "cloudflare/@cf/meta/llama-3",
    "ft:gpt-4o-mini-2024-07-18:acme::abc",
    "m" * 128,
]
NO_MODELS = [
    "",
    "m" * 129,
    "../../etc/passwd",
    "a/../b",
    "a//b",
    "/a",
    "a/",
    "..%2fadmin",
    "gpt-4o?x=1",
    "gpt-4o#x",
    "gpt-4o\n",
    "gpt 4",
    "gpt-4\u043e",
    "\u200b",
    "\u0661",
    "-x",
    "http://127.0.0.1/",
    "{{7*7}}",
    "<script>",
    "a\\b",
]


@pytest.mark.parametrize("model", MODELS)
def test_a_models_name_has_a_form(model):
    schemas.check_chat({**HELLO, "model": model})


@pytest.mark.parametrize("model", NO_MODELS)
def test_what_has_not_the_form_of_a_model_is_refused_without_repeating_it(model):
    error = refusal({**HELLO, "model": model})

    assert error.param == "model"
    assert not model.strip() or model not in error.message


STEERING = [*sorted(schemas.STEERING), "litellm_params", "litellm_", "aura_tenant", "__proto__", "__class__", "__"]


@pytest.mark.parametrize("name", STEERING)
@pytest.mark.parametrize("value", [None, "http://127.0.0.1:9/", {}])
def test_a_name_that_would_steer_the_gateway_is_refused(name, value):
    error = refusal({**HELLO, name: value})

    assert (error.status, error.param) == (400, name)
    assert "127" not in error.message


def test_steering_is_refused_first_whatever_else_is_wrong():
    assert refusal({"temperature": "x", "api_base": "x"}).param == "api_base"


def test_a_steering_name_is_repeated_only_in_part():
    error = refusal({**HELLO, "__" + "x" * 100_000: 1})

    assert error.param == "__" + "x" * 62
    assert len(error.message) < 200


def test_unknown_fields_pass_whatever_they_hold():
    schemas.check_chat({**HELLO, "top_k": "x", "a.b": [1, {"api_base": None}], "model.x": 1, "": None, "thinking": {}})


ACCEPTED = [
    {"provider": {"order": ["a"], "allow_fallbacks": False}},
    {"fallbacks": ["openai/gpt-4o", "anthropic/claude-3-haiku-20240307"]},
    {"aura": {"tier": "premium", "anything": 1}},
    {"stop": ["a", "b", "c", "d"]},
    {"stop": [""]},
    {"logit_bias": {"50256": -100, "1": 100, "2": 0.5}},
    {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": None, "x": 1}},
    {"stream": True, "stream_options": {}},
    {"stream": False, "stream_options": None},
    {"modalities": ["text", "audio"]},
    {"metadata": {"a": "b", "c": {"d": 1}}},
]
REFUSED = [
    ({"provider": "openai"}, "provider"),
    ({"fallbacks": "openai/gpt-4o"}, "fallbacks"),
    ({"fallbacks": [{"model": "x", "api_base": "http://evil"}]}, "fallbacks"),
    ({"fallbacks": ["openai/gpt-4o", 1]}, "fallbacks"),
    ({"fallbacks": ["openai/gpt-4o", "http://evil"]}, "fallbacks[1]"),
    ({"fallbacks": ["a/b"] * 17}, "fallbacks"),
    ({"stop": []}, "stop"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"stop": ["a", 1]}, "stop"),
    ({"logit_bias": {"a b": 1}}, "logit_bias"),
    ({"logit_bias": {"\u0661": 1}}, "logit_bias"),
    ({"logit_bias": {"1": 101}}, "logit_bias.1"),
    ({"logit_bias": {"1": -100.5}}, "logit_bias.1"),
    ({"logit_bias": {"1": True}}, "logit_bias.1"),
    ({"logit_bias": {"1": "1"}}, "logit_bias.1"),
    ({"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias"),
    ({"stream_options": {}}, "stream_options"),
    ({"stream": False, "stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": None, "stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ({"modalities": ["text", "smell"]}, "modalities"),
    ({"modalities": [["text"]]}, "modalities"),
]


@pytest.mark.parametrize("fields", ACCEPTED)
def test_a_field_of_the_right_form_is_accepted(fields):
    schemas.check_chat({**HELLO, **fields})


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_a_field_of_a_wrong_form_is_refused_by_its_path(fields, param):
    error = refusal({**HELLO, **fields})

    assert (error.status, error.param, error.type) == (400, param, "invalid_request_error")
    assert error.message.startswith(f"'{param}' ")


FULL = {
    **HELLO,
    "messages": [
        {"role": "system", "content": "be short"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:x"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ],
    "temperature": 0.5,
    "max_tokens": 10,
    "stop": ["a"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": False}},
    "logit_bias": {"1": 1},
    "metadata": {"a": "b"},
    "fallbacks": ["a/b"],
    "top_k": 3,
}
STRANGE = [
    *KINDS.values(),
    None,
    False,
    -1,
    10**18,
    "x" * 200,
    "function",
    {"type": "function"},
    {"a": {"b": 1}},
    "__x",
]


def mutated(source: random.Random) -> dict:
    """A copy of a whole request with one to three places changed, left out or added."""
    body = copy.deepcopy(FULL)
    for _ in range(source.choice((1, 1, 2, 3))):
        place = body
        while True:
            key = source.choice(list(place)) if isinstance(place, dict) else source.randrange(len(place))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or source.random() < 0.3:
                break
            place = inner
        change = source.random()
        if change < 0.6:
            place[key] = copy.deepcopy(source.choice(STRANGE))
        elif change < 0.8 and len(place) > 1:
            del place[key]
        elif isinstance(place, dict):
            place[source.choice(("x", "role", "name", "cache", "audio", "tool_calls", "__x"))] = source.choice(STRANGE)
        else:
            place.append(copy.deepcopy(inner))
    return body


def test_mutated_requests_are_accepted_or_refused_but_never_fail():
    """The quick way says what marshmallow says, and neither changes the client's dict."""
    source = random.Random(7)
    refused = 0
    for _ in range(4000):
        body = mutated(source)
        before = orjson.dumps(body)
        try:
            schemas.check_chat(strict_json.loads(before))
            schemas.check_chat(body)
            found = None
        except BadRequest as error:
            found = error
            refused += 1

        assert (found is None) == (not faults(schemas.SCHEMA, body)), body
        assert before == orjson.dumps(body)
        assert found is None or (found.param and len(found.message) < 300 and "x" * 70 not in found.message)
    assert 1000 < refused < 3900


def test_an_accepted_request_never_needs_marshmallow(monkeypatch):
    """Its own walk over a request takes longer than all the rest of reading it."""
    monkeypatch.setattr(schemas.SCHEMA, "validate", lambda body: pytest.fail("the slow way was taken"))

    schemas.check_chat(FULL)
    schemas.check_chat({**HELLO, "temperature": None, "user": "u"})


def test_the_refused_names_are_the_documented_ones():
    expected = (
        "api_base, base_url, api_key, api_version, azure_endpoint, deployment_id, organization, custom_llm_provider, "
        "headers, extra_headers, extra_body, timeout, stream_timeout, verify, cert, proxies, hooks, cache, "
        "mock_response, constructor"
    )

    assert set(expected.split(", ")) == schemas.STEERING
