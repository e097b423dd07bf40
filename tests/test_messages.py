"""Anthropic's door, through a real worker: what its clients see, and what providers of each grammar are asked."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from aura.dialects.anthropic.names import name_in

from .calls import Outcome, provider
from .faulty import Faulty, text
from .obedient import COUNT, Obedient, obedient
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("messages")

PROVIDERS = ("anthropic", "openai", "azure", "ollama")
KEYS = "  auth: {keys: [{name: team, key: sk-client-0123456789}]}\n"
TOOLS = [
    {"name": name, "input_schema": {"type": "object", "properties": {"asked": {"type": "string"}}}}
    for name in ("weather", "time_" + 80 * "x")
]
USER = {"role": "user", "content": "Go."}
BETA = "context-management-2025-06-27"
numbers = itertools.count()


def configured(address: str, more: str = "") -> str:
    entries = f"""
  providers:
    openai: {{base-url: "{address}/v1", api-key: test-key-1, extra-models: "*", models: {{eco: [m]}}}}
    anthropic: {{base-url: "{address}", api-key: test-key-2, extra-models: "*"}}
    azure: {{base-url: "{address}", api-key: test-key-3, extra-models: "*"}}
    ollama: {{enabled: true, base-url: "{address}", extra-models: "*"}}
"""
    return f"aura:\n  log: {{level: WARNING}}\n{more}{entries}"


@pytest.fixture(scope="module")
def _far() -> Iterator[Obedient]:
    with obedient() as server:
        yield server


@pytest.fixture(scope="module")
def server(_far: Obedient) -> Iterator[Server]:
    with gateway(configured(_far.url)) as running:
        yield running


@pytest.fixture
def far(_far: Obedient) -> Obedient:
    _far.asked.clear()
    _far.counts = True
    return _far


def send(
    server: Server, body: Any, path: str = "/v1/messages", method: str = "POST", **headers: str
) -> tuple[int, dict[str, str], Any]:
    """One request; status, headers and the JSON of the answer, or its bytes where it is a stream."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    sent = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body), sent)
    response = connection.getresponse()
    data = response.read()
    told = {name.lower(): value for name, value in response.getheaders()}
    connection.close()
    return response.status, told, json.loads(data) if "json" in told["content-type"] else data


def asking(model: str = "openai/m", **more: Any) -> dict[str, Any]:
    """A body that no other test sends."""
    return {
        "model": model,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": f"Go {next(numbers)}."}],
        **more,
    }


def sdk(server: Server, **more: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, max_retries=0, timeout=30, **({"api_key": "none"} | more))


def told(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each under the name that its type says."""
    events = []
    for part in data.decode().split("\n\n")[:-1]:
        if part.startswith(":"):
            continue
        name, line = part.split("\n")
        events.append(json.loads(line.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def message_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that events mean; their order is what Anthropic's is."""
    events = [event for event in events if event["type"] != "ping"]
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    assert events[0]["type"] == "message_start"
    message = dict(events[0]["message"])
    assert message["content"] == []
    blocks: list[dict[str, Any]] = []
    is_open, given = False, ""
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            blocks.append(dict(event["content_block"]))
            is_open, given = True, ""
        elif event["type"] == "content_block_delta":
            assert is_open
            assert event["index"] == len(blocks) - 1
            for key, value in event["delta"].items():
                if key in ("text", "thinking", "signature"):
                    blocks[-1][key] += value
            given += event["delta"].get("partial_json", "")
        else:
            assert event["type"] == "content_block_stop"
            assert event["index"] == len(blocks) - 1
            is_open = False
            if blocks[-1]["type"] == "tool_use":
                assert blocks[-1]["input"] == {}
                blocks[-1]["input"] = json.loads(given or "{}")
    assert not is_open
    usage = message["usage"] | events[-2]["usage"]
    return {**message, "content": blocks, **events[-2]["delta"], "usage": usage}


def ask(server: Server, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """A message, however it was asked for."""
    status, _, answer = send(server, body, **headers)
    assert status == 200, answer
    return message_of(told(answer)) if body.get("stream") else answer


# --- a loop of tools


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_loop_of_tools_comes_to_its_end_with_the_sdk(server, far, name, stream):
    messages: list[Any] = [USER]
    asked: dict[str, Any] = {"model": f"{name}/m{next(numbers)}", "max_tokens": 4000, "tools": TOOLS}
    if name != "ollama":
        asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    with sdk(server) as client:
        for _ in range(2):
            if stream:
                with client.messages.stream(messages=messages, **asked) as events:
                    answer = events.get_final_message()
            else:
                answer = client.messages.create(messages=messages, **asked)
            calls = [block for block in answer.content if block.type == "tool_use"]
            if not calls:
                break
            assert answer.stop_reason == "tool_use"
            assert [call.input for call in calls] == [{"asked": asks(name, call.name)} for call in calls]
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name} is well"} for call in calls
            ]
            messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]

    assert answer.stop_reason == "end_turn"
    assert answer.content[-1].text == f"They say: {TOOLS[0]['name']} is well, {TOOLS[1]['name']} is well."
    assert len(far.asked) == 2


