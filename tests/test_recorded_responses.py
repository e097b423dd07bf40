"""Recorded Responses of OpenAI's and Azure's, sent by OpenAI's SDK through a real worker: forwarded as they were.

As in ``test_recorded``, the recordings lie beside the checkout, or nowhere. Providers of other
grammars are asked too, and answer with a recording of their own: what they say comes out as a response.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .server import Server, gateway
from .test_recorded import (
    DOORS,
    TRAFFIC,
    client,
    comparable,
    events_of,
    exchanges,
    fresh,
    meaning,
    replay,
    violations,
)

__all__ = ["replay"]
pytestmark = pytest.mark.skipif(
    not (TRAFFIC / "replay.py").is_file(), reason="the recorded traffic (../shared/traffic) is not beside this checkout"
)


def configuration(address: str, **headers: str) -> str:
    told = json.dumps(headers)
    return f"""
aura:
  log: {{level: WARNING}}
  providers:
    openai: {{base-url: "{address}/v1", api-key: test-key-1, extra-models: "*", headers: {told}}}
    anthropic: {{base-url: "{address}", api-key: test-key-2, extra-models: "*", headers: {told}}}
    azure: {{base-url: "{address}", api-key: test-key-3, api-version: v1, extra-models: "*", headers: {told}}}
    chats: {{type: azure, base-url: "{address}", api-key: test-key-4, extra-models: "*", headers: {told}}}
    ollama: {{enabled: true, base-url: "{address}", extra-models: "*", headers: {told}}}
"""


@pytest.fixture(scope="module")
def served(replay: str) -> Iterator[Server]:
    with gateway(configuration(replay)) as server:
        yield server


def recorded() -> list[dict[str, Any]]:
    if not TRAFFIC.is_dir():
        return []
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted((TRAFFIC / "exchanges").glob("*.json"))]
    return [item for item in found if item["case"].startswith("responses.")]


def is_broken(item: dict[str, Any]) -> bool:
    return "error" in item["case"] or "incomplete" in item["case"]


EXCHANGES = recorded()
ANSWERED = [item for item in EXCHANGES if item["response"]["status"] == 200 and not is_broken(item)]
FAILED = [item for item in EXCHANGES if item["response"]["status"] != 200]
BROKEN = [item for item in EXCHANGES if item["response"]["status"] == 200 and item not in ANSWERED]
OTHERS = [
    item
    for item in exchanges()
    if item["response"]["status"] == 200 and not is_broken(item) and "n_gt_1" not in item["case"]
]


def request_of(item: dict[str, Any]) -> dict[str, Any]:
    provider = "azure" if item["provider"] == "azure" else "openai"
    return {**item["request"]["body"], "model": f"{provider}/replay:{item['id']}"}


def asked(server: Server, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask by the SDK; the objects of the answer."""
    body = dict(body)
    stream = bool(body.pop("stream", False))
    with client(server) as sdk:
        answer = sdk.responses.create(model=body.pop("model"), stream=stream, extra_body=body)
        return [event.to_dict() for event in answer] if stream else [answer.to_dict()]


