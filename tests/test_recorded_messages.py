"""Recorded traffic of Anthropic's, sent by Anthropic's SDK through a real worker: forwarded, so it comes out as it was.

As in ``test_recorded``, the recordings lie beside the checkout, or nowhere. The same requests are sent to providers of
other grammars too, which answer with a recording of their own: what they say comes out in Anthropic's grammar.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from aura.dialects.anthropic.tools import id_out

from .server import Server, gateway
from .test_recorded import (
    DOORS,
    TRAFFIC,
    anthropic_meaning,
    comparable,
    configuration,
    events_of,
    exchanges,
    fresh,
    meaning,
    replay,
    served,
)

__all__ = ["replay", "served"]
pytestmark = pytest.mark.skipif(
    not (TRAFFIC / "replay.py").is_file(), reason="the recorded traffic (../shared/traffic) is not beside this checkout"
)
COUNTS = "count_tokens"


def recorded(*doors: str) -> list[dict[str, Any]]:
    if not TRAFFIC.is_dir():
        return []
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted((TRAFFIC / "exchanges").glob("*.json"))]
    return [item for item in found if item["case"].split(".")[0] in doors]


EXCHANGES = recorded("messages", COUNTS)
ANSWERED = [item for item in EXCHANGES if item["response"]["status"] == 200 and "error" not in item["case"]]
ANSWERED = [item for item in ANSWERED if "incomplete" not in item["case"]]
FAILED = [item for item in EXCHANGES if item["response"]["status"] != 200]
BROKEN = [item for item in EXCHANGES if item["response"]["status"] == 200 and item not in ANSWERED]
OTHERS = [
    item
    for item in exchanges()
    if item["provider"] != "anthropic"
    and item["response"]["status"] == 200
    and "error" not in item["case"]
    and "incomplete" not in item["case"]
    and "n_gt_1" not in item["case"]
]


def client(server: Server) -> anthropic.Anthropic:
    quick = anthropic.DefaultHttpxClient(verify=False)  # no certificates are read for it
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=60, http_client=quick)


def asked(server: Server, body: dict[str, Any], beta: str | None = None) -> list[dict[str, Any]]:
    """Ask by the SDK; the objects of the answer."""
    body = dict(body)
    known = {key: body.pop(key) for key in ("model", "messages", "max_tokens", "stream") if key in body}
    more: dict[str, Any] = {"extra_body": body, "extra_headers": {"anthropic-beta": beta} if beta else {}}
    with client(server) as sdk:
        answer = sdk.messages.create(**known, **more)
        return [event.to_dict() for event in answer] if known.get("stream") else [answer.to_dict()]


def request_of(item: dict[str, Any]) -> dict[str, Any]:
    return {**item["request"]["body"], "model": f"anthropic/replay:{item['id']}"}


def wire(server: Server, item: dict[str, Any]) -> bytes:
    """The bytes of an answer, asked for without an SDK."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    path = "/v1/messages/count_tokens" if item["case"].startswith(COUNTS) else "/v1/messages?beta=true"
    connection.request("POST", path, json.dumps(request_of(item)), headers)
    body = connection.getresponse().read()
    connection.close()
    return body


@pytest.mark.parametrize("item", ANSWERED, ids=lambda item: item["id"])
def test_an_answer_of_anthropics_is_forwarded_as_it_came(served, item):
    body = wire(served, item)

    response = item["response"]
    if "raw_stream" in response:
        assert body.decode() == response["raw_stream"]
    else:
        assert json.loads(body) == response["body"]


@pytest.mark.parametrize("item", [item for item in ANSWERED if COUNTS not in item["case"]], ids=lambda item: item["id"])
def test_anthropics_sdk_reads_what_is_forwarded(served, item):
    answer = asked(served, request_of(item), item["request"]["headers"].get("anthropic-beta"))

    assert anthropic_meaning(answer) == meaning(item)


STATUS = {401: 502, 403: 502, 404: 502, 500: 503, 502: 503, 503: 503, 529: 503}
TYPES = {400: "invalid_request_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error"}


@pytest.mark.parametrize("item", FAILED, ids=lambda item: item["id"])
def test_an_error_is_told_in_anthropics_form(served, item):
    with pytest.raises(anthropic.APIStatusError) as caught:
        asked(served, request_of(item))

    error, status = caught.value, STATUS.get(item["response"]["status"], item["response"]["status"])
    body = error.response.json()
    assert error.status_code == status
    assert body["type"] == "error"
    assert body["error"].keys() == {"type", "message"}
    assert body["error"]["type"] == TYPES.get(status, "api_error")
    assert body["request_id"] == error.response.headers["request-id"] == error.request_id
    assert "x-should-retry" in error.response.headers
    if status == 429:
        assert 1 <= int(error.response.headers["retry-after"]) <= 120


