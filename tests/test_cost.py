"""What calls cost, by the usage that providers tell: in headers, metrics and the log; and the ceiling on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
import requests
from gevent.pywsgi import WSGIServer

from .server import Server, gateway

# US dollars per million tokens.
SMALL, MIDDLE, LARGE = (1.0, 2.0), (3.0, 15.0), (10.0, 40.0)
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m"}


class Provider:
    """A provider that counts a token for every four characters of a prompt, and one for each word that it answers.

    ``usage`` is told instead of its own count; ``words`` is how long its answers are; ``heeds`` whether it obeys
    ``max_tokens``; ``dies_after`` so many words it breaks off, once.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.calm()

    def calm(self) -> None:
        self.usage: dict[str, Any] | None = None
        self.words, self.heeds, self.dies_after, self.word, self.sent = 12, True, 0, "word ", 0
        self.asked.clear()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        body = json.loads(environ["wsgi.input"].read())
        self.asked.append(body)
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        words = min(self.words, limit) if limit and self.heeds else self.words
        prompt = sum(len(message["content"]) for message in body["messages"]) // 4
        usage = self.usage or {"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt + words}
        finish = "stop" if words == self.words else "length"
        start_response("200 OK", [("content-type", "text/event-stream" if body.get("stream") else "application/json")])
        if body.get("stream"):
            yield from self.stream(words, usage, finish)
            return
        message = {"role": "assistant", "content": self.word * words}
        choices = [{"index": 0, "message": message, "finish_reason": finish}]
        yield json.dumps({**HEAD, "object": "chat.completion", "choices": choices, "usage": usage}).encode()

    def stream(self, words: int, usage: dict[str, Any], finish: str) -> Iterator[bytes]:
        dies_after, self.dies_after = self.dies_after, 0
        for sent in range(words):
            if dies_after and sent == dies_after:
                raise ConnectionError("on purpose")
            self.sent = sent + 1
            yield event({"choices": [{"index": 0, "delta": {"content": self.word}, "finish_reason": None}]})
            gevent.sleep(0)
        yield event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        yield event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n"


def event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({**HEAD, "object": "chat.completion.chunk", **body}).encode() + b"\n\n"


@contextmanager
def serving(provider: Provider) -> Iterator[str]:
    server = WSGIServer(("127.0.0.1", 0), provider, log=None, error_log=None)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.stop(timeout=0)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Provider, Server]]:
    provider = Provider()
    models = ", ".join(
        f"{tier}: [{{name: {name}, price: {{input: {price[0]}, output: {price[1]}, cached-read: {price[0] / 10}}}}}]"
        for tier, name, price in (("eco", "small", SMALL), ("balanced", "middle", MIDDLE), ("premium", "large", LARGE))
    )
    with serving(provider) as url:
        config = f"""
aura:
  cache: {{enabled: false}}
  actuator: {{public: [health, prometheus]}}
  classifier: {{type: heuristic}}
  providers:
    p: {{type: openai, base-url: "{url}", api-key: none, models: {{{models}}}, extra-models: "*"}}
"""
        with gateway(config) as server:
            yield provider, server


@pytest.fixture
def provider(world: tuple[Provider, Server]) -> Provider:
    world[0].calm()
    return world[0]


@pytest.fixture
def server(world: tuple[Provider, Server]) -> Server:
    return world[1]


def post(server: Server, text: str = "Hello", **more: Any) -> requests.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], **more}
    return requests.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)


def chunks(answer: requests.Response) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in answer.content.split(b"\n") if line.startswith(b"data: {")]


def finishes(answer: requests.Response) -> list[str]:
    choices = [choice for chunk in chunks(answer) for choice in chunk["choices"]]
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


