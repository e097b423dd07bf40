"""Moderation before a call, through a real worker: who is asked, what is refused, and what happens when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .calls import provider
from .echo import Echo
from .server import gateway
from .test_guardrails_served import World

pytestmark = pytest.mark.xdist_group("guardrails")


def judge(text: str) -> list[str]:
    return ["violence", "harassment/threatening"] if "kill" in text else []


def opened(more: str, pii: str = "off") -> Iterator[World]:
    with Echo(judge) as echo:
        entries = provider("echo", echo.url) + provider("claude", echo.url, kind="anthropic")
        keys = "{name: a, key: key-mask}, {name: d, key: key-other}"
        config = f"aura:\n  auth: {{keys: [{keys}]}}\n  cache: {{enabled: false}}\n  guardrails:\n    pii: {pii}\n"
        config += f"    moderation: {{provider: echo, timeout: 1s{more}}}\n  providers:\n{entries}"
        with gateway(config) as server:
            yield World(server, echo)


@pytest.fixture(scope="module")
def _strict() -> Iterator[World]:
    yield from opened("")


@pytest.fixture(scope="module")
def _lenient() -> Iterator[World]:
    yield from opened(", on-failure: allow, model: own")


@pytest.fixture(scope="module")
def _masked() -> Iterator[World]:
    yield from opened("", pii="mask")


def cleared(world: World) -> World:
    world.echo.clear()
    world.echo.status, world.echo.delay = "200 OK", 0.0
    return world


@pytest.fixture
def world(_strict: World) -> World:
    """What cannot be judged does not pass."""
    return cleared(_strict)


@pytest.fixture
def lenient(_lenient: World) -> World:
    return cleared(_lenient)


@pytest.fixture
def masked(_masked: World) -> World:
    return cleared(_masked)


def outcomes(world: World, outcome: str) -> float:
    return world.metric(rf'aura_guardrail_moderations_total\{{outcome="{outcome}"\}}')


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_flagged_prompt_is_refused_and_reaches_nobody(world, kind, stream):
    messages = [{"role": "user", "content": "Hello"}, {"role": "user", "content": f"How do I kill {kind} {stream}"}]
    outcome = world.ask(messages, kind, stream=stream)
    (error,) = outcome.errors

    assert outcome.status == 400
    assert error["code"] == "content_policy_violation"
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "messages[1].content"
    assert "violence, harassment/threatening" in error["message"]
    assert outcome.headers["x-should-retry"] == "false"
    assert world.echo.asked == []


def test_a_refusal_is_not_remembered(world):
    assert [world.ask("kill again").status for _ in range(2)] == [400, 400]
    assert len(world.echo.moderated) == 2


def test_only_what_users_say_is_judged_and_each_text_once(world):
    """A conversation comes again with each turn; what has passed is not asked about again."""
    first = [{"role": "system", "content": "kill processes"}, {"role": "user", "content": "One"}]
    second = [
        *first,
        {"role": "assistant", "content": "kill -9"},
        {"role": "user", "content": [{"type": "text", "text": "Two"}]},
    ]
    passed, remembered = outcomes(world, "passed"), outcomes(world, "remembered")
    assert [world.ask(messages).status for messages in (first, second, second)] == [200, 200, 200]

    model = "omni-moderation-latest"
    assert world.echo.moderated == [{"model": model, "input": ["One"]}, {"model": model, "input": ["Two"]}]
    assert (outcomes(world, "passed"), outcomes(world, "remembered")) == (passed + 2, remembered + 1)
    assert world.metric("aura_guardrail_moderation_seconds_count") >= 2


def test_what_one_tenant_has_said_is_not_known_of_another(world):
    for key in ("key-mask", "key-other"):
        assert world.ask("Said by two", key=key).status == 200

    assert len(world.echo.moderated) == 2


def test_a_long_text_is_judged_to_its_end(world):
    outcome = world.ask("all is well " * 60_000 + "but kill")
    judged = [text for body in world.echo.moderated for text in body["input"]]

    assert outcome.status == 400
    assert max(map(len, judged)) <= 16_000
    assert "".join(judged).endswith("kill")


@pytest.mark.parametrize("status", ["500 Oops", "401 No", "200 OK"])
def test_what_cannot_be_judged_does_not_pass(world, status):
    world.echo.status = status
    if status == "200 OK":
        world.echo.delay = 1.5
    outcome = world.ask(f"Nobody knows {status}")
    (error,) = outcome.errors

    assert (outcome.status, error["code"]) == (503, "moderation_unavailable")
    assert outcome.headers["retry-after"] == "1"
    assert outcome.headers["x-should-retry"] == "true"
    assert world.echo.asked == []


def test_the_operator_may_let_pass_what_cannot_be_judged(lenient):
    lenient.echo.status = "500 Oops"
    outcome = lenient.ask("Nobody knows")

    assert (outcome.status, outcome.text) == (200, "Nobody knows")
    assert lenient.echo.moderated[0]["model"] == "own"
    assert outcomes(lenient, "failed") == 1
    line = json.loads(lenient.server.wait_for(r'\{.*"moderation.failed".*')[0])
    assert (line["reason"], line["passed"]) == ("server_error", True)
    assert lenient.ask("kill").status == 200
    lenient.echo.status = "200 OK"
    assert lenient.ask("kill").status == 400


def test_who_moderates_gets_masked_texts_too(masked):
    assert masked.ask("I am jo@example.com").text == "I am jo@example.com"
    assert masked.echo.moderated[0]["input"] == ["I am <EMAIL_1>"]
    assert "jo@example.com" not in masked.echo.sent()
