"""Streams through a real worker: when they commit, how they end, how they go on, and who is told what.

The providers are scripted: ``first`` does what a test says, ``second`` continues answers as a model would.
"""

from __future__ import annotations

import itertools
import json
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import gevent
import openai
import pytest

from .busy import Moment
from .calls import Outcome, chat, provider
from .classes import CLASSES, IDS
from .faulty import Faulty, pieces, text
from .server import Server, gateway
from .wire import post

pytestmark = pytest.mark.xdist_group("streams")

Step = bytes | float | str
NONCE = "nonce"
WHOLE = text(NONCE)


@dataclass
class World:
    """A gateway and its providers. ``first`` is openai's grammar; the same provider speaks the others too."""

    server: Server
    first: Faulty
    second: Faulty
    names: Iterator[int]

    def ask(self, script: str | list[Step], fallback: str = "second/ok", kind: str = "first", **more) -> Outcome:
        """One call, pinned to a model of its own, so that no circuit is shared; ``fallback`` may be "" for none."""
        if isinstance(script, list):
            self.first.says.append(script)
            script = "says"
        self.first.next.append(script)
        more = {"stream_options": {"include_usage": True}} | more
        fallbacks = [fallback] if fallback else []
        return chat(self.server.port, f"{kind}/m{next(self.names)}", NONCE, fallbacks=fallbacks, **more)

    def bodies(self) -> list[dict]:
        """What the second provider was asked, oldest first."""
        return [asked.json() for asked in self.second.asked]

    def clear(self) -> None:
        self.first.asked.clear()
        self.second.asked.clear()
        self.first.next.clear()
        self.first.says.clear()


@contextmanager
def opened(settings: str, names: Iterator[int], args: tuple[str, ...] = ()) -> Iterator[World]:
    with Faulty() as first, Faulty() as second:
        config = f"aura:\n{settings}  providers:\n"
        config += provider("first", first.url) + provider("first-claude", first.url, kind="anthropic")
        config += provider("first-llama", first.url, kind="ollama") + provider("second", second.url)
        config += provider("claude", second.url, kind="anthropic") + provider("llama", second.url, kind="ollama")
        with gateway(config, args=args) as server:
            yield World(server, first, second, names)


NAMES = itertools.count()


@pytest.fixture(scope="module")
def _on():
    with opened("", NAMES) as made:
        yield made


@pytest.fixture(scope="module", params=CLASSES, ids=IDS)
def _either(request):
    with opened("", NAMES, ("-k", request.param)) as made:
        yield made


@pytest.fixture
def either(_either):
    """As ``world``, served by either worker class."""
    _either.clear()
    return _either


@pytest.fixture(scope="module")
def _off():
    with opened("  cache: {enabled: false}\n  router: {stream-rescue: false}\n", NAMES) as made:
        yield made


@pytest.fixture
def world(_on):
    """On defaults; every call has a model of its own, so the cache has no answer to it."""
    _on.clear()
    return _on


@pytest.fixture
def off(_off):
    """Without rescue."""
    _off.clear()
    return _off


def sse(*chunks: dict | str) -> bytes:
    return b"".join(b"data: %b\n\n" % (c.encode() if isinstance(c, str) else json.dumps(c).encode()) for c in chunks)


