"""Recorded traffic of the four providers, replayed on loopback, read by OpenAI's SDK through a real worker.

The recordings are no part of the project; they lie in a folder ``shared`` beside the checkout, or nowhere.
What a recording means is read here by its own few lines, not by the dialects that are under test.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from .server import Server, gateway

TRAFFIC = Path(__file__).resolve().parent.parent.parent / "shared" / "traffic"
pytestmark = pytest.mark.skipif(
    not (TRAFFIC / "replay.py").is_file(), reason="the recorded traffic (../shared/traffic) is not beside this checkout"
)
DOORS = {"chat": None, "messages": "anthropic", "api_chat": "ollama"}


def exchanges() -> list[dict[str, Any]]:
    """All recorded chat exchanges."""
    found = []
    for file in sorted((TRAFFIC / "exchanges").glob("*.json")):
        item = json.loads(file.read_text(encoding="utf-8"))
        if item["case"].split(".")[0] in DOORS:
            found.append(item)
    return found


EXCHANGES = exchanges() if TRAFFIC.is_dir() else []


@pytest.fixture(scope="module")
def replay() -> Iterator[str]:
    """The replay server; its address."""
    command = [sys.executable, str(TRAFFIC / "replay.py"), str(TRAFFIC / "exchanges"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


def configuration(address: str, **headers: str) -> str:
    """Four providers at the replay server."""
    told = json.dumps(headers)
    return f"""
aura:
  log: {{level: WARNING}}
  providers:
    openai: {{base-url: "{address}/v1", api-key: test-key-1, extra-models: "*", headers: {told}}}
    anthropic: {{base-url: "{address}", api-key: test-key-2, extra-models: "*", headers: {told}}}
    azure: {{base-url: "{address}", api-key: test-key-3, extra-models: "*", headers: {told}}}
    ollama: {{enabled: true, base-url: "{address}", extra-models: "*", headers: {told}}}
"""


@pytest.fixture(scope="module")
def served(replay: str) -> Iterator[Server]:
    with gateway(configuration(replay)) as server:
        yield server


def client(server: Server) -> openai.OpenAI:
    quick = openai.DefaultHttpxClient(verify=False)  # no certificates are read for it
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60, http_client=quick)


# --- what a recording means


def meaning(item: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The choices of an answer: text, tool calls, finish reason; usage under -1."""
    door = item["case"].split(".")[0]
    events = list(events_of(item["response"]))
    if door == "messages":
        return anthropic_meaning(events)
    return ollama_meaning(events) if door == "api_chat" else openai_meaning(events)


