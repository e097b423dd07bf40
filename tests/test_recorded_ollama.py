"""Recorded traffic of Ollama's own grammar, sent through a real worker: forwarded, so it comes out as it was.

As in ``test_recorded``, the recordings lie beside the checkout, or nowhere. Providers of other grammars answer the same
door with recordings of their own: what they say comes out in Ollama's grammar.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from .server import Server, gateway
from .test_recorded import (
    DOORS,
    STATUS,
    TRAFFIC,
    comparable,
    configuration,
    events_of,
    fresh,
    meaning,
    ollama_meaning,
    replay,
    served,
    tool_in,
)
from .test_recorded_messages import FATAL, HARMLESS, OTHERS, recorded

__all__ = ["replay", "served"]
pytestmark = pytest.mark.skipif(
    not (TRAFFIC / "replay.py").is_file(), reason="the recorded traffic (../shared/traffic) is not beside this checkout"
)
ANSWERING = ("api_chat", "api_generate")
EXCHANGES = recorded(*ANSWERING, "api_embed", "api_embeddings", "api_show", "api_tags")
ASKED = [item for item in EXCHANGES if item["case"].split(".")[0] in ANSWERING]
FAILED = [item for item in ASKED if item["response"]["status"] != 200]
BROKEN = [item for item in ASKED if item["response"]["status"] == 200 and "error" in item["case"]]
ANSWERED = [item for item in ASKED if item not in FAILED and item not in BROKEN]
EMBEDDED = [item for item in EXCHANGES if "embed" in item["case"]]
TOLD = [item for item in EXCHANGES if item not in ASKED and item not in EMBEDDED]
OF_OTHERS = [item for item in OTHERS if item["provider"] in ("openai", "azure")]
OF_OTHERS += [item for item in recorded("messages") if item["response"]["status"] == 200]
OF_OTHERS = [item for item in OF_OTHERS if "error" not in item["case"] and "incomplete" not in item["case"]]


def path_of(item: dict[str, Any]) -> str:
    return "/api/" + item["case"].split(".")[0].removeprefix("api_")


def wire(server: Server, item: dict[str, Any], body: dict[str, Any] | None = None) -> requests.Response:
    body = {**item["request"]["body"], "model": f"ollama/replay:{item['id']}"} if body is None else body
    return requests.post(f"{server.url}{path_of(item)}", json=body, timeout=60)


def lines(answer: requests.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.split("\n") if line]


@pytest.mark.parametrize("item", ANSWERED, ids=lambda item: item["id"])
def test_an_answer_of_ollamas_is_forwarded_as_it_came(served, item):
    answer, response = wire(served, item), item["response"]

    assert answer.status_code == 200
    if "raw_stream" in response:
        assert answer.text == response["raw_stream"].rstrip("\n") + "\n"
    else:
        assert answer.json() == response["body"]


@pytest.mark.parametrize("item", FAILED, ids=lambda item: item["id"])
def test_an_error_is_told_in_ollamas_form(served, item):
    answer, status = wire(served, item), item["response"]["status"]

    assert answer.status_code == STATUS.get(status, status)
    assert answer.json().keys() == {"error"}
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("item", BROKEN, ids=lambda item: item["id"])
def test_a_broken_stream_ends_in_one_line_with_an_error(served, item):
    told = lines(wire(served, item))

    assert told[-1].keys() == {"error"}
    assert not any(line.get("done") for line in told)


@pytest.mark.parametrize("item", EMBEDDED, ids=lambda item: item["id"])
def test_embeddings_come_out_as_they_were(served, item):
    answer, expected = wire(served, item), item["response"]["body"]

    assert answer.status_code == 200
    for name in ("embedding", "embeddings"):
        assert answer.json().get(name) == expected.get(name)


@pytest.mark.parametrize("item", TOLD, ids=lambda item: item["id"])
def test_what_is_told_of_models_has_the_members_that_clients_know(served, item):
    """These are Aura's own models: a recording shows the form alone."""
    expected = item["response"]["body"]
    if item["case"].startswith("api_tags"):
        told = requests.get(f"{served.url}/api/tags", timeout=60).json()

        assert told.keys() == expected.keys()
        assert told["models"][0].keys() == expected["models"][0].keys()
        assert told["models"][0]["details"].keys() == expected["models"][0]["details"].keys()
        return
    found = item["response"]["status"] == 200
    asked = item["request"]["body"]
    named = {**asked, **dict.fromkeys(asked.keys() & {"name", "model"}, "eco")} if found else asked
    answer = wire(served, item, named)

    assert answer.status_code == item["response"]["status"]
    if not found:
        assert answer.json().keys() == expected.keys() == {"error"}
        return
    told = answer.json()
    assert told.keys() >= {"details", "model_info", "modelfile", "template"}
    assert told["details"].keys() == expected["details"].keys()
    assert "general.architecture" in told["model_info"]
    assert "general.architecture" in expected["model_info"]