def delta(finish: str | None = None, index: int = 0, **said) -> dict:
    choice = {"index": index, "delta": said, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": [choice]}


USAGE = {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": []} | {
    "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
}
ROLE = delta(role="assistant", content="")
END: list[dict | str] = [delta("stop"), USAGE, "[DONE]"]


def one_good_answer(outcome: Outcome, said: str = WHOLE) -> None:
    assert outcome.status == 200
    assert outcome.text == said
    assert outcome.finish == ["stop"]
    assert (outcome.done, outcome.errors, outcome.whole) == (1, [], True)


def one_error(outcome: Outcome, said: str, code: str = "stream_interrupted") -> None:
    """An exact prefix, then one error in-band, then a proper end."""
    assert outcome.status == 200
    assert outcome.text == said
    assert (outcome.done, outcome.finish, outcome.whole) == (0, [], True)
    assert [error["code"] for error in outcome.errors] == [code]
    assert outcome.errors[0].keys() == {"message", "type", "param", "code"}
    assert b'"error"' in outcome.events[-1]


# --- before the first content

OPENINGS = {
    "an error": [sse({"error": {"message": "Overloaded", "type": "overloaded_error"}})],
    "an error with a status": [sse(ROLE, {"error": {"message": "Busy", "code": 503}})],
    "a timeout of its own": [sse(ROLE, {"error": {"message": "Timed out", "code": 408}})],
    "an error behind a role": [sse(ROLE), 0.05, sse({"error": {"message": "It failed."}})],
    "an error as a finish reason": [sse(ROLE, delta("error"))],
    "a prelude, then an error": [
        sse(USAGE | {"usage": None, "prompt_filter_results": [{"prompt_index": 0}]}, {"error": {"message": "No"}})
    ],
    "a named error event": [b'event: error\ndata: {"message": "Overloaded"}\n\n'],
    "nothing": [],
    "comments, then the end": [b": ping\n\n" * 100],
    "a role, then a reset": [sse(ROLE), 0.05, "rst"],
    "[DONE] alone": [sse("[DONE]")],
    "half an event": [b'data: {"choices": [{"ind'],
}


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_a_stream_that_fails_before_content_moves_on_unseen(world, opening):
    outcome = world.ask(opening)

    one_good_answer(outcome)
    assert not outcome.comments
    assert outcome.headers["x-aura-provider"] == "second"
    assert {chunk["model"] for chunk in outcome.chunks} == {"ok"}
    assert (len(world.first.asked), len(world.second.asked)) == (1, 1)


@pytest.mark.parametrize("kind", ["first", "first-claude", "first-llama"])
@pytest.mark.parametrize("fault", ["broken:after:0", "cut:after:0", "cut:after:0:how:end", "html", "status:code:529"])
def test_every_grammar_moves_on_before_content(world, kind, fault):
    one_good_answer(world.ask(fault, kind=kind))


def test_an_error_first_under_200_is_told_by_its_status_where_nobody_else_can_answer(world):
    outcome = chat(world.server.port, "first/broken:after:0", NONCE)

    assert outcome.status == 503
    assert outcome.errors[0]["code"] == "provider_unavailable"
    assert outcome.headers["retry-after"].isdigit()


@pytest.mark.parametrize(
    "first", [b": still here\n\n" * 50, sse(delta()) * 5, sse(ROLE)], ids=["comments", "empty", "role"]
)
def test_what_is_no_content_does_not_put_the_first_content_off(world, first):
    outcome = world.ask([first, *([0.1, first] * 60)], headers={"X-Aura-Timeout": "2"})

    one_good_answer(outcome)
    assert outcome.headers["x-aura-provider"] == "second"


def test_the_last_target_may_take_its_time(world):
    """Half of the call's time would be too short: nobody else is left to be asked."""
    outcome = world.ask("slow:first:1.2", fallback="", headers={"X-Aura-Timeout": "2"})

    one_good_answer(outcome)


def test_an_answer_without_content_is_an_answer(world):
    outcome = world.ask([sse(ROLE, *END)])

    one_good_answer(outcome, "")
    assert not world.second.asked


def test_an_answer_without_content_ends_even_if_nothing_follows_it(world):
    outcome = world.ask([sse(ROLE, delta("stop")), "hang"])

    one_good_answer(outcome, "")
    assert not world.second.asked


# --- forwarding

ODD = (
    b': hi\ndata:  {"id":"x1", "object":"chat.completion.chunk","created":5,"model":"m9","system_fingerprint":"fp",\n'
    b'data: "choices":[ {"index":0,"delta":{"role":"assistant","content":"caf\\u00e9 \xe2\x80\xa8 \xf0\x9f\x98\x80"},'
    b'"logprobs":null,"finish_reason":null,"x_own":{"a":[1,2.50]}}],"x_more":1e2}\n\n'
)


def test_events_of_the_same_grammar_are_forwarded_byte_for_byte(either):
    """Only what frames them is laid anew: several data lines are one event."""
    plain = sse(delta(content=" two"), delta("stop"), USAGE, "[DONE]")
    spaced = b'data: {"choices": [{"delta":   {"content": "one\\u0020"}, "index": 0}], "x": {"y": null}}\n\n'
    for steps in ([spaced, plain], [spaced + plain], [spaced, 0.1, plain]):
        outcome = either.ask(steps)

        assert outcome.body == spaced + plain


def test_an_event_of_several_lines_loses_nothing(world):
    outcome = world.ask([ODD, sse(*END)])

    assert json.loads(outcome.events[0])["choices"][0]["x_own"] == {"a": [1, 2.5]}
    assert outcome.text == "café \u2028 😀"


@pytest.mark.parametrize("ends", ["lf", "crlf", "cr"])
@pytest.mark.parametrize("by", [1, 7])
def test_however_a_stream_is_split_the_answer_is_the_same(world, ends, by):
    good = world.ask("ok")
    outcome = world.ask(f"split:by:{by}:ends:{ends}")

    assert outcome.text == good.text
    assert outcome.done == 1


@pytest.mark.parametrize(
    "fault",
    [
        "event:kind:json",
        "event:kind:utf8",
        "event:kind:empty",
        "event:kind:comments",
        "event:kind:unknown",
        "done:kind:twice",
        "done:kind:more",
        "done:kind:open",
        "packed",
        "unframed",
    ],
)
@pytest.mark.parametrize("kind", ["first", "first-claude", "first-llama"])
def test_a_strange_event_or_end_changes_nothing(world, kind, fault):
    outcome = world.ask(fault, kind=kind, limit=1.5)

    one_good_answer(outcome)
    assert len(outcome.usage) == 1
    assert not world.second.asked


@pytest.mark.parametrize(
    "odd",
    [
        '{"choices": 5}',
        '{"choices": [5]}',
        '{"choices": [{"delta": 5}]}',
        '{"choices": [{"delta": {"tool_calls": 5}}]}',
        '{"choices": [{"index": "x", "delta": {"content": "z"}}]}',
        "[]",
        "null",
        "5",
        '"text"',
        '{"choices": [{"index": 0, "delta": {"content": "q", "function_call": "x"}}]}',
        '{"choices": [{"index": 0, "delta": {"content": ["q"]}}]}',
        '{"usage": 5, "choices": []}',
        '{"choices": [{"index": 0, "delta": {"content": "", "tool_calls": [5]}}]}',
        '{"choices": [{"index": [], "delta": {}}]}',
    ],
)
def test_json_of_a_wrong_shape_neither_cuts_a_stream_nor_spoils_its_end(world, odd):
    outcome = world.ask([sse(ROLE, delta(content="good "), odd), sse(delta(content="end"), *END)])

    assert outcome.status == 200
    assert outcome.done == 1
    assert [e for e in outcome.events if b"good " in e]
    assert not outcome.errors


def test_usage_is_asked_always_and_shown_to_those_who_want_it(world):
    shown = world.ask("ok")
    hidden = world.ask("ok", stream_options={"include_usage": False})
    unsaid = world.ask("ok", stream_options=None)

    assert [len(shown.usage), len(hidden.usage), len(unsaid.usage)] == [1, 0, 0]
    assert {b'"include_usage":true' in asked.body for asked in world.first.asked} == {True}
    one_good_answer(hidden)


def test_a_stream_ends_at_once_with_its_usage_though_the_connection_stays_open(world):
    asked = Moment(world.server)
    outcome = world.ask([sse(ROLE, delta(content="hi"), delta("stop"), USAGE), "hang"])
    took = asked.now()

    one_good_answer(outcome, "hi")
    assert took < 1


def test_a_stream_ends_soon_after_its_finish_reason_where_no_usage_comes(world):
    outcome = world.ask([sse(ROLE, delta(content="hi"), delta("stop")), "hang"])

    one_good_answer(outcome, "hi")
    assert outcome.seconds < 4


def test_the_connection_of_a_good_stream_is_used_again(world):
    before = world.first.connections
    slow_end = [sse(ROLE, delta(content="hi")), 0.02, sse(delta("stop")), 0.02, sse(USAGE), 0.02, sse("[DONE]"), 0.02]
    for script in ("ok", "ok:interval:0.01", slow_end, "ok"):
        world.ask(script)
        gevent.sleep(0.1)  # the end of the framing comes behind the last event

    assert world.first.connections <= before + 1


def test_done_without_a_finish_reason_is_a_break_at_once_though_the_connection_stays_open(world, off):
    """The idle gap, 20 s, is not waited out."""
    script: list[Step] = [sse(ROLE, delta(content=NONCE), "[DONE]"), "hang"]
    rescued = world.ask(script, limit=5)
    broken = off.ask(script, limit=5)

    one_good_answer(rescued)
    one_error(broken, NONCE)


def test_an_end_without_done_is_an_end(world):
    """It is OpenAI's grammar alone whose terminal event is another: ``finish_reason``."""
    outcome = world.ask("done:kind:missing")

    one_good_answer(outcome)
    assert len(outcome.usage) == 1
    assert not world.second.asked


# --- rescue

CUTS = {
    "fin": "cut:after:5",
    "rst": "cut:after:5:how:rst",
    "clean end": "cut:after:5:how:end",
    "error": "broken:after:5",
}
WAYS = ["second/ok", "second/ok:again:start", "second/ok:again:words", "second/no-prefill", "llama/ok:again:words"]
WAYS += ["claude/claude-3-haiku-20240307", "claude/no-prefill"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["first", "first-claude", "first-llama"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_broken_answer_is_continued_whoever_goes_on_in_whatever_way(world, cut, kind, way):
    outcome = world.ask(cut, fallback=way, kind=kind)

    one_good_answer(outcome)
    assert outcome.comments == [f"continued by {way}"]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in outcome.chunks}) == 1
    assert len(outcome.usage) == 1
    assert len(world.first.asked) == 1


def test_a_cut_at_any_byte_gives_the_whole_answer_once(world):
    """The text holds accents, ideographs and joined emoji: cuts fall inside characters too."""
    broken = {}

    def cut(at: int, how: str) -> None:
        outcome = chat(world.server.port, f"first/cut:byte:{at}:how:{how}", NONCE, fallbacks=["second/ok"])
        if (outcome.text, outcome.done, outcome.errors) != (WHOLE, 1, []):
            broken[at, how] = outcome.body[-300:]

    for start in range(0, 3000, 60):
        gevent.joinall([gevent.spawn(cut, at, "rst" if at % 2 else "fin") for at in range(start, start + 60, 3)])

    assert broken == {}


def test_a_cut_after_the_finish_reason_is_no_loss(world):
    outcome = world.ask([sse(ROLE, delta(content="all of it"), delta("length")), 0.05, "rst"])

    assert (outcome.text, outcome.finish, outcome.done, outcome.errors) == ("all of it", ["length"], 1, [])
    assert not outcome.comments
    assert not world.second.asked


def test_a_rescued_stream_may_be_rescued_again(world):
    world.second.next.append("cut:after:3")
    outcome = world.ask("cut:after:4")

    one_good_answer(outcome)
    assert outcome.comments == ["continued by second/ok", "continued by second/ok"]
    assert (len(world.first.asked), len(world.second.asked)) == (1, 2)
    assert outcome.usage[0]["completion_tokens"] >= 12
    assert outcome.usage[0]["prompt_tokens"] >= 3 * 7


def test_with_no_other_target_the_same_one_goes_on(world):
    world.first.always = "ok"
    outcome = world.ask("cut:after:4", fallback="")
    world.first.always = ""

    one_good_answer(outcome)
    assert len(world.first.asked) == 2


def test_a_target_that_is_asked_by_prefill_gets_the_answer_without_trailing_blanks(world):
    world.ask([sse(ROLE, delta(content=NONCE + " ")), 0.05, "rst"], fallback="claude/claude-3-haiku-20240307")

    messages = world.bodies()[-1]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert str(messages[-1]["content"]).rstrip("'}]").endswith(NONCE)


def test_blanks_alone_are_no_answer_to_be_continued(world):
    outcome = world.ask([sse(ROLE, delta(content="\n\n")), 0.05, "rst"], fallback="claude/claude-3-haiku-20240307")

    assert outcome.text.strip() == WHOLE
    assert [message["role"] for message in world.bodies()[-1]["messages"]] == ["user"]


def test_thoughts_that_break_off_are_thought_again_by_another(world):
    outcome = world.ask([sse(ROLE, delta(reasoning_content="Let me see")), 0.05, "rst"])

    one_good_answer(outcome)
    assert outcome.chunks[1]["choices"][0]["delta"] == {"reasoning_content": "Let me see"}


def test_the_usage_adds_both_attempts(either):
    """Anthropic says at once what the prompt cost; what it came to say after that is estimated."""
    usage = either.ask("cut:after:5", kind="first-claude").usage[0]

    assert usage["prompt_tokens"] == 7 + 7
    assert usage["completion_tokens"] > 8


def test_usage_that_is_told_with_every_chunk_is_shown_once(world):
    telling = {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}
    world.second.next.append("says")
    rest = WHOLE[len("".join(pieces(NONCE)[:5])) :]
    world.second.says.append([sse(delta(content=rest) | telling), sse(delta("stop") | telling), sse(USAGE, "[DONE]")])
    outcome = world.ask("cut:after:5")

    one_good_answer(outcome)
    assert len(outcome.usage) == 1
    assert outcome.usage[0]["completion_tokens"] >= 3 + 5


def test_the_usage_of_a_rescued_answer_is_shown_only_to_those_who_want_it(world):
    outcome = world.ask("cut:after:5", stream_options=None)

    one_good_answer(outcome)
    assert outcome.usage == []


def test_a_rescued_answer_may_end_in_a_tool_call(world):
    world.second.next.append("says")
    world.second.says.append([sse(delta(tool_calls=[CALL]), delta("tool_calls"), USAGE, "[DONE]")])
    outcome = world.ask([sse(ROLE, delta(content="Let me look. ")), 0.05, "rst"])

    assert (outcome.text, outcome.finish, outcome.done, outcome.errors) == ("Let me look. ", ["tool_calls"], 1, [])
    assert [call["id"] for choice in outcome.choices for call in choice["delta"].get("tool_calls", ())] == ["call_1"]


def test_what_was_said_before_a_tool_call_is_not_lost_in_the_seam(world):
    """A text that might be a repetition is held back; a tool call behind it lets it go."""
    world.second.next.append("says")
    world.second.says.append([sse(delta(content="Let me"), delta(tool_calls=[CALL]), delta("tool_calls"), "[DONE]")])
    outcome = world.ask([sse(ROLE, delta(content="Let me look. ")), 0.05, "rst"])

    assert outcome.text == "Let me look. "
    assert outcome.finish == ["tool_calls"]


def test_a_silent_stream_is_continued_by_another_before_the_call_runs_out_of_time(world):
    outcome = world.ask("stall:after:5", headers={"X-Aura-Timeout": "3"})

    one_good_answer(outcome)


@pytest.mark.parametrize(
    "noise", [b": ping\n\n", sse(delta()), b"event: ping\ndata: {}\n\n"], ids=["comment", "empty", "ping"]
)
def test_pings_do_not_break_a_silence(world, noise):
    outcome = world.ask([sse(ROLE, delta(content=NONCE)), *[0.1, noise] * 50], headers={"X-Aura-Timeout": "3"})

    one_good_answer(outcome)
    assert outcome.comments.count("continued by second/ok") == 1


@pytest.mark.parametrize(
    "fails", ["status:code:500", "cut:after:0", "status:code:401", "hangup", "status:code:400", "status:code:422"]
)
def test_a_rescue_that_fails_ends_in_one_error(world, fails):
    world.second.next.extend([fails] * 3)
    world.first.always = fails
    outcome = world.ask("cut:after:5")
    world.first.always = ""
    world.second.next.clear()

    one_error(outcome, "".join(pieces(NONCE)[:5]))
    assert len(world.first.asked) + len(world.second.asked) <= 3


CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
UNRESCUED = {
    "a tool call": ([ROLE, delta(tool_calls=[CALL])], {}, ""),
    "text, then a tool call": ([ROLE, delta(content="Hm"), delta(tool_calls=[CALL])], {}, "Hm"),
    "a function call": ([ROLE, delta(function_call={"name": "f", "arguments": "{"})], {}, ""),
    "a refusal": ([ROLE, delta(refusal="I can")], {}, ""),
    "two choices": ([ROLE, delta(content="one"), delta(content="two", index=1)], {"n": 2}, "onetwo"),
    "one of two choices": ([ROLE, delta(content="one"), delta("stop"), delta(content="two", index=1)], {"n": 2}, None),
    "log probabilities": ([ROLE, delta(content="one")], {"logprobs": True}, "one"),
    "JSON": ([ROLE, delta(content='{"a')], {"response_format": {"type": "json_object"}}, '{"a'),
}


@pytest.mark.parametrize(("said", "asked", "seen"), UNRESCUED.values(), ids=UNRESCUED)
def test_what_cannot_be_continued_ends_in_one_error(world, said, asked, seen):
    outcome = world.ask([sse(*said), 0.05, "rst"], **asked)

    assert [error["code"] for error in outcome.errors] == ["stream_interrupted"]
    assert (outcome.done, outcome.whole) == (0, True)
    assert seen is None or outcome.text == seen
    assert not world.second.asked


@pytest.mark.parametrize("kind", ["first", "first-claude", "first-llama"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_without_rescue_a_broken_answer_is_an_exact_prefix_and_one_error(off, cut, kind):
    outcome = off.ask(cut, kind=kind)

    one_error(outcome, "".join(pieces(NONCE)[:5]))
    assert outcome.errors[0]["type"] == "upstream_error"
    assert not off.second.asked


def test_the_sdk_raises_for_a_broken_answer(off):
    off.first.next.append("cut:after:5")
    said = []
    model, messages = f"first/m{next(NAMES)}", [{"role": "user", "content": NONCE}]
    with openai.OpenAI(base_url=f"{off.server.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(model=model, messages=messages, stream=True)
        with pytest.raises(openai.APIError) as raised:
            said.extend(chunk.choices[0].delta.content or "" for chunk in stream)

    assert "".join(said) == "".join(pieces(NONCE)[:5])
    assert raised.value.code == "stream_interrupted"


def test_a_stream_that_never_ends_ends_with_the_calls_time(world):
    outcome = world.ask("ok:interval:0.2:tokens:60", headers={"X-Aura-Timeout": "1.5"})

    one_error(outcome, outcome.text)
    assert text(NONCE, 60).startswith(outcome.text)
    assert outcome.seconds < 4


def test_a_torrent_that_never_has_to_be_waited_for_ends_with_the_calls_time(world):
    torrent = sse(*[delta(content="x")] * 500)
    outcome = world.ask([sse(ROLE), *[torrent] * 200], headers={"X-Aura-Timeout": "1"})

    one_error(outcome, outcome.text)
    assert outcome.seconds < 4


# --- the client leaves

PHASES = {
    "waiting for the head": ("silence", True),
    "waiting for the first content": ("stall:after:0", True),
    "in mid-stream": ("stall:after:5", True),
    "waiting for the head of a whole answer": ("silence", False),
    "waiting for the body of a whole answer": ("drip:interval:5", False),
}


@pytest.mark.parametrize(("fault", "stream"), PHASES.values(), ids=PHASES)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_client_that_leaves_cancels_the_upstream(either, fault, stream, how):
    either.first.next.append(fault)
    left = leave(either, either.first, stream, how)

    assert left.to(either.first.ended_at(either.first.asked[-1].connection)) < 0.1


def test_a_client_that_leaves_during_a_rescue_cancels_it(either):
    either.first.next.append("cut:after:5")
    either.second.next.append("silence")
    left = leave(either, either.second, True, "fin")

    assert left.to(either.second.ended_at(either.second.asked[-1].connection)) < 0.1


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("fault", ["status:code:429:retry:1", "status:code:503"])
def test_a_client_that_leaves_between_two_attempts_is_not_asked_for_again(world, fault, stream):
    """The first target is pinned and alone: it would be asked once more after a wait."""
    before = world.server.log()
    world.first.next.append(fault)
    leave(world, world.first, stream, "fin", fallbacks=())
    world.first.next.append("silence")
    deadline = time.monotonic() + 20
    while "client_left" not in world.server.log()[len(before) :] and time.monotonic() < deadline:
        gevent.sleep(0.01)

    assert "client_left" in world.server.log()[len(before) :]
    gevent.sleep(1.2)
    assert len(world.first.asked) == 1


@pytest.mark.parametrize("fault", ["silence", "stall:after:0"])
def test_a_client_that_leaves_while_the_second_target_is_waited_for_cancels_it(world, fault):
    world.first.next.append("status:code:503")
    world.second.next.append(fault)
    left = leave(world, world.second, True, "rst")

    assert left.to(world.second.ended_at(world.second.asked[-1].connection)) < 0.1


def test_a_client_that_leaves_is_counted_and_is_no_error(either):
    either.first.next.append("stall:after:5")
    before = either.server.log()
    leave(either, either.first, True, "fin")
    deadline = time.monotonic() + 20
    while "client_left" not in either.server.log()[len(before) :] and time.monotonic() < deadline:
        gevent.sleep(0.02)
    lines = [json.loads(line) for line in either.server.log()[len(before) :].splitlines() if line.startswith("{")]

    assert [(line["event"], line.get("status")) for line in lines] == [("request.done", 499)]


def leave(world: World, asked_last: Faulty, stream: bool, how: str, fallbacks: Sequence[str] = ("second/m",)) -> Moment:
    """Ask, wait until the provider is asked and has begun, leave; returns when."""
    before = len(asked_last.asked)
    body = {"model": f"first/m{next(NAMES)}", "stream": stream, "messages": [{"role": "user", "content": NONCE}]}
    data = json.dumps(body | {"fallbacks": list(fallbacks)}).encode()
    link = socket.create_connection(("127.0.0.1", world.server.port))
    link.sendall(post("/v1/chat/completions", data, "Content-Type: application/json"))
    while len(asked_last.asked) == before:
        gevent.sleep(0.01)
    gevent.sleep(0.1)  # for what the provider sends to have gone through
    if how == "rst":
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    left = Moment(world.server)
    link.close()
    return left


# --- the server stops


@pytest.mark.parametrize("served_by", CLASSES, ids=IDS)
def test_those_who_cannot_be_waited_for_are_told_in_band(served_by):
    with opened("  server: {graceful-timeout: 2s}\n", NAMES, ("-k", served_by)) as world:
        port = world.server.port
        asking = [gevent.spawn(chat, port, f"first/stall:after:5:n:{n}", NONCE) for n in range(3)]
        asking.append(gevent.spawn(chat, port, "first/stall:after:0", NONCE))
        asking.append(gevent.spawn(chat, port, "first/silence", NONCE, stream=False))
        while len(world.first.asked) < len(asking):
            gevent.sleep(0.02)
        gevent.sleep(0.2)
        world.server.signal(signal.SIGTERM)
        *streams, early, whole = [greenlet.get() for greenlet in asking]

        for outcome in streams:
            one_error(outcome, "".join(pieces(NONCE)[:5]), "server_shutting_down")
        for outcome in (early, whole):
            assert outcome.status == 503
            assert outcome.errors[0]["code"] == "server_shutting_down"
        assert world.server.wait() == 0


def test_a_stream_that_ends_in_time_is_not_touched_by_a_stop():
    with opened("", NAMES) as world:
        asking = gevent.spawn(world.ask, "ok:interval:0.1")
        while not world.first.asked:
            gevent.sleep(0.02)
        gevent.sleep(0.3)
        world.server.signal(signal.SIGTERM)

        one_good_answer(asking.get())


# --- the cache


def test_only_whole_answers_are_stored():
    with opened("  router: {stream-rescue: false}\n", NAMES) as world:
        model = f"first/m{next(NAMES)}"
        seen = []
        for fault in ("cut:after:5", "broken:after:3", "cut:after:5:how:end", "ok", "ok"):
            world.first.next.append(fault)
            outcome = chat(world.server.port, model, NONCE)
            seen.append((outcome.headers["x-aura-cache"], outcome.text == WHOLE, outcome.done))

    assert seen == [("miss", False, 0)] * 3 + [("miss", True, 1), ("hit", True, 1)]


def test_a_rescued_answer_is_stored_whole():
    with opened("", NAMES) as world:
        model = f"first/m{next(NAMES)}"
        world.first.next.append("cut:after:5")
        chat(world.server.port, model, NONCE, fallbacks=["second/ok"])
        again = chat(world.server.port, model, NONCE, fallbacks=["second/ok"])

    one_good_answer(again)
    assert again.headers["x-aura-cache"] == "hit"