def wire(server: Server, body: dict[str, Any]) -> bytes:
    """The bytes of an answer, asked for without an SDK."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/v1/responses", json.dumps(body), {"content-type": "application/json"})
    data = connection.getresponse().read()
    connection.close()
    return data


@pytest.mark.parametrize("item", ANSWERED, ids=lambda item: item["id"])
def test_a_response_is_forwarded_as_it_came(served, item):
    body, response = wire(served, request_of(item)), item["response"]

    if "raw_stream" in response:
        assert body.decode() == response["raw_stream"]
    else:
        assert json.loads(body) == response["body"]


@pytest.mark.parametrize("item", ANSWERED, ids=lambda item: item["id"])
def test_openais_sdk_reads_what_is_forwarded_and_finds_it_again(served, item):
    answer = asked(served, request_of(item))
    theirs = list(events_of(item["response"]))
    told, said = answer[-1].get("response", answer[-1]), theirs[-1].get("response", theirs[-1])

    assert told["output"] == said["output"]
    if item["request"]["body"].get("store") is not False:
        with client(served) as sdk:
            assert sdk.responses.retrieve(said["id"]).to_dict()["output"] == said["output"]


STATUS = {401: 502, 403: 502, 404: 502, 500: 503, 502: 503, 503: 503, 529: 503}


@pytest.mark.parametrize("item", FAILED, ids=lambda item: item["id"])
def test_an_error_is_told_in_openais_form(served, item):
    with pytest.raises(openai.APIStatusError) as caught:
        asked(served, request_of(item))

    status = item["response"]["status"]
    assert caught.value.status_code == STATUS.get(status, status)
    assert {"message", "type", "param", "code"} <= set(caught.value.body)
    if "context_length" in item["case"]:
        assert caught.value.code == "context_length_exceeded"
    if "content_filter" in item["case"]:
        assert caught.value.code == "content_policy_violation"


@pytest.mark.parametrize("item", BROKEN, ids=lambda item: item["id"])
def test_a_broken_stream_is_never_told_as_a_whole_response(served, item):
    with pytest.raises(openai.APIError):
        asked(served, request_of(item))


def as_asked_here(item: dict[str, Any]) -> dict[str, Any]:
    """A request to which a recording of another grammar is the answer."""
    recorded_body = item["request"]["body"] or {}
    body: dict[str, Any] = {
        "model": f"{DOORS[item['case'].split('.')[0]] or 'chats'}/replay:{item['id']}",
        "stream": "raw_stream" in item["response"],
        "input": "Hello",
    }
    tools = []
    for tool in recorded_body.get("tools") or ():
        inner = tool.get("function") or tool
        if "parameters" in inner or "input_schema" in inner:
            parameters = inner.get("parameters") or inner.get("input_schema")
            tools.append({"type": "function", "name": inner["name"], "parameters": parameters, "strict": False})
    return {**body, "tools": tools} if tools else body


def response_meaning(response: dict[str, Any]) -> dict[int, dict[str, Any]]:
    into, refused = fresh(), list[str]()
    for item in response["output"]:
        if item["type"] == "message":
            into["text"] += "".join(part.get("text") or part.get("refusal") or "" for part in item["content"])
            refused = [part["refusal"] for part in item["content"] if part["type"] == "refusal"]
        elif item["type"] == "function_call":
            into["tools"].append([item["call_id"], item["name"], item["arguments"]])
    reason = (response.get("incomplete_details") or {}).get("reason")
    finish = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason)
    if finish == "content_filter":  # why, is told apart from what was said
        into["text"] = into["text"].removesuffix("".join(refused))
    into["finish"] = finish or ("tool_calls" if into["tools"] else "stop")
    found = {0: into}
    if response.get("usage"):
        found[-1] = {"in": response["usage"]["input_tokens"], "out": response["usage"]["output_tokens"]}
    return found


def in_these_words(expected: dict[str, Any], item: dict[str, Any]) -> None:
    """What a recording means, as far as this grammar says it otherwise."""
    expected["tools"] = [tool for tool in expected["tools"] if tool[1]]  # some count from 1
    for event in events_of(item["response"]):
        for said in (one.get("message") or one.get("delta") or {} for one in event.get("choices") or ()):
            expected["text"] += said.get("refusal") or ""
            if call := said.get("function_call"):
                expected["tools"] = [[None, call["name"], call["arguments"]]]
    if expected["finish"] not in ("length", "content_filter"):
        expected["finish"] = "tool_calls" if expected["tools"] else "stop"


@pytest.mark.parametrize("item", OTHERS, ids=lambda item: item["id"])
def test_an_answer_of_another_grammar_means_the_same_as_a_response(served, item):
    """What Aura builds keeps to OpenAI's published schema."""
    expected = meaning(item)
    expected = {index: told for index, told in expected.items() if index in (0, -1)}
    in_these_words(expected.setdefault(0, fresh()), item)
    answer = asked(served, as_asked_here(item))
    told = answer[-1].get("response", answer[-1])

    for event in answer:
        assert violations("response.event" if len(answer) > 1 else "response", event, strict=True) == []
    assert [event["sequence_number"] for event in answer if len(answer) > 1] == [
        *range(len(answer) if len(answer) > 1 else 0)
    ]
    assert comparable(response_meaning(told), expected) == comparable(expected, expected)


def test_every_recorded_exchange_was_sent():
    """The figure for people: run with ``-s`` to see it."""
    sent = len(ANSWERED) + len(FAILED) + len(BROKEN)
    print(f"{sent} of {len(EXCHANGES)} recorded exchanges of responses are sent through Aura,")
    print(f"{len(OTHERS)} recorded answers of other grammars are told as responses")

    assert len(EXCHANGES) == sent


HARMLESS = ["split=1", "crlf", "comment", "split=7&comment"]
FATAL = [("garbage", 502), ("empty", 502), ("cut=0", 502), ("status=503", 503), ("status=429&retry_after=30", 429)]
BROKEN_OFF = ["cut=50%", "reset=50%", "cut=3"]
STREAMS = [item for item in ANSWERED if item["case"] == "responses.plain.stream"]


@pytest.fixture
def faulted(replay: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A gateway whose providers commit one fault of the replay server."""
    with gateway(configuration(replay, **{"x-replay-fault": request.param})) as server:
        yield server


@pytest.mark.parametrize("faulted", HARMLESS, indirect=True)
def test_however_a_stream_is_framed_it_means_the_same(faulted):
    for item in STREAMS:
        expected = list(events_of(item["response"]))[-1]["response"]

        assert asked(faulted, request_of(item))[-1]["response"]["output"] == expected["output"]


@pytest.mark.parametrize(("faulted", "status"), FATAL, indirect=["faulted"])
def test_a_fault_before_content_is_an_error_with_its_status(faulted, status):
    for item in STREAMS:
        with pytest.raises(openai.APIStatusError) as caught:
            asked(faulted, request_of(item))

        assert caught.value.status_code == status


@pytest.mark.parametrize("faulted", BROKEN_OFF, indirect=True)
def test_an_answer_that_breaks_off_and_cannot_be_continued_ends_in_an_error(faulted):
    for item in STREAMS:
        with pytest.raises(openai.APIError):
            asked(faulted, request_of(item))