def metric(server: Server, name: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels."""
    lines = requests.get(f"{server.url}/actuator/prometheus", timeout=20).text.splitlines()
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    found = [line for line in lines if re.match(rf"{name}[ {{]", line) and all(label in line for label in wanted)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def logged(server: Server, answer: requests.Response) -> dict[str, Any]:
    """The log line of a call."""
    name = answer.headers["x-request-id"]
    found = server.wait_for(rf'\{{[^\n]*"event":"request.done","id":"{name}"[^\n]*\}}')
    line: dict[str, Any] = json.loads(found[0])
    return line


def dollars(price: tuple[float, float], prompt: float, answer: float) -> float:
    return (prompt * price[0] + answer * price[1]) / 1e6


def test_fresh_cached_and_reasoning_tokens_are_priced_apart(server, provider):
    provider.usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "total_tokens": 1200,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 150},
    }
    before = {kind: metric(server, "aura_tokens_total", kind=kind) for kind in ("input", "cached_read", "reasoning")}
    answer = post(server)
    after = {kind: metric(server, "aura_tokens_total", kind=kind) for kind in before}

    assert float(answer.headers["x-aura-cost-usd"]) == pytest.approx(dollars(SMALL, 600 + 40, 200))
    assert {kind: after[kind] - before[kind] for kind in after} == {"input": 1000, "cached_read": 400, "reasoning": 150}


def test_costs_and_savings_add_up_in_the_metrics(server, provider):
    provider.usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    cost, saved = metric(server, "aura_cost_usd_total", model="small"), metric(server, "aura_savings_usd_total")
    post(server)
    post(server, stream=True)

    assert metric(server, "aura_cost_usd_total", model="small") - cost == pytest.approx(2 * dollars(SMALL, 1000, 100))
    less = dollars(LARGE, 1000, 100) - dollars(SMALL, 1000, 100)
    assert metric(server, "aura_savings_usd_total") - saved == pytest.approx(2 * less)


def test_a_stream_shows_its_cost_in_the_log(server, provider):
    provider.usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    line = logged(server, post(server, stream=True))

    assert line["cost_usd"] == pytest.approx(dollars(SMALL, 1000, 100))
    assert "cost_failed_usd" not in {key for key, value in line.items() if value}


def test_x6_an_attempt_that_broke_off_is_paid_too_and_shown_apart(server, provider):
    provider.dies_after = 5
    failed, saved = metric(server, "aura_failed_cost_usd_total"), metric(server, "aura_savings_usd_total")
    whole = metric(server, "aura_cost_usd_total")
    answer = post(server, "Hello " * 20, stream=True)
    line = logged(server, answer)

    assert finishes(answer) == ["stop"]
    assert line["attempts"] == 2
    assert line["cost_usd"] > line["cost_failed_usd"] > dollars(SMALL, 20, 4)
    assert metric(server, "aura_failed_cost_usd_total") - failed == pytest.approx(line["cost_failed_usd"], abs=1e-8)
    assert metric(server, "aura_cost_usd_total") - whole == pytest.approx(line["cost_usd"], abs=1e-8)
    assert metric(server, "aura_savings_usd_total") - saved < dollars(LARGE, 40, 24)


def test_a_model_without_a_price_costs_nothing_and_is_marked(server, provider):
    answer, priced = post(server, model="p/anything"), post(server)

    assert float(answer.headers["x-aura-cost-usd"]) == 0
    assert answer.headers["x-aura-unpriced"] == "true"
    assert "x-aura-unpriced" not in priced.headers
    assert logged(server, answer)["unpriced"] is True


CEILINGS = (0.00002, 0.0001, 0.001, 0.01)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", ["Hello", "Please refactor this. " * 10, "word " * 2000])
def test_a_call_never_costs_more_than_its_ceiling(server, provider, text, stream):
    provider.words = 100_000
    for usd in CEILINGS:
        answer = post(server, text, stream=stream, aura={"max_cost_usd": usd})
        if answer.status_code == 400:
            assert answer.json()["error"]["param"] == "aura.max_cost_usd"
            assert dollars(SMALL, 1.25 * len(text) / 4, 1) > usd * 0.9
            continue

        assert answer.status_code == 200
        line = logged(server, answer)
        assert 0 < line["cost_usd"] <= usd
        assert line["tokens_out"] <= provider.asked[-1]["max_tokens"]


def test_the_tier_and_the_answer_are_as_good_as_the_money_allows(server, provider):
    tiers = [post(server, "refactor", aura={"max_cost_usd": usd}).headers["x-aura-tier"] for usd in (1, 0.005, 0.0008)]

    assert tiers == ["PREMIUM", "BALANCED", "ECO"]
    prices = {"large": LARGE, "middle": MIDDLE, "small": SMALL}
    for asked, usd in zip(provider.asked, (1, 0.005, 0.0008), strict=True):
        assert usd * 0.9 < dollars(prices[asked["model"]], 2, asked["max_tokens"]) <= usd
    assert [asked["model"] for asked in provider.asked] == ["large", "middle", "small"]


def test_a_lower_limit_of_the_clients_own_is_kept(server, provider):
    post(server, max_tokens=5, max_completion_tokens=7, aura={"max_cost_usd": 0.001})
    post(server, max_tokens=5000, aura={"max_cost_usd": 0.001})

    assert (provider.asked[0]["max_tokens"], provider.asked[0]["max_completion_tokens"]) == (5, 7)
    assert 400 < provider.asked[1]["max_tokens"] < 500


@pytest.mark.parametrize(("word", "tokens"), [("word ", 1), ("漢字", 1), ("four words or a few more ", 6)])
def test_a_stream_that_heeds_no_limit_is_ended_when_the_money_is_spent(server, provider, word, tokens):
    provider.words, provider.heeds, provider.word = 100_000, False, word
    usd = 0.0005
    answer = post(server, stream=True, stream_options={"include_usage": True}, aura={"max_cost_usd": usd})
    line = logged(server, answer)
    content = [chunk for chunk in chunks(answer) if chunk["choices"] and chunk["choices"][0]["delta"].get("content")]

    assert finishes(answer) == ["length"]
    assert answer.text.endswith("data: [DONE]\n\n")
    assert {chunk["id"] for chunk in chunks(answer)} == {"chatcmpl-1"}
    assert chunks(answer)[-1]["usage"]["completion_tokens"] == line["tokens_out"]
    assert usd * 0.9 < dollars(SMALL, 2, tokens * len(content)) <= usd
    assert line["cost_usd"] <= usd
    assert provider.sent < 100_000


def test_a_stream_that_heeds_its_limit_is_not_cut(server, provider):
    provider.words = 240
    answer = post(server, stream=True, aura={"max_cost_usd": 0.0005})

    assert finishes(answer) == ["stop"]
    assert logged(server, answer)["tokens_out"] == 240


def test_a_rescued_stream_has_what_the_broken_one_left(server, provider):
    provider.words, provider.heeds, provider.dies_after = 100_000, False, 100
    answer = post(server, stream=True, aura={"max_cost_usd": 0.0005})
    line = logged(server, answer)

    assert finishes(answer) == ["length"]
    assert line["cost_failed_usd"] > 0
    assert line["cost_usd"] <= 0.0005
    assert provider.asked[1]["max_tokens"] < provider.asked[0]["max_tokens"] - 90


def test_a_stream_that_broke_when_all_was_spent_ends_with_what_was_said(server, provider):
    provider.words, provider.heeds, provider.dies_after = 100_000, False, 248
    answer = post(server, stream=True, aura={"max_cost_usd": 0.0005})

    assert finishes(answer) == ["length"]
    assert "error" not in answer.text
    assert len(provider.asked) == 1
