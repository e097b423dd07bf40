"""A key with ``models``: what it may use, at every door."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from aura import catalogue, configuration
from aura.call import Call, Tier, Verdict
from aura.configuration.problems import ConfigurationError
from aura.preview import Untouched
from aura.router import Router
from aura.settings import AuthSettings, ClientKey, Secret

from .obedient import Obedient, obedient
from .server import Server, gateway

LONG = 30
KEYS = {
    "all": None,
    "small": "[eco]",
    "named": "[big-1, embed-1]",
    "pinned": "[one/big-1]",
    "second": "['two/*']",
    "alias": "[vectors]",
    "nothing": "[nowhere]",
}
numbers = itertools.count()


@pytest.fixture(scope="module")
def far() -> Iterator[Obedient]:
    with obedient() as server:
        yield server


def configured(address: str) -> str:
    keys = ", ".join(
        f"{{name: {name}, key: sk-{name}-0123456789{'' if models is None else f', models: {models}'}}}"
        for name, models in KEYS.items()
    )
    return f"""
aura:
  auth: {{keys: [{keys}]}}
  log: {{level: WARNING}}
  providers:
    one: {{type: openai, base-url: "{address}/v1", api-key: test-key-1, extra-models: [embed-1, old-1],
           models: {{eco: [small-1], balanced: [mid-1], premium: [big-1]}}}}
    two: {{type: openai, base-url: "{address}/v1", api-key: test-key-2, extra-models: "*", models: {{eco: [small-2]}}}}
  embeddings: {{models: {{vectors: [one/embed-1]}}}}
  forward: {{moderations: [one]}}