def as_asked_here(item: dict[str, Any]) -> dict[str, Any]:
    """A request of Ollama's grammar to which a recording of another grammar is the answer."""
    door = item["case"].split(".")[0]
    provider = DOORS[door] or ("azure" if item["provider"] == "azure" else "openai")
    body: dict[str, Any] = {
        "model": f"{provider}/replay:{item['id']}",
        "stream": "raw_stream" in item["response"],
        "messages": [{"role": "user", "content": "Hello"}],
    }
    if tools := [tool for tool in map(tool_in, (item["request"]["body"] or {}).get("tools") or ()) if tool]:
        body["tools"] = [tool for tool in tools if "function" in tool]
    return body


@pytest.mark.parametrize("item", OF_OTHERS, ids=lambda item: item["id"])
def test_an_answer_of_another_grammar_means_the_same_in_ollamas(served, item):
    answer = requests.post(f"{served.url}/api/chat", json=as_asked_here(item), timeout=60)
    found = ollama_meaning(lines(answer))
    expected = {index: told for index, told in meaning(item).items() if index in (0, -1)}
    choice = expected.setdefault(0, fresh())
    choice["tools"] = [[None, *tool[1:]] for tool in choice["tools"] if tool[1]]
    for event in events_of(item["response"]):
        why = (event.get("delta") or event).get("stop_details") or {}
        choice["text"] += "" if choice["text"] else why.get("explanation") or ""
        for said in (one.get("message") or one.get("delta") or {} for one in event.get("choices") or ()):
            choice["text"] += said.get("refusal") or ""
            if call := said.get("function_call"):
                choice["tools"] = [[None, call["name"], call["arguments"]]]
    choice["finish"] = "tool_calls" if choice["tools"] else choice["finish"] or "stop"

    assert answer.status_code == 200
    assert comparable(found, expected) == comparable(expected, expected)


def test_every_recorded_exchange_was_sent():
    """The figure for people: run with ``-s`` to see it."""
    sent = len(ANSWERED) + len(FAILED) + len(BROKEN) + len(EMBEDDED) + len(TOLD)
    print(f"{sent} of {len(EXCHANGES)} recorded exchanges of Ollama's own doors are sent through Aura,")
    print(f"{len(OF_OTHERS)} recorded chats of other grammars are told in Ollama's")

    assert len(EXCHANGES) == sent


@pytest.fixture
def faulted(replay: str, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A gateway whose providers commit one fault of the replay server."""
    with gateway(configuration(replay, **{"x-replay-fault": request.param})) as server:
        yield server


def one_of_each() -> list[dict[str, Any]]:
    found = {item["provider"]: item for item in OF_OTHERS if item["case"].endswith(".plain.stream")}
    return [*found.values(), next(item for item in ANSWERED if item["case"] == "api_chat.plain.stream")]


def sent_to(server: Server, item: dict[str, Any]) -> requests.Response:
    if item["provider"] == "ollama":
        return wire(server, item)
    return requests.post(f"{server.url}/api/chat", json=as_asked_here(item), timeout=60)


@pytest.mark.parametrize("faulted", HARMLESS, indirect=True)
def test_however_a_stream_is_framed_it_means_the_same(faulted):
    for item in one_of_each():
        expected = meaning(item)

        assert comparable(ollama_meaning(lines(sent_to(faulted, item))), expected) == comparable(expected, expected)


@pytest.mark.parametrize(("faulted", "status"), FATAL, indirect=["faulted"])
def test_a_fault_before_content_is_an_error_with_its_status(faulted, status):
    for item in one_of_each():
        answer = sent_to(faulted, item)

        assert (answer.status_code, answer.json().keys()) == (status, {"error"})


@pytest.mark.parametrize("faulted", ["cut=50%", "reset=50%", "cut=3"], indirect=True)
def test_an_answer_that_breaks_off_and_cannot_be_continued_ends_in_an_error(faulted):
    for item in one_of_each():
        answer = sent_to(faulted, item)

        assert "error" in lines(answer)[-1]
        assert not any(line.get("done") for line in lines(answer))
