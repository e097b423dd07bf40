"""What would steer the gateway is refused at every door, and what steers a call never leaves the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from tests.calls import provider
from tests.faulty import Faulty
from tests.server import Server, gateway

pytestmark = pytest.mark.xdist_group("steering")

LONG = 30
MESSAGES = [{"role": "user", "content": "hi"}]
DOORS = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "x"},
    "/v1/messages": {"max_tokens": 5, "messages": MESSAGES},
    "/v1/messages/count_tokens": {"messages": MESSAGES},
    "/v1/responses": {"input": "hi"},
    "/v1/embeddings": {"input": "x"},
    "/v1/moderations": {"input": "x"},
    "/v1/images/generations": {"prompt": "x"},
    "/v1/audio/speech": {"input": "x", "voice": "a"},
    "/v1/rerank": {"query": "x", "documents": ["a"]},
    "/v1/route": {"messages": MESSAGES},
    "/api/chat": {"messages": MESSAGES, "stream": False},
    "/api/generate": {"prompt": "x", "stream": False},
    "/api/embed": {"input": "x"},
}
FORMS = ("/v1/audio/transcriptions", "/v1/audio/translations")
WRONG = {
    "a provider by name": ("provider", "only"),
    "an address to fall back on": ("fallbacks", ["http://127.0.0.1:9/"]),
    "one fallback": ("fallbacks", "only/m"),
    "options by name": ("aura", "only"),
    "an address": ("base_url", "http://127.0.0.1:9/"),
}


@pytest.fixture(scope="module")
def _only() -> Iterator[tuple[Server, Faulty]]:
    with Faulty() as far, gateway("aura:\n  providers:\n" + provider("only", far.url, kind="azure")) as server:
        yield server, far


@pytest.fixture
def only(_only: tuple[Server, Faulty]) -> tuple[Server, Faulty]:
    _only[1].asked.clear()
    return _only


@pytest.mark.parametrize(("name", "value"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("path", DOORS)
def test_no_door_takes_from_a_request_who_is_asked(only, path, name, value):
    server, far = only
    answer = requests.post(server.url + path, json={"model": "only/m", **DOORS[path], name: value}, timeout=LONG)

    assert answer.status_code == 400
    assert name in answer.text
    assert not far.asked


@pytest.mark.parametrize("name", ["provider", "fallbacks", "aura", "base_url"])
@pytest.mark.parametrize("path", FORMS)
def test_no_form_says_who_is_asked(only, path, name):
    server, far = only
    form = {"file": ("a.wav", b"sound"), "model": (None, "m"), name: (None, "only/m")}
    answer = requests.post(server.url + path, files=form, timeout=LONG)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert not far.asked


@pytest.mark.parametrize("path", DOORS)
def test_what_steers_a_call_stays_here(only, path):
    """It would be refused at a provider as unknown, and tells what else the operator has."""
    server, far = only
    far.always = "status:code:500"
    steering = {"aura": {"cache": False}, "fallbacks": ["only/other"]}
    model = f"only/m{path.replace('/', '-')}"  # whose circuit no other door has opened
    requests.post(server.url + path, json={"model": model, **DOORS[path], **steering}, timeout=LONG)
    far.always = ""

    assert far.asked or path in ("/v1/route", "/v1/messages/count_tokens")
    for asked in far.asked:
        assert not {"aura", "fallbacks"} & json.loads(asked.body).keys()


def test_what_is_passed_on_without_its_fallbacks_says_so(only):
    server, _ = only
    body = {"model": "only/m", "input": "x", "fallbacks": ["only/other"], "aura": {"cache": False}}
    answer = requests.post(f"{server.url}/v1/moderations", json=body, timeout=LONG)

    assert answer.status_code == 200
    assert answer.headers["x-aura-dropped"] == "fallbacks"
