"""``POST /v1/route``: what a chat would do, told without asking a provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from .faulty import Faulty
from .server import Server, gateway

KEY = "key-of-team-a"
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
SHORT, LONG = "Hello", "Please refactor this class so that it has no inheritance."


@pytest.fixture(scope="module")
def provider() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


def config(provider: Faulty, policy: str = "route", classifier: str = "heuristic") -> str:
    return f"""
aura:
  auth: {{keys: [{{name: team-a, key: {KEY}}}]}}
  classifier: {{type: {classifier}}}
  router: {{requested-model: {policy}}}
  providers:
    openai: {{base-url: "{provider.url}/v1", api-key: test-key-1, extra-models: [o1]}}
    spare: {{type: openai, base-url: "{provider.url}/v1", api-key: test-key-2, extra-models: "*"}}
"""


@pytest.fixture(scope="module")
def server(provider: Faulty) -> Iterator[Server]:
    with gateway(config(provider)) as running:
        yield running


def post(server: Server, body: Any, path: str = "/v1/route", **headers: str) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
    return requests.post(f"{server.url}{path}", data=data, headers=headers, timeout=30)


def says(text: Any, model: str = "auto", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def test_a_chat_is_explained_and_no_provider_is_asked(server, provider):
    asked = len(provider.asked)
    answer = post(server, says(LONG, max_tokens=100))
    told = answer.json()

    assert answer.status_code == 200
    assert told["tier"] == "PREMIUM"
    assert sum(told["contributions"].values()) == pytest.approx(told["score"], abs=1e-6)
    assert told["margins"]["premium"] == pytest.approx(told["score"] - 0.7)
    assert told["margins"]["balanced"] == pytest.approx(told["score"] - 0.4)
    assert [planned["target"] for planned in told["plan"]] == [
        "openai/gpt-4o",
        "openai/gpt-4o-mini",
        "openai/gpt-3.5-turbo",
    ]
    assert len(provider.asked) == asked


def test_costs_are_the_catalogues_prices_of_the_prompt_and_the_longest_answer(server):
    told = post(server, says(LONG, max_tokens=100)).json()["plan"][0]

    assert told["output_from"] == "max_tokens"
    assert told["output_tokens"] == 100
    assert told["cost_usd"] == pytest.approx((told["input_tokens"] * 2.5 + 100 * 10) / 1e6)


def test_an_answer_without_a_limit_is_taken_to_be_a_typical_one(server):
    told = post(server, says(LONG)).json()["plan"][0]

    assert told["output_from"] == "typical answer"
    assert told["cost_usd"] == pytest.approx((told["input_tokens"] * 2.5 + told["output_tokens"] * 10) / 1e6)


def test_an_unknown_price_is_marked(server):
    told = post(server, says(SHORT, model="spare/anything-at-all")).json()["plan"][0]

    assert (told["cost_usd"], told["priced"]) == (0, False)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (says(SHORT), {}),
        (says(LONG), {}),
        (says(SHORT, model="premium"), {}),
        (says(SHORT, model="gpt-4o"), {}),
        (says(SHORT, model="openai/gpt-4o-mini"), {}),
        (says(SHORT, aura={"tier": "balanced"}), {}),
        (says(SHORT), {"X-Aura-Tier": "premium"}),
        (says([{"type": "text", "text": SHORT}, IMAGE]), {}),
        (says(SHORT, fallbacks=["spare/other"]), {}),
    ],
)
def test_a_chat_then_does_what_was_told(server, body, headers):
    told = post(server, body, **headers)
    done = post(server, {**body, "seed": 7}, "/v1/chat/completions", **headers)

    assert done.status_code == 200
    assert told.headers.get("x-aura-tier") == done.headers.get("x-aura-tier")
    assert told.json()["plan"][0]["target"] == f"{done.headers['x-aura-provider']}/{done.headers['x-aura-model']}"
    if "x-aura-score" in done.headers:
        assert told.headers["x-aura-score"] == done.headers["x-aura-score"]


@pytest.mark.parametrize(
    ("body", "decided_by", "left_out"),
    [
        (says(SHORT), "classifier", {"openai/o1": "is in no tier that this call may use"}),
        (says(SHORT, model="premium"), "tier", {"openai/o1": "is in no tier that this call may use"}),
        (says(SHORT, model="openai/gpt-4o"), "pinned", {"openai/gpt-3.5-turbo": "the call names its targets"}),
        (says([IMAGE]), "classifier", {"openai/gpt-3.5-turbo": "takes no images (vision)"}),
        (says(SHORT, max_tokens=10_000), "classifier", {"openai/gpt-3.5-turbo": "writes at most 4096 tokens"}),
        (says(LONG, aura={"max_cost_usd": 0.001}), "classifier", {"openai/gpt-4o": "costs more than max_cost_usd"}),
    ],
)
def test_what_decided_is_told_and_why_others_are_left_out(server, body, decided_by, left_out):
    told = post(server, body).json()

    assert told["decided_by"] == decided_by
    assert left_out.items() <= {left["target"]: left["reason"] for left in told["left_out"]}.items()


@pytest.mark.parametrize(
    ("policy", "tier", "decided_by", "first"),
    [
        ("route", "PREMIUM", "classifier", "openai/gpt-4o"),
        ("ceiling", "ECO", "requested-model", "openai/gpt-3.5-turbo"),
        ("respect", "ECO", "requested-model", "openai/gpt-3.5-turbo"),
    ],
)
def test_the_policy_on_named_models_is_applied(provider, policy, tier, decided_by, first):
    with gateway(config(provider, policy)) as server:
        told = post(server, says(LONG, model="gpt-3.5-turbo")).json()

    assert told["requested_model"] == {"name": "gpt-3.5-turbo", "policy": policy}
    assert (told["tier"], told["decided_by"], told["plan"][0]["target"]) == (tier, decided_by, first)


def test_the_learned_classifier_is_explained_to_the_last_digit(provider):
    with gateway(config(provider, classifier="learned")) as server:
        answers = [
            post(server, says(text)).json()
            for text in (SHORT, LONG, "Beweise, dass es unendlich viele Primzahlen gibt.")
        ]

    for told in answers:
        assert sum(told["contributions"].values()) == pytest.approx(told["score"], abs=1e-9)
        assert sum(told["probabilities"].values()) == pytest.approx(1)
        assert set(told["probabilities"]) == {"ECO", "BALANCED", "PREMIUM"}
        assert told["flips"]
        assert all(flip["tier"] != told["tier"] for flip in told["flips"])
    assert answers[0]["tier"] == "ECO"


def goes_on(first):
    more = [{"role": "assistant", "content": "It."}, {"role": "user", "content": "ok"}]
    return {**first, "messages": [*first["messages"], *more]}


def test_a_conversation_that_is_new_here_has_the_tier_of_its_beginning(server):
    beginning = says(LONG)
    told = post(server, goes_on(beginning)).json()

    assert told["tier"] == post(server, beginning).json()["tier"] != "ECO"
    assert told["decided_by"] == "conversation"
    assert told["score"] < 0.4


def test_a_conversation_is_looked_up_but_none_begins(server):
    first = says("Hello to all of you!")
    on = goes_on(first)
    before = post(server, on).json()
    post(server, {**first, "model": "premium"})
    still = post(server, on).json()
    post(server, {**first, "model": "premium"}, "/v1/chat/completions")
    after = post(server, on).json()

    assert [told["tier"] for told in (before, still, after)] == ["ECO", "ECO", "PREMIUM"]
    assert [told["decided_by"] for told in (before, after)] == ["classifier", "conversation"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        ({"model": "auto", "messages": []}, 400, "messages"),
        (says(SHORT, temperature=3), 400, "temperature"),
        (says(SHORT, model="openai/no-such-model"), 404, "model"),
        (says(SHORT, aura={"tier": "gold"}), 400, "aura.tier"),
    ],
)
def test_what_a_chat_would_be_refused_for_is_refused_alike(server, body, status, param):
    told, done = post(server, body), post(server, body, "/v1/chat/completions")

    assert (told.status_code, told.json()) == (done.status_code, done.json())
    assert (told.status_code, told.json()["error"]["param"]) == (status, param)


def test_it_needs_a_key(server):
    assert post(server, says(SHORT), Authorization="Bearer wrong").status_code == 401
