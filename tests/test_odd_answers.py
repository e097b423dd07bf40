"""Answers that servers of OpenAI's grammar give in a form of their own, as the clients of every grammar see them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from .matrix import DOORS, Seen, events_of
from .server import Server
from .test_completions import old
from .test_forward import Reply, fake, served, told
from .test_forward import Seen as Asked

LONG = 20
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me "}, {"type": "text", "text": "think."}]}
SAID = {"type": "text", "text": "Nothing to do."}
OBJECT = {"function": {"name": "weather", "arguments": {"at": "sea"}}}
TEXT = {"function": {"name": "time", "arguments": '{"at": "noon"}'}}
# What a server says -> deltas of its stream; a message is all of them at once.
ODD: dict[str, list[dict[str, Any]]] = {
    "parts": [{"content": [THOUGHT]}, {"content": [SAID]}],
    "parts-and-text": [{"content": [THOUGHT]}, {"content": "Nothing "}, {"content": "to do."}],
    "objects": [{"tool_calls": [OBJECT, TEXT]}],
    "counts": [{"content": "Nothing to do."}],
    "refusal": [{"refusal": "I cannot "}, {"refusal": "help."}],
    "fractions": [{"content": "Nothing to do."}],
    "nameless": [{"content": "Nothing to do."}],
}
TRANSLATED = [grammar for grammar in DOORS if grammar != "openai"]
COUNTS = ("prompt_eval_count", "eval_count")
numbers = itertools.count()


def message(deltas: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {"role": "assistant", "content": None}
    for delta in deltas:
        for key, value in delta.items():
            whole[key] = (whole.get(key) or type(value)()) + value if whole.get(key).__class__ in (str, list) else value
    return whole


def odd(asked: Asked) -> Reply:
    """What the model's name says."""
    body = asked.json()
    if not asked.path.endswith("/chat/completions"):
        return told({"detail": "Not Found"}, 404)
    case = body["model"].partition(".")[0]
    finish = "tool_calls" if case == "objects" else "stop"
    usage: dict[str, Any] = {} if case == "counts" else {"usage": USAGE}
    if case == "fractions":
        usage = {"usage": {name: float(number) for name, number in USAGE.items()}}
    head = {**HEAD, "id": ""} if case == "nameless" else HEAD
    if not body.get("stream"):
        deltas = [{"content": [THOUGHT, SAID]}] if case.startswith("parts") else ODD[case]
        choice = {"index": 0, "message": message(deltas), "finish_reason": finish}
        return told({**head, "object": "chat.completion", "choices": [choice], **usage})
    ends = [*((delta, None) for delta in ODD[case]), ({}, finish)]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in ends]
    frames = [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in [*chunks, {**head, "choices": [], **usage}]]
    return 200, "text/event-stream", b"".join([*frames, b"data: [DONE]\n\n"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with fake(completions=odd, responses=odd) as provider, served(old(provider)) as running:
        yield running


def post(server: Server, path: str, case: str, body: dict[str, Any], name: str = "") -> requests.Response:
    named = {"model": f"one/{case}.{name or next(numbers)}", **body}
    answer = requests.post(f"{server.url}{path}", json=named, timeout=LONG)
    assert answer.status_code == 200, answer.text
    return answer


def ask(server: Server, grammar: str, case: str, stream: bool) -> Seen:
    door, seen = DOORS[grammar], Seen(200)
    asks = "tools" if case == "objects" else "reasoning"
    answer = post(server, door.path, case, {**door.body(asks), "stream": stream})
    if stream:
        door.streamed(answer.content, seen)
    else:
        door.whole(answer.json(), seen)
    return seen


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", ["parts", "parts-and-text"])
@pytest.mark.parametrize("grammar", TRANSLATED)
def test_what_is_said_in_parts_is_told_as_text_and_thought(server, grammar, case, stream):
    seen = ask(server, grammar, case, stream)

    assert (seen.text, seen.thoughts, seen.over) == ("Nothing to do.", "Let me think.", True)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_of_the_servers_own_grammar_gets_its_parts(server, stream):
    answer = post(server, "/v1/chat/completions", "parts", {**DOORS["openai"].body("text"), "stream": stream})

    assert json.dumps(THOUGHT) in answer.text
    assert json.dumps(SAID) in answer.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("grammar", TRANSLATED)
def test_calls_that_come_together_without_names_and_as_objects_are_told_apart_and_whole(server, grammar, stream):
    seen = ask(server, grammar, "objects", stream)

    assert seen.calls == [("weather", {"at": "sea"}), ("time", {"at": "noon"})]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("grammar", "names"), [("anthropic", ("input_tokens", "output_tokens")), ("ollama", COUNTS)])
def test_counts_that_a_server_does_not_tell_are_estimated_where_they_must_be_told(server, grammar, names, stream):
    door = DOORS[grammar]
    answer = post(server, door.path, "counts", {**door.body("text"), "stream": stream})

    for name in names:
        *_, last = re.findall(rf'"{name}":([0-9]+)', answer.text)
        assert 0 < int(last) < 20


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("grammar", "names"),
    [
        ("anthropic", ("input_tokens", "output_tokens")),
        ("ollama", COUNTS),
        ("responses", ("input_tokens", "output_tokens", "total_tokens")),
    ],
)
def test_counts_that_a_server_writes_as_fractions_are_told_as_whole_numbers(server, grammar, names, stream):
    door = DOORS[grammar]
    answer = post(server, door.path, "fractions", {**door.body("text"), "stream": stream})

    told = [re.findall(rf'"{name}":([0-9.]+)', answer.text)[-1] for name in names]
    assert told == ["4", "2", "6"][: len(names)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("case", "told", "end"),
    [
        ("parts", "Nothing to do.", "stop"),
        ("refusal", "I cannot help.", "stop"),
        ("objects", "", "stop"),
        ("nameless", "Nothing to do.", "stop"),
    ],
)
def test_the_older_grammar_has_no_place_but_the_text_and_three_reasons(server, case, told, end, stream):
    answer = post(server, "/v1/completions", case, {"prompt": "Go.", "stream": stream})
    chunks = list(events_of(answer.content)) if stream else [answer.json()]
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]

    assert "".join(choice["text"] for choice in choices) == told
    assert choices[-1]["finish_reason"] == end
    assert all(chunk["id"].__class__ is str for chunk in chunks)


def test_an_answer_told_again_has_a_name_however_its_server_named_it(server):
    """Azure and others leave the name empty; without one a client's library refuses the object."""
    name, body = "again", DOORS["openai"].body("text")
    post(server, "/v1/chat/completions", "nameless", {**body, "stream": True}, name)
    again = post(server, "/v1/chat/completions", "nameless", body, name)

    assert again.headers["x-aura-cache"] == "hit"
    assert again.json()["id"] == ""