def asks(name: str, tool: str) -> str:
    """The name that a provider knows a tool by: only Anthropic takes so long a one."""
    if name == "anthropic" or len(tool) <= 64:
        return tool
    return name_in(tool)


# --- what providers are asked


def test_anthropic_is_asked_what_the_client_asked(server, far):
    cached = {"type": "ephemeral"}
    body = asking(
        "anthropic/claude-x",
        system=[{"type": "text", "text": "Be brief.", "cache_control": cached}],
        tools=[{**TOOLS[0], "cache_control": cached}, {"type": "web_search_20250305", "name": "web_search"}],
        thinking={"type": "enabled", "budget_tokens": 1024},
        context_management={"edits": []},
        a_member_of_next_year={"a": [1, None]},
        metadata={"user_id": "u"},
        max_tokens=2000,
    )
    body["messages"] += [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}, "cache_control": cached},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True}]},
    ]
    status, headers, _ = send(server, body, anthropic_beta=BETA, x_api_key="sk-ant-clients-own")
    [(_, given, sent)] = far.asked

    assert status == 200
    assert sent == {**body, "model": "claude-x"}
    assert given["anthropic-beta"] == BETA
    assert given["x-api-key"] == "test-key-2"
    assert "x-aura-dropped" not in headers


@pytest.mark.parametrize("name", PROVIDERS[1:])
def test_another_grammar_is_asked_in_its_own_words_and_the_rest_is_named(server, far, name):
    body = asking(
        f"{name}/m",
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        context_management={"edits": []},
        metadata={"user_id": "u"},
        thinking={"type": "adaptive"},
        output_config={"effort": "low"},
    )
    _, headers, _ = send(server, body, anthropic_beta=BETA)
    [(_, given, sent)] = far.asked

    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "context_management" in headers["x-aura-dropped"]
    assert "anthropic-beta" not in given
    assert not {"system", "thinking", "output_config", "metadata", "anthropic_beta", "aura_native"} & sent.keys()
    assert "cache_control" not in json.dumps(sent)
    assert sent.get("reasoning_effort", sent.get("think")) == "low"


def test_a_history_goes_on_at_any_provider(server, far):
    """Thinking without Anthropic's signature, and ids that it refuses, come from others: it is not sent them."""
    started = ask(server, asking("openai/m", tools=TOOLS, thinking={"type": "enabled", "budget_tokens": 1024}))
    calls = [block for block in started["content"] if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "fine"} for call in calls]
    messages = [USER, {"role": "assistant", "content": started["content"]}, {"role": "user", "content": results}]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    gone_on = ask(server, asking("anthropic/m", messages=messages, tools=TOOLS, thinking=thinking, max_tokens=4000))
    sent = far.asked[-1][2]

    assert started["content"][0] == {"type": "thinking", "thinking": "Let me think.", "signature": ""}
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["tool_use", "tool_use"]
    assert "thinking" not in sent
    assert gone_on["content"][0]["text"] == "They say: fine, fine."


def test_thinking_is_shown_to_those_who_asked_for_it(server):
    """Others read the first block as the answer."""
    body = asking("openai/m", output_config={"effort": "low"})

    assert [block["type"] for block in ask(server, body)["content"]] == ["text"]
    assert [block["type"] for block in ask(server, body | {"stream": True})["content"]] == ["text"]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ({"tools": [TOOLS[0], {"type": "bash_20250124", "name": "bash"}]}, "tools.1"),
        ({"mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "m"}]}, "mcp_servers"),
        (
            {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "file_1"}]}]},
            "messages.0.content.0",
        ),
    ],
)
def test_what_only_anthropic_has_is_refused_elsewhere_by_its_path(server, far, more, where):
    status, _, answer = send(server, asking("openai/m", **more))

    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["message"].startswith(f"{where}: ")
    assert far.asked == []