"""


@pytest.fixture(scope="module")
def server(far: Obedient) -> Iterator[Server]:
    with gateway(configured(far.url)) as running:
        yield running


def send(server: Server, key: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> requests.Response:
    told = {
        "authorization": f"Bearer sk-{key}-0123456789",
        **{name.replace("_", "-"): h for name, h in headers.items()},
    }
    method = "GET" if body is None else "POST"
    return requests.request(method, f"{server.url}{path}", json=body, headers=told, timeout=LONG)


def chat(server: Server, key: str, model: str, **more: Any) -> requests.Response:
    messages = [{"role": "user", "content": f"Go {next(numbers)}."}]
    return send(server, key, "/v1/chat/completions", {"model": model, "messages": messages, **more})


@pytest.mark.parametrize(
    ("key", "model", "answered_by"),
    [
        ("all", "one/big-1", "one/big-1"),
        ("small", "eco", "one/small-1"),
        ("small", "two/small-2", "two/small-2"),
        ("small", "one/big-1", None),
        ("small", "premium", None),
        ("small", "balanced", None),
        ("named", "premium", "one/big-1"),
        ("named", "one/big-1", "one/big-1"),
        ("named", "two/big-1", "two/big-1"),
        ("named", "eco", None),
        ("pinned", "one/big-1", "one/big-1"),
        ("pinned", "two/big-1", None),
        ("second", "two/anything", "two/anything"),
        ("second", "eco", "two/small-2"),
        ("second", "one/small-1", None),
        ("nothing", "auto", None),
        ("nothing", "eco", None),
    ],
)
def test_a_key_reaches_what_it_may_use_and_nothing_else(server, far, key, model, answered_by):
    far.asked.clear()
    answer = chat(server, key, model)

    if answered_by is None:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (403, "model_not_allowed", "model")
        assert model in error["message"]
        assert far.asked == []
    else:
        assert answer.status_code == 200
        assert f"{answer.headers['x-aura-provider']}/{answer.headers['x-aura-model']}" == answered_by


HARD = "Prove that every finite group of odd order is solvable, then derive the complexity of your proof's algorithm."


@pytest.mark.parametrize(("key", "targets"), [("small", {"small-1", "small-2"}), ("pinned", {"big-1"})])
@pytest.mark.parametrize("model", ["auto", "gpt-4o", "claude-opus-4-1"])
def test_what_the_client_leaves_open_is_chosen_from_what_its_key_may_use(server, key, targets, model):
    """Also where the name is a hint only, and where the tier that was judged right has nothing for it."""
    for question in (f"Hi {next(numbers)}", f"{HARD} {next(numbers)}"):
        answer = chat(server, key, model, messages=[{"role": "user", "content": question}])

        assert answer.status_code == 200
        assert answer.headers["x-aura-model"] in targets


def test_a_fallback_that_the_key_may_not_use_is_refused_by_its_path(server):
    answer = chat(server, "small", "eco", fallbacks=["two/small-2", "one/big-1"])

    assert answer.status_code == 403
    assert answer.json()["error"]["param"] == "fallbacks[1]"


MESSAGES = {"messages": [{"role": "user", "content": "Hi"}]}
DOORS = [
    ("/v1/chat/completions", MESSAGES, "openai"),
    ("/v1/messages", {**MESSAGES, "max_tokens": 9}, "anthropic"),
    ("/v1/messages/count_tokens", MESSAGES, "anthropic"),
    ("/v1/completions", {"prompt": "Hi"}, "openai"),
    ("/v1/embeddings", {"input": "Hi"}, "openai"),
    ("/v1/moderations", {"input": "Hi"}, "openai"),
    ("/v1/rerank", {"query": "Hi"}, "openai"),
    ("/v1/images/generations", {"prompt": "Hi"}, "openai"),
    ("/v1/audio/speech", {"input": "Hi"}, "openai"),
    ("/v1/route", MESSAGES, "openai"),
    ("/api/chat", MESSAGES, "ollama"),
    ("/api/chat", {"messages": []}, "ollama"),
    ("/api/generate", {"prompt": "Hi"}, "ollama"),
    ("/api/embed", {"input": "Hi"}, "ollama"),
    ("/api/embeddings", {"prompt": "Hi"}, "ollama"),
    ("/openai/v1/chat/completions", MESSAGES, "openai"),
]


@pytest.mark.parametrize(("path", "body", "grammar"), DOORS)
def test_no_door_leads_past_it_and_each_says_so_in_its_own_grammar(server, far, path, body, grammar):
    far.asked.clear()
    answer = send(server, "second", path, {"model": "one/old-1", **body})
    told = answer.json()

    assert answer.status_code == 403
    assert far.asked == []
    if grammar == "anthropic":
        assert (told["type"], told["error"]["type"]) == ("error", "permission_error")
    elif grammar == "ollama":
        assert told.keys() == {"error"}
    else:
        assert told["error"]["code"] == "model_not_allowed"


@pytest.mark.parametrize(
    ("key", "status"), [("alias", 200), ("named", 200), ("all", 200), ("small", 403), ("second", 403)]
)
@pytest.mark.parametrize("model", ["vectors", "one/embed-1"])
def test_an_embedding_model_is_allowed_by_either_of_its_names(server, key, status, model):
    assert send(server, key, "/v1/embeddings", {"model": model, "input": ["Hi"]}).status_code == status


LISTED = {
    "all": {"auto", "eco", "balanced", "premium", "small-1", "one/small-1", "big-1", "one/big-1", "two/small-2"},
    "small": {"auto", "eco", "small-1", "small-2", "one/small-1", "two/small-2"},
    "named": {"auto", "premium", "big-1", "one/big-1", "embed-1", "one/embed-1"},
    "second": {"auto", "eco", "small-2", "two/small-2"},
    "nothing": set(),
}


@pytest.mark.parametrize(("key", "expected"), LISTED.items())
def test_the_list_shows_what_the_key_may_use(server, key, expected):
    openais = {model["id"] for model in send(server, key, "/v1/models").json()["data"]}
    anthropics = send(server, key, "/v1/models?limit=100", anthropic_version="2023-06-01").json()["data"]
    ollamas = send(server, key, "/api/tags").json()["models"]

    assert openais >= expected if key == "all" else openais == expected
    assert {model["id"] for model in anthropics} == {model["name"] for model in ollamas} == openais
    for name in expected:
        assert send(server, key, f"/v1/models/{name}").status_code == 200
        assert send(server, key, "/api/show", {"model": name}).status_code == 200
    assert send(server, "small", "/v1/models/big-1").status_code == 404


@pytest.mark.parametrize("models", [None, ("eco",), ("eco", "demo/demo-eco")])
def test_an_answer_that_was_stored_before_the_key_was_limited_is_not_given(models):
    """What is planned under another limit is another plan, whatever it comes to."""

    def signature(allowed: tuple[str, ...] | None) -> str:
        key = ClientKey("team", Secret("sk-0123456789abcdef"), models=allowed)
        settings = replace(configuration.load(environ={}), auth=AuthSettings(keys=(key,)))
        call = Call("req_1", {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}, caller="team")
        return Router(settings, catalogue.load()).plan(call, lambda _: Verdict(Tier.ECO, 0.0), Untouched()).signature

    assert (signature(models) == signature(("eco", "demo/*"))) is False
    assert signature(("eco", "premium")) == signature(("premium", "eco"))


def test_models_may_stand_behind_a_key_in_a_line():
    [key] = configuration.load(environ={"AURA_AUTH_KEYS": "team:sk-0123456789abcdef models=eco"}).auth.keys

    assert key.models == ("eco",)


def test_models_that_are_no_list_are_refused_at_the_start():
    with pytest.raises(ConfigurationError):
        configuration.load(environ={"AURA_AUTH_KEYS": "team:sk-0123456789abcdef models"})
