"""OpenAI and compatible servers: forwarded as it is, but for what the catalogue knows to be refused."""

import copy
import json

import pytest

from aura.call import Model
from aura.catalogue import ORDINARY, unknown
from aura.errors import BadRequest
from aura.providers import openai
from aura.settings import ProviderSettings, Secret

USER = {"role": "user", "content": "Hello"}
REASONING = Model(
    "gpt-5",
    known=True,
    capabilities=frozenset(
        {"tools", "json_schema", "reasoning", "max_completion_tokens", "developer_role", "streaming"}
    ),
)
ORDINARY_MODEL = Model("gpt-4o", known=True, capabilities=ORDINARY)


def provider(**settings):
    return openai.provider(ProviderSettings(settings.pop("name", "openai"), "openai", **settings))


def sent(model, **body):
    request, translation = provider(api_key=Secret("k")).request({"model": "auto", "messages": [USER], **body}, model)
    return json.loads(request.body), translation.dropped


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "a.b"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "a" * 65}}]}, "tools[0].function.name"),
        ({"functions": [{"name": "f"}, {"name": "a/b"}]}, "functions[1].name"),
    ],
)
def test_a_name_that_openai_refuses_is_not_sent_there_but_to_servers_that_take_it(fields, param):
    """Another provider of the plan may take it: Anthropic's grammar rewrites it, compatible servers take more."""
    with pytest.raises(BadRequest) as refused:
        sent(ORDINARY_MODEL, **fields)
    compatible = provider(base_url="http://localhost/v1").request({"messages": [USER], **fields}, ORDINARY_MODEL)

    assert param == refused.value.param
    assert fields.items() <= json.loads(compatible[0].body).items()


def test_the_longest_name_that_openai_takes_is_sent():
    body, _ = sent(ORDINARY_MODEL, tools=[{"type": "function", "function": {"name": "a" * 64}}])

    assert body["tools"][0]["function"]["name"] == "a" * 64


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("", "https://api.openai.com/v1/chat/completions"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1/chat/completions"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1/chat/completions"),
        ("https://host/openai/v1beta/openai", "https://host/openai/v1beta/openai/chat/completions"),
    ],
)
def test_the_address_is_the_configured_one(base_url, url):
    assert url == provider(base_url=base_url).request({"messages": [USER]}, unknown("m"))[0].url


@pytest.mark.parametrize(
    ("key", "header"), [("sk-1", "Bearer sk-1"), (" sk-1\n", "Bearer sk-1"), ("none", None), ("None", None), ("", None)]
)
def test_a_key_of_none_sends_no_authorization(key, header):
    headers = provider(api_key=Secret(key)).request({"messages": [USER]}, unknown("m"))[0].headers

    assert header == headers.get("authorization")


def test_the_operators_headers_stand_above_our_own():
    made = provider(api_key=Secret("k"), headers={"Authorization": "Custom x", "X-Title": "aura"})

    headers = made.request({"messages": [USER]}, unknown("m"))[0].headers

    assert (headers["authorization"], headers["x-title"]) == ("Custom x", "aura")
    assert sum(name.lower() == "authorization" for name in headers) == 1


def test_what_the_catalogue_does_not_know_is_forwarded_untouched():
    body = {
        "temperature": 0.1,
        "max_tokens": 5,
        "reasoning_effort": "high",
        "top_k": 3,
        "messages": [{"role": "developer", "content": "x"}],
        "response_format": {"type": "json_schema", "json_schema": {}},
    }

    request, translation = provider(base_url="http://localhost/v1").request(body, unknown("m"))
    assert ({"model": "m", **body}, []) == (json.loads(request.body), translation.dropped)


def test_a_reasoning_model_gets_the_limit_under_the_name_it_takes():
    assert sent(REASONING, max_tokens=5) == ({"model": "gpt-5", "messages": [USER], "max_completion_tokens": 5}, [])


def test_the_newer_limit_stands_where_both_were_sent():
    body, _ = sent(REASONING, max_tokens=5, max_completion_tokens=7)

    assert (body["max_completion_tokens"], "max_tokens" in body) == (7, False)


def test_a_reasoning_model_is_spared_sampling_and_the_client_is_told():
    knobs = {
        "temperature": 0.2,
        "top_p": 0.5,
        "presence_penalty": 1,
        "logprobs": True,
        "top_logprobs": 2,
        "stop": ["x"],
    }

    body, dropped = sent(REASONING, **knobs)

    assert {"model", "messages"} == set(body)
    assert set(knobs) == set(dropped)


def test_a_value_that_asks_for_nothing_is_left_out_without_a_note():
    assert sent(REASONING, temperature=1, top_p=1.0, frequency_penalty=0) == (
        {"model": "gpt-5", "messages": [USER]},
        [],
    )


def test_an_ordinary_model_is_spared_the_reasoning_effort():
    body, dropped = sent(ORDINARY_MODEL, reasoning_effort="high", temperature=0.2, max_tokens=5)

    assert body == {"model": "gpt-4o", "messages": [USER], "temperature": 0.2, "max_tokens": 5}
    assert dropped == ["reasoning_effort"]


def test_a_reasoning_model_keeps_its_effort():
    assert sent(REASONING, reasoning_effort="high")[0]["reasoning_effort"] == "high"


def test_developer_becomes_system_where_the_role_is_unknown():
    older = Model("gpt-3.5-turbo", known=True, capabilities=ORDINARY - {"developer_role"})

    body, _ = sent(older, messages=[{"role": "developer", "content": "x"}, USER])

    assert body["messages"] == [{"role": "system", "content": "x"}, USER]


def test_the_older_function_grammar_is_forwarded():
    functions = {"functions": [{"name": "f", "parameters": {}}], "function_call": {"name": "f"}}

    body, _ = sent(ORDINARY_MODEL, **functions)

    assert functions == {key: body[key] for key in functions}


@pytest.mark.parametrize("model", [REASONING, ORDINARY_MODEL, unknown("m")])
def test_the_clients_body_is_never_changed(model):
    body = {
        "model": "auto",
        "messages": [{"role": "developer", "content": "x"}],
        "max_tokens": 5,
        "temperature": 0,
        "stream": True,
        "reasoning_effort": "low",
    }
    untouched = copy.deepcopy(body)
    made = provider()

    assert made.request(body, model) == made.request(body, model)
    assert untouched == body


@pytest.mark.parametrize(
    ("model", "streams"), [(REASONING, True), (Model("o1", known=True), False), (unknown("m"), True)]
)
def test_whether_a_model_streams_is_the_catalogues_word(model, streams):
    assert streams is provider().streams(model)


HISTORY = [
    USER,
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "x"}],
        "tool_calls": [
            {"id": "chatcmpl-tool-" + "0" * 32, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "chatcmpl-tool-" + "0" * 32, "content": "1"},
]


@pytest.mark.parametrize(("base_url", "model"), [("", unknown("gpt-next")), ("http://localhost/v1", ORDINARY_MODEL)])
def test_x2_another_servers_history_is_made_to_fit(base_url, model):
    request, _ = provider(base_url=base_url).request({"messages": HISTORY}, model)

    _, said, result = json.loads(request.body)["messages"]
    assert {"role", "content", "tool_calls"} == set(said)
    assert said["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) <= 40


def test_x2_a_compatible_server_gets_the_history_as_it_is():
    request, _ = provider(base_url="http://localhost/v1").request({"messages": HISTORY}, unknown("qwen3"))

    assert json.loads(request.body)["messages"] == HISTORY