def test_what_only_anthropic_has_moves_on_to_anthropic(server, far):
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    status, headers, _ = send(server, asking("eco", tools=tools, fallbacks=["anthropic/m"]))

    assert status == 200
    assert headers["x-aura-provider"] == "anthropic"


# --- the cache


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_a_stored_answer_is_told_whole_and_as_a_stream(server, far, name):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    body = asking(f"{name}/m", tools=TOOLS, thinking=thinking, max_tokens=4000)
    first = ask(server, body)
    again = send(server, body)
    streamed = send(server, body | {"stream": True})

    assert [again[1]["x-aura-cache"], streamed[1]["x-aura-cache"]] == ["hit", "hit"]
    assert again[2] == first
    assert message_of(told(streamed[2])) == first
    assert len(far.asked) == 1


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_a_streamed_answer_is_stored_too(server, far, name):
    body = asking(f"{name}/m", thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=4000, stream=True)
    first = ask(server, body)
    whole = send(server, body | {"stream": False})

    assert whole[1]["x-aura-cache"] == "hit"
    assert whole[2] == first
    assert len(far.asked) == 1


# --- errors


@pytest.mark.parametrize(
    ("body", "status", "kind", "begins"),
    [
        ({}, 400, "invalid_request_error", "model: "),
        ({"model": "auto", "messages": [USER]}, 400, "invalid_request_error", "max_tokens: "),
        ({"model": "auto", "max_tokens": 5, "messages": []}, 400, "invalid_request_error", "messages: "),
        (asking(temperature=2), 400, "invalid_request_error", "temperature: "),
        (asking(api_base="http://x"), 400, "invalid_request_error", "api_base: "),
        (asking(aura_native={}), 400, "invalid_request_error", "aura_native: "),
        (asking(messages=[{"role": "tool", "content": "x"}]), 400, "invalid_request_error", "messages.0.role: "),
        (
            asking(messages=[{"role": "user", "content": [{"type": "text"}]}]),
            400,
            "invalid_request_error",
            "messages.0.content.0.text: ",
        ),
        (asking("nobody/m"), 404, "not_found_error", "model: "),
        (b"{", 400, "invalid_request_error", ""),
        (b'{"a":"' + 21 * 1024 * 1024 * b"x" + b'"}', 413, "request_too_large", ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_are_told_in_anthropics_form(server, body, status, kind, begins):
    found, headers, answer = send(server, body)

    assert (found, answer["type"], answer["error"]["type"]) == (status, "error", kind)
    assert answer["error"].keys() == {"type", "message"}
    assert answer["error"]["message"].startswith(begins)
    assert answer["request_id"] == headers["request-id"]
    assert headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("path", "method", "status", "kind"),
    [
        ("/v1/messages", "GET", 405, "invalid_request_error"),
        ("/v1/messages/batches", "POST", 404, "not_found_error"),
        ("/v1/models/none", "GET", 404, "not_found_error"),
    ],
)
def test_paths_and_methods_that_are_not_there_are_told_in_anthropics_form(server, path, method, status, kind):
    found, headers, answer = send(server, asking(), path, method)

    assert (found, answer["error"]["type"]) == (status, kind)
    assert headers["request-id"] == answer["request_id"]


@pytest.mark.parametrize("name", ["anthropic", "openai"])
@pytest.mark.parametrize("at", ["anthropic-beta", "betas", "anthropic_beta"])
def test_more_betas_than_any_request_needs_are_refused(server, far, name, at):
    """They all go in one header, which must not grow with what a client sends."""
    betas = [f"a-beta-{number}" for number in range(65)]
    if at == "anthropic-beta":
        status, _, answer = send(server, asking(f"{name}/m"), anthropic_beta=",".join(betas))
    else:
        status, _, answer = send(server, asking(f"{name}/m", **{at: betas}))

    assert status == 400
    assert answer["error"]["message"] == "betas: must name at most 64 betas, not 65"
    assert far.asked == []


def test_a_beta_that_is_no_name_is_refused(server, far):
    status, _, answer = send(server, asking("anthropic/m"), anthropic_beta="a b")

    assert status == 400
    assert answer["error"]["message"].startswith("anthropic-beta: ")
    assert far.asked == []


def test_the_clients_own_key_is_taken_by_both_names(far):
    with gateway(configured(far.url, KEYS)) as server:
        for headers in ({"x_api_key": "sk-client-0123456789"}, {"authorization": "Bearer sk-client-0123456789"}):
            assert send(server, asking(), **headers)[0] == 200
        for headers in ({}, {"x_api_key": "sk-other"}, {"authorization": "Bearer sk-other"}):
            status, _, answer = send(server, asking(), **headers)

            assert (status, answer["error"]["type"]) == (401, "authentication_error")
        status, _, answer = send(server, asking(), "/v1/chat/completions", x_api_key="sk-client-0123456789")

        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        with sdk(server, api_key="sk-client-0123456789") as client:
            assert client.messages.count_tokens(model="eco", messages=[USER]).input_tokens > 0
            assert "eco" in [model.id for model in client.models.list()]


# --- counting


def test_tokens_are_counted_by_anthropic_where_the_plan_has_it(server, far):
    body = asking("anthropic/m", system="Be brief.", temperature=1, stream=True)
    status, headers, answer = send(server, body, "/v1/messages/count_tokens")
    [(path, _, sent)] = far.asked

    assert (status, answer) == (200, {"input_tokens": COUNT})
    assert path == "/v1/messages/count_tokens"
    assert sent == {"model": "m", "messages": body["messages"], "system": "Be brief."}
    assert "x-aura-estimated" not in headers


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_tokens_are_estimated_where_nobody_counts_them_and_that_is_said(server, far, name):
    far.counts = False
    body = asking(f"{name}/m{next(numbers)}", messages=[{"role": "user", "content": "word " * 1000}])
    del body["max_tokens"]
    status, headers, answer = send(server, body, "/v1/messages/count_tokens")

    assert status == 200
    assert 900 < answer["input_tokens"] < 1600
    assert headers["x-aura-estimated"] == "true"


# --- models


def test_models_are_listed_in_anthropics_form_a_page_at_a_time(server):
    with sdk(server) as client:
        names = [model.id for model in client.models.list(limit=2)]
        first = client.models.list(limit=2)
        found = client.models.retrieve(names[0])

    assert len(names) > 3
    assert first.has_more
    assert [first.first_id, first.last_id] == names[:2]
    assert (found.id, found.type) == (names[0], "model")


# --- streams that break


@pytest.fixture(scope="module")
def broken() -> Iterator[tuple[Server, Faulty, Faulty]]:
    with Faulty() as first, Faulty() as second:
        config = "aura:\n  log: {level: WARNING}\n  providers:\n"
        for name, at in (("first", first), ("second", second)):
            config += provider(name, at.url) + provider(f"{name}-claude", at.url, kind="anthropic")
            config += provider(f"{name}-llama", at.url, kind="ollama")
        with gateway(config) as server:
            yield server, first, second


def outcome_of(server: Server, body: dict[str, Any]) -> Outcome:
    outcome = Outcome()
    outcome.status, outcome.headers, outcome.body = send(server, body)
    return outcome


KINDS = ("", "-claude", "-llama")


@pytest.mark.parametrize("after", [1, 3, 6])
@pytest.mark.parametrize("goes_on", KINDS)
@pytest.mark.parametrize("begins", KINDS)
def test_a_broken_stream_goes_on_in_one_message(broken, begins, goes_on, after):
    server, first, _ = broken
    first.next.append(f"cut:after:{after}")
    nonce = f"n{next(numbers)}"
    body = asking(f"first{begins}/m{nonce}", stream=True, messages=[{"role": "user", "content": f"{nonce} tell me"}])
    outcome = outcome_of(server, body | {"fallbacks": [f"second{goes_on}/m"]})
    message = message_of(told(outcome.body))

    assert "".join(block["text"] for block in message["content"]) == text(nonce)
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["output_tokens"] >= 12
    assert any(f"continued by second{goes_on}/m" in comment for comment in outcome.comments)


@pytest.mark.parametrize("begins", KINDS)
def test_a_broken_stream_that_nobody_goes_on_with_ends_in_one_error(broken, begins):
    server, first, _ = broken
    first.next.extend(["cut:after:4", "status:code:500", "status:code:500"])
    body = asking(f"first{begins}/m{next(numbers)}", stream=True)
    outcome = outcome_of(server, body)
    first.next.clear()
    events = told(outcome.body)

    assert [event["type"] for event in events].count("error") == 1
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["type"] == "api_error"
    assert events[-1]["request_id"] == outcome.headers["request-id"]
    assert "message_stop" not in [event["type"] for event in events]


def test_a_failure_before_content_is_not_seen(broken):
    server, first, _ = broken
    first.next.append("status:code:529")
    body = asking(f"first-claude/m{next(numbers)}", stream=True, fallbacks=["second/m"])
    outcome = outcome_of(server, body)

    assert message_of(told(outcome.body))["stop_reason"] == "end_turn"
    assert outcome.headers["x-aura-provider"] == "second"
