"""A call through a real worker whose first target fails: what the client sees, and what the first target is asked.

Every row is one streamed call (the last but one: one after another) on defaults but ``timeout: 30s``, the first target
pinned, one fallback named. The rows run side by side, each with a provider of its own: waiting costs the longest alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
import pytest

from .calls import Outcome, chat, provider
from .faulty import Faulty, text
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("failover")

TOKENS = 60
HEALTHY = f"second/ok:tokens:{TOKENS}"
OUTAGE, BACK = 10.0, 30.0  # seconds that the row that heals takes to do so, and may then take to be asked again


@dataclass
class Row:
    """What the first target does: a ``script`` of faults, then ``always``; who the fallbacks are."""

    script: list[str] = field(default_factory=list)
    always: str = f"ok:tokens:{TOKENS}"
    fallback: str = HEALTHY
    then: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    calls: Callable[[Row, Server], list[Outcome]] | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    provider: Faulty | None = None
    name: str = ""

    @property
    def outcome(self) -> Outcome:
        return self.outcomes[0]

    @property
    def told(self) -> str:
        """Whose answer it is, as the body says."""
        return self.outcome.chunks[-1]["model"]


def one_call(row: Row, server: Server) -> list[Outcome]:
    return [ask(row, server)]


def calls_for_three_seconds(row: Row, server: Server) -> list[Outcome]:
    """As many calls as one after another in three seconds."""
    began, outcomes = time.monotonic(), []
    while time.monotonic() < began + 3:
        outcomes.append(ask(row, server))
        gevent.sleep(0.1)
    return outcomes


def calls_through_an_outage(row: Row, server: Server) -> list[Outcome]:
    """Two calls a second, until the healed provider has answered one."""
    began, outcomes, healing = time.monotonic(), [], gevent.spawn_later(OUTAGE, heal, row)
    while time.monotonic() < began + OUTAGE + BACK:
        outcomes.append(ask(row, server))
        if outcomes[-1].headers["x-aura-provider"] == row.name:
            break
        gevent.sleep(0.5)
    healing.kill()
    return outcomes


def heal(row: Row) -> None:
    assert row.provider is not None
    row.provider.always = f"ok:tokens:{TOKENS}"


def ask(row: Row, server: Server) -> Outcome:
    fallbacks, options = [row.fallback, row.then] if row.then else [row.fallback], {"include_usage": True}
    return chat(
        server.port, f"{row.name}/m", row.name, fallbacks=fallbacks, stream_options=options, headers=row.headers
    )


ROWS = {
    "throttled-once": Row(["status:code:429:retry:2"]),
    "throttled-for-ever": Row(always="status:code:429", calls=calls_for_three_seconds),
    "failed-once": Row(["status:code:500"]),
    "reset-once": Row(["hangup:how:rst"]),
    "silent": Row(always="silence"),
    "silent-twice": Row(always="silence", fallback="silence/m", then=HEALTHY),
    "silent-twice-and-out-of-time": Row(always="silence", fallback="silence/n", headers={"X-Aura-Timeout": "16"}),
    "late-content": Row(always=f"slow:first:20:tokens:{TOKENS}"),
    "cut": Row(always=f"cut:after:40:tokens:{TOKENS}"),
    "cut-by-reset": Row(always=f"cut:after:40:how:rst:tokens:{TOKENS}"),
    "ended-early": Row(always=f"cut:after:40:how:end:tokens:{TOKENS}"),
    "cut-then-refused": Row(always=f"cut:after:40:tokens:{TOKENS}", fallback=f"second/no-prefill:tokens:{TOKENS}"),
    "cut-then-prefill-refused": Row(
        always=f"cut:after:40:tokens:{TOKENS}", fallback="refusing/claude-3-haiku-20240307"
    ),
    "cut-then-prefilled": Row(always=f"cut:after:40:tokens:{TOKENS}", fallback="claude/claude-3-haiku-20240307"),
    "cut-then-by-ollama": Row(always=f"cut:after:40:tokens:{TOKENS}", fallback=f"llama/ok:tokens:{TOKENS}:again:words"),
    "stalled": Row(always=f"stall:after:20:tokens:{TOKENS}"),
    "not-json": Row(always=f"event:after:9:kind:json:tokens:{TOKENS}"),
    "no-done": Row(always=f"done:kind:missing:tokens:{TOKENS}"),
    "too-long": Row(always="status:code:400:error:context_length_exceeded:type:invalid_request_error"),
    "against-policy": Row(
        always="status:code:400:error:content_policy_violation:type:invalid_request_error:message:It is refused."
    ),
    "unavailable-for-a-while": Row(always="status:code:503", calls=calls_through_an_outage),
    "unavailable-for-ever": Row(always="status:code:503"),
}


@pytest.fixture(scope="module")
def rows():
    """All rows, run."""
    with Faulty() as second, Faulty() as claude, Faulty() as refusing, Faulty("silence") as silence:
        claude.always, refusing.always = f"ok:tokens:{TOKENS}", f"no-prefill:tokens:{TOKENS}"
        config = "aura:\n  cache: {enabled: false}\n  providers:\n"
        for name, row in ROWS.items():
            row.name, row.provider = name, Faulty()
            row.provider.__enter__()
            row.provider.next.extend(row.script)
            row.provider.always = row.always
            config += provider(name, row.provider.url)
        config += provider("second", second.url) + provider("llama", second.url, kind="ollama")
        config += provider("silence", silence.url)
        config += provider("claude", claude.url, kind="anthropic")
        config += provider("refusing", refusing.url, kind="anthropic")
        with gateway(config) as server:
            running = [gevent.spawn(run, row, server) for row in ROWS.values()]
            gevent.joinall(running, raise_error=True)
        for row in ROWS.values():
            assert row.provider is not None
            row.provider.__exit__()
    return ROWS


def run(row: Row, server: Server) -> None:
    row.outcomes = (row.calls or one_call)(row, server)


def asked(row: Row) -> int:
    """How often the first target was asked."""
    assert row.provider is not None
    return len(row.provider.asked)


def whole_once(row: Row) -> None:
    """The client has the whole answer, once, as one good stream."""
    outcome = row.outcome
    assert outcome.status == 200
    assert outcome.text == text(row.name, TOKENS)
    assert outcome.finish == ["stop"]
    assert (outcome.done, outcome.errors, outcome.whole) == (1, [], True)
    assert outcome.events[-1] == b"[DONE]"
    assert len(outcome.usage) == 1


def from_first(row: Row) -> None:
    assert row.outcome.headers["x-aura-provider"] == row.name
    assert row.told == "m"
    assert not row.outcome.comments


def from_fallback(row: Row) -> None:
    provider_name, _, model = row.fallback.partition("/")
    assert row.outcome.headers["x-aura-provider"] == provider_name
    assert row.told == model
    assert row.outcome.usage[0]["completion_tokens"] == TOKENS


def continued(row: Row) -> None:
    """Rescued: under the first one's name, with both attempts' tokens in the usage."""
    outcome, usage = row.outcome, row.outcome.usage[0]
    assert outcome.headers["x-aura-provider"] == row.name
    assert {chunk["model"] for chunk in outcome.chunks} == {"m"}
    assert len({(chunk["id"], chunk["created"]) for chunk in outcome.chunks}) == 1
    assert [f"continued by {row.fallback}"] == [comment for comment in outcome.comments if comment != "keep-alive"]
    assert usage["prompt_tokens"] > 7
    assert usage["completion_tokens"] > 20
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def after(seconds: float) -> Callable[[Row], None]:
    def check(row: Row) -> None:
        assert row.outcome.seconds >= seconds

    return check


def within(seconds: float) -> Callable[[Row], None]:
    def check(row: Row) -> None:
        assert row.outcome.seconds <= seconds

    return check


@pytest.mark.parametrize(
    ("name", "checks", "times"),
    [
        ("throttled-once", [whole_once, from_first, after(1.8)], 2),
        ("failed-once", [whole_once, from_first], 2),
        ("reset-once", [whole_once], 2),
        ("silent", [whole_once, from_fallback, within(45)], 1),
        ("late-content", [whole_once, from_fallback, within(15)], 1),
        ("cut", [whole_once, continued], 1),
        ("cut-by-reset", [whole_once, continued], 1),
        ("ended-early", [whole_once, continued], 1),
        ("cut-then-refused", [whole_once, continued], 1),
        ("cut-then-prefill-refused", [whole_once, continued], 1),
        ("cut-then-prefilled", [whole_once, continued], 1),
        ("cut-then-by-ollama", [whole_once, continued], 1),
        ("stalled", [whole_once, continued, within(45)], 1),
        ("not-json", [whole_once, from_first], 1),
        ("no-done", [whole_once, from_first, within(1)], 1),
        ("too-long", [whole_once, from_fallback], 1),
        ("unavailable-for-ever", [whole_once, from_fallback], 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_call_whose_first_target_fails(rows, name, checks, times):
    """``times``: how often the first target is asked."""
    row = rows[name]

    for check in checks:
        check(row)
    assert times == asked(row)


def test_comments_keep_a_connection_alive_and_another_target_can_still_answer(rows):
    """Two silent targets take ten seconds each: the 200 is out before the third is asked."""
    outcome = rows["silent-twice"].outcome

    whole_once(rows["silent-twice"])
    assert outcome.began >= 14
    assert outcome.comments[0] == "keep-alive"
    assert [frame for frame in outcome.frames[: len(outcome.comments)] if not frame.startswith(b":")] == []


def test_an_error_after_comments_is_told_in_band(rows):
    outcome = rows["silent-twice-and-out-of-time"].outcome

    assert outcome.status == 200
    assert outcome.comments == ["keep-alive"]
    assert [error["code"] for error in outcome.errors] == ["upstream_timeout"]
    assert outcome.done == 0


def test_a_refusal_by_content_policy_is_told_and_nobody_else_is_asked(rows):
    outcome = rows["against-policy"].outcome

    assert outcome.status == 400
    assert outcome.errors[0]["code"] == "content_policy_violation"
    assert "It is refused." in outcome.errors[0]["message"]
    assert outcome.headers["x-should-retry"] == "false"
    assert asked(rows["against-policy"]) == 1


def test_a_throttled_provider_is_left_alone_while_the_fallback_answers(rows):
    row = rows["throttled-for-ever"]

    for outcome in row.outcomes:
        assert outcome.text == text(row.name, TOKENS)
        assert outcome.headers["x-aura-provider"] == "second"
    assert len(row.outcomes) > 10
    assert asked(row) <= 4


def test_an_outage_is_never_seen_and_the_healed_provider_is_used_again(rows):
    row = rows["unavailable-for-a-while"]

    assert {text(row.name, TOKENS)} == {outcome.text for outcome in row.outcomes}
    assert row.outcomes[0].headers["x-aura-provider"] == "second"
    assert row.outcomes[-1].headers["x-aura-provider"] == row.name
    assert asked(row) <= len(row.outcomes)