@pytest.mark.parametrize("item", BROKEN, ids=lambda item: item["id"])
def test_a_broken_stream_is_never_told_as_a_whole_message(served, item):
    with pytest.raises(anthropic.APIError):
        asked(served, request_of(item))


def as_asked_here(item: dict[str, Any]) -> dict[str, Any]:
    """A request of Anthropic's grammar to which a recording of another grammar is the answer."""
    door, recorded_body = item["case"].split(".")[0], item["request"]["body"] or {}
    provider = DOORS[door] or ("azure" if item["provider"] == "azure" else "openai")
    tools = [tool["function"] for tool in recorded_body.get("tools") or () if "function" in tool]
    empty = {"type": "object", "properties": {}}
    body: dict[str, Any] = {
        "model": f"{provider}/replay:{item['id']}",
        "max_tokens": 1000,
        "stream": "raw_stream" in item["response"],
        "messages": [{"role": "user", "content": "Hello"}],
    }
    if tools:
        body["tools"] = [{"name": tool["name"], "input_schema": tool.get("parameters") or empty} for tool in tools]
    return body


def in_these_words(expected: dict[int, dict[str, Any]], item: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """What a recording means, as far as Anthropic's grammar says it otherwise."""
    choice = expected[0]
    choice["tools"] = [tool for tool in choice["tools"] if tool[1]]  # some count from 1
    for tool in choice["tools"]:
        tool[0] = tool[0] and id_out(tool[0])
    if choice["tools"]:
        choice["finish"] = "tool_calls"
    elif choice["finish"] is None:
        choice["finish"] = "stop"
    for event in events_of(item["response"]):
        for said in (one.get("message") or one.get("delta") or {} for one in event.get("choices") or ()):
            choice["text"] += said.get("refusal") or ""
            if call := said.get("function_call"):
                choice["tools"] = [[None, call["name"], call["arguments"]]]
                choice["finish"] = "tool_calls"
    return expected


@pytest.mark.parametrize("item", OTHERS, ids=lambda item: item["id"])
def test_an_answer_of_another_grammar_means_the_same_in_anthropics(served, item):
    expected = meaning(item)
    expected.setdefault(0, fresh())
    answer = anthropic_meaning(asked(served, as_asked_here(item)))

    theirs = in_these_words({index: told for index, told in expected.items() if index in (0, -1)}, item)
    assert comparable(answer, theirs) == comparable(theirs, theirs)


def test_every_recorded_exchange_was_sent():
    """The figure for people: run with ``-s`` to see it."""
    sent = len(ANSWERED) + len(FAILED) + len(BROKEN)
    print(f"{sent} of {len(EXCHANGES)} recorded exchanges of messages and count_tokens are sent through Aura,")
    print(f"{len(OTHERS)} recorded chats of other grammars are told in Anthropic's")

    assert len(EXCHANGES) == sent


HARMLESS = ["split=1", "crlf", "comment", "split=7&comment"]
FATAL = [("garbage", 502), ("empty", 502), ("cut=0", 502), ("status=503", 503), ("status=429&retry_after=30", 429)]
BROKEN_OFF = ["cut=50%", "reset=50%", "cut=3"]
STREAMS = [recorded_one for recorded_one in ANSWERED if recorded_one["case"] == "messages.plain.stream"]
STREAMS += [item for item in OTHERS if item["case"].endswith("chat.plain.stream")]


@pytest.fixture
def faulted(replay: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A gateway whose providers commit one fault of the replay server."""
    with gateway(configuration(replay, **{"x-replay-fault": request.param})) as server:
        yield server


def one_of_each() -> dict[str, dict[str, Any]]:
    return {item["provider"]: item for item in STREAMS}


def sent_to(server: Server, item: dict[str, Any]) -> list[dict[str, Any]]:
    return asked(server, request_of(item) if item["provider"] == "anthropic" else as_asked_here(item))


@pytest.mark.parametrize("faulted", HARMLESS, indirect=True)
def test_however_a_stream_is_framed_it_means_the_same(faulted):
    for item in one_of_each().values():
        expected = meaning(item)

        assert comparable(anthropic_meaning(sent_to(faulted, item)), expected) == comparable(expected, expected)


@pytest.mark.parametrize(("faulted", "status"), FATAL, indirect=["faulted"])
def test_a_fault_before_content_is_an_error_with_its_status(faulted, status):
    for item in one_of_each().values():
        with pytest.raises(anthropic.APIStatusError) as caught:
            sent_to(faulted, item)

        assert caught.value.status_code == status


@pytest.mark.parametrize("faulted", BROKEN_OFF, indirect=True)
def test_an_answer_that_breaks_off_and_cannot_be_continued_ends_in_an_error(faulted):
    for item in one_of_each().values():
        with pytest.raises(anthropic.APIError):
            sent_to(faulted, item)