def events_of(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects of an answer, whole or streamed."""
    if "raw_stream" not in response:
        yield response["body"]
        return
    for line in response["raw_stream"].replace("\r\n", "\n").split("\n"):
        text = line.removeprefix("data:").strip()
        if text.startswith("{"):
            yield json.loads(text)


def fresh() -> dict[str, Any]:
    return {"text": "", "tools": [], "finish": None}


def openai_meaning(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.get("usage"):
            found[-1] = {"in": event["usage"]["prompt_tokens"], "out": event["usage"].get("completion_tokens", 0)}
        for choice in event.get("choices") or ():
            into = found.setdefault(choice["index"], fresh())
            said = choice.get("message") or choice.get("delta") or {}
            into["text"] += said.get("content") or ""
            into["finish"] = choice.get("finish_reason") or into["finish"]
            for position, call in enumerate(said.get("tool_calls") or ()):
                add_tool(into["tools"], call.get("index", position), call)
    return found


def add_tool(tools: list[list[str]], index: int, call: dict[str, Any]) -> None:
    while len(tools) <= index:
        tools.append(["", "", ""])
    function = call.get("function") or {}
    tools[index][0] += call.get("id") or ""
    tools[index][1] += function.get("name") or ""
    tools[index][2] += function.get("arguments") or ""


STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def anthropic_meaning(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    into, usage, blocks = fresh(), {}, {}
    for event in events:
        kind = event["type"]
        if kind == "message":
            usage.update(event["usage"])
            into["finish"] = event["stop_reason"]
            blocks = {n: {**block, "json": json.dumps(block.get("input"))} for n, block in enumerate(event["content"])}
        elif kind == "message_start":
            usage.update(event["message"]["usage"])
        elif kind == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "json": ""}
        elif kind == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            block["text"] = block.get("text", "") + delta.get("text", "")
            block["json"] += delta.get("partial_json", "")
        elif kind == "message_delta":
            into["finish"] = event["delta"].get("stop_reason") or into["finish"]
            usage.update({key: value for key, value in event["usage"].items() if value is not None})
    for _, block in sorted(blocks.items()):
        if block["type"] == "text":
            into["text"] += block["text"]
        elif block["type"] == "tool_use":
            into["tools"].append([block["id"], block["name"], block["json"] or "{}"])
    into["finish"] = STOPS.get(into["finish"], into["finish"])
    caches = usage.get("cache_read_input_tokens", 0) or 0, usage.get("cache_creation_input_tokens", 0) or 0
    return {0: into, -1: {"in": usage.get("input_tokens", 0) + sum(caches), "out": usage.get("output_tokens", 0)}}


def ollama_meaning(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    into, found = fresh(), {}
    for event in events:
        message = event.get("message") or {}
        into["text"] += message.get("content") or ""
        for call in message.get("tool_calls") or ():
            into["tools"].append([None, call["function"]["name"], json.dumps(call["function"]["arguments"])])
        if event.get("done"):
            into["finish"] = "tool_calls" if into["tools"] else event["done_reason"]
            if event.get("prompt_eval_count"):
                found[-1] = {"in": event["prompt_eval_count"], "out": event["eval_count"]}
    return {0: into, **found}


# --- what is sent


def request_for(item: dict[str, Any]) -> dict[str, Any]:
    """The recorded request in OpenAI's grammar: as it is, or its tools and format where the grammar is another."""
    door, recorded = item["case"].split(".")[0], item["request"]["body"] or {}
    provider = DOORS[door] or ("azure" if item["provider"] == "azure" else "openai")
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
    if door == "chat" and item["response"]["status"] == 200:
        body = {key: value for key, value in recorded.items() if value is not None}
    elif tools := [tool for tool in map(tool_in, recorded.get("tools") or ()) if tool]:
        body["tools"] = tools
    body["model"] = f"{provider}/replay:{item['id']}"
    body["stream"] = "raw_stream" in item["response"]
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    return body


def tool_in(tool: dict[str, Any]) -> dict[str, Any] | None:
    if "function" in tool:
        return tool
    if "input_schema" not in tool:
        return None
    function = {"name": tool["name"], "description": tool.get("description", ""), "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}


def asked(server: Server, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask by the SDK; the objects of the answer."""
    body = request_for(item)
    known = {key: body.pop(key) for key in ("model", "messages", "stream")}
    with client(server) as sdk:
        answer = sdk.chat.completions.create(**known, extra_body=body)
        return [event.to_dict() for event in answer] if known["stream"] else [answer.to_dict()]


def comparable(found: dict[int, dict[str, Any]], expected: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Arguments as values; what the recording does not say is not compared."""
    told = {}
    for index, choice in found.items():
        if index < 0:
            if index in expected:
                told[index] = choice
            continue
        tools = []
        for number, (name_id, name, arguments) in enumerate(choice["tools"]):
            ids = [tool[0] for tool in expected.get(index, fresh())["tools"]]
            known = number < len(ids) and ids[number]
            tools.append([name_id if known else None, name, json.loads(arguments or "{}")])
        told[index] = {**choice, "tools": tools}
    return told


@functools.cache
def _schemas() -> Any:
    """The module beside the recordings that knows the schemas."""
    spec = importlib.util.spec_from_file_location("validate", TRAFFIC / "schemas" / "validate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def violations(kind: str, value: dict[str, Any], strict: bool) -> list[str]:
    """What the schemas beside the recordings say against an object."""
    found: list[str] = _schemas().errors(kind, value, strict)
    return found


ANSWERED = [item for item in EXCHANGES if item["response"]["status"] == 200 and "error" not in item["case"]]
ANSWERED = [item for item in ANSWERED if "incomplete" not in item["case"]]
FAILED = [item for item in EXCHANGES if item["response"]["status"] != 200]
BROKEN = [item for item in EXCHANGES if item["response"]["status"] == 200 and item not in ANSWERED]


@pytest.mark.parametrize("item", ANSWERED, ids=lambda item: item["id"])
def test_an_answer_means_what_its_recording_means_and_has_openais_form(served, item):
    """What Aura builds keeps to OpenAI's published schema; what it forwards has no fault that it had not before."""
    expected = meaning(item)
    answer = asked(served, item)
    kind = "chat.completion.chunk" if "raw_stream" in item["response"] else "chat.completion"
    built = item["case"].split(".")[0] != "chat"
    faults = {fault for event in answer for fault in violations(kind, event, built)}
    theirs = () if built else events_of(item["response"])

    assert faults <= {fault for event in theirs for fault in violations(kind, event, strict=False)}

    assert comparable(expected, expected) == comparable(openai_meaning(answer), expected)


STATUS = {401: 502, 403: 502, 404: 502, 500: 503, 502: 503, 503: 503, 529: 503}


@pytest.mark.parametrize("item", FAILED, ids=lambda item: item["id"])
def test_an_error_is_told_with_its_status_type_and_wait(served, item):
    with pytest.raises(openai.APIStatusError) as caught:
        asked(served, item)

    status = item["response"]["status"]
    error = caught.value
    assert STATUS.get(status, status) == error.status_code
    assert {"message", "type", "param", "code"} <= set(error.body)
    assert "x-should-retry" in error.response.headers
    waits = error.response.headers.get("retry-after")
    if error.status_code == 429:
        assert 1 <= int(waits) <= 120
        assert error.type == "rate_limit_error"
    if "context_length" in item["case"]:
        assert error.code == "context_length_exceeded"
    if "content_filter" in item["case"]:
        assert error.code == "content_policy_violation"


@pytest.mark.parametrize("item", BROKEN, ids=lambda item: item["id"])
def test_a_broken_stream_is_never_told_as_a_whole_answer(served, item):
    with pytest.raises(openai.APIError):
        asked(served, item)


def test_every_recorded_chat_exchange_was_sent():
    """The figure for people: run with ``-s`` to see it."""
    sent = len(ANSWERED) + len(FAILED) + len(BROKEN)
    print(f"{sent} of {len(EXCHANGES)} recorded chat exchanges are sent through Aura")

    assert len(EXCHANGES) == sent


WHOLE = {
    "openai": "openai.chat.plain.stream",
    "anthropic": "anthropic.messages.plain.stream",
    "azure": "azure.chat.plain.stream",
    "ollama": "ollama.api_chat.plain.stream",
}
HARMLESS = ["split=1", "crlf", "comment", "split=7&comment"]
FATAL = [("garbage", 502), ("empty", 502), ("cut=0", 502), ("status=503", 503), ("status=429&retry_after=30", 429)]
BROKEN_OFF = ["cut=50%", "reset=50%", "cut=3"]


def recording(provider: str) -> dict[str, Any]:
    return next(item for item in EXCHANGES if item["id"].startswith(WHOLE[provider]))


@pytest.fixture
def faulted(replay: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A gateway whose providers commit one fault of the replay server."""
    with gateway(configuration(replay, **{"x-replay-fault": request.param})) as server:
        yield server


@pytest.mark.parametrize("faulted", HARMLESS, indirect=True)
def test_however_a_stream_is_framed_it_means_the_same(faulted):
    for provider in WHOLE:
        item = recording(provider)
        expected = meaning(item)

        assert comparable(expected, expected) == comparable(openai_meaning(asked(faulted, item)), expected)


@pytest.mark.parametrize(("faulted", "status"), FATAL, indirect=["faulted"])
def test_a_fault_before_content_is_an_error_with_its_status(faulted, status):
    for provider in WHOLE:
        with pytest.raises(openai.APIStatusError) as caught:
            asked(faulted, recording(provider))

        assert caught.value.status_code == status


@pytest.mark.parametrize("faulted", BROKEN_OFF, indirect=True)
def test_an_answer_that_breaks_off_and_cannot_be_continued_ends_in_an_error(faulted):
    for provider in WHOLE:
        with pytest.raises(openai.APIError):
            asked(faulted, recording(provider))


@pytest.mark.parametrize("faulted", ["hang=60"], indirect=True)
def test_a_provider_that_hangs_is_given_up_when_the_clients_time_is_up(faulted):
    for provider in WHOLE:
        body = request_for(recording(provider))
        known = {key: body.pop(key) for key in ("model", "messages", "stream")}
        with client(faulted) as sdk, pytest.raises(openai.APIStatusError) as caught:
            sdk.chat.completions.create(**known, extra_body=body, extra_headers={"X-Aura-Timeout": "1"})

        assert caught.value.status_code == 504
