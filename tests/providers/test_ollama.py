"""The provider around Ollama's grammar: address, key, context size, time to load."""

import json

import pytest

from aura.call import Model
from aura.catalogue import unknown
from aura.providers import ollama
from aura.settings import ProviderSettings, Secret

USER = {"role": "user", "content": "Hello"}
LONG = {"role": "user", "content": "word " * 8000}


def provider(**settings):
    return ollama.provider(ProviderSettings("ollama", "ollama", **settings))


def sent(model=None, settings=None, **body):
    request, _ = provider(**(settings or {})).request(
        {"model": "auto", "messages": [USER], **body}, model or unknown("llama3")
    )
    return json.loads(request.body)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("", "http://localhost:11434/api/chat"),
        ("http://gpu:11434", "http://gpu:11434/api/chat"),
        ("http://gpu:11434/", "http://gpu:11434/api/chat"),
        ("http://gpu/ollama/api", "http://gpu/ollama/api/chat"),
    ],
)
def test_the_address_is_the_bare_host(base_url, url):
    assert url == provider(base_url=base_url).url


@pytest.mark.parametrize(("key", "header"), [("", None), ("none", None), ("k", "Bearer k")])
def test_o25_no_key_or_a_bearer(key, header):
    request, _ = provider(api_key=Secret(key)).request({"messages": [USER]}, unknown("llama3"))

    assert header == request.headers.get("authorization")


def test_o23_a_short_prompt_keeps_the_servers_own_context():
    """Another size than the server's own would load the model anew."""
    assert "options" not in sent()


def test_o23_a_long_prompt_gets_the_room_it_needs():
    size = sent(messages=[LONG])["options"]["num_ctx"]

    assert size >= 10_000 + 1024
    assert size & (size - 1) == 0, "few sizes, so that the model is seldom loaded anew"


def test_o23_the_answer_needs_room_too():
    assert sent(max_tokens=10_000)["options"]["num_ctx"] == 16384


def test_o23_the_window_of_the_model_bounds_the_size():
    model = Model("llama3", known=True, context_window=8192)

    assert sent(model, messages=[LONG])["options"]["num_ctx"] == 8192


def test_o23_the_operators_size_stands():
    assert sent(settings={"num_ctx": 32768})["options"]["num_ctx"] == 32768


@pytest.mark.parametrize("own", [{"num_ctx": 5000}, {"options": {"num_ctx": 5000}}])
def test_o23_the_clients_size_stands(own):
    assert sent(settings={"num_ctx": 32768}, messages=[LONG], **own)["options"]["num_ctx"] == 5000


def test_o23_what_does_not_fit_is_refused_rather_than_cut():
    assert sent()["truncate"] is False
    assert sent(truncate=True)["truncate"] is True


def test_o12_keep_alive_is_the_operators_unless_the_client_says_it():
    assert sent(settings={"keep_alive": "30m"})["keep_alive"] == "30m"
    assert sent(settings={"keep_alive": "30m"}, keep_alive="1m")["keep_alive"] == "1m"
    assert "keep_alive" not in sent()


def test_o24_a_model_that_must_be_loaded_gets_time():
    assert provider().cold_start == 30.0


def test_o26_nothing_is_charged_unless_the_operator_says_a_price():
    """The catalogue prices a target; the provider tells no cost of its own."""
    assert unknown("llama3").price is None


def test_o22_a_missing_model_moves_on():
    failure = provider().failure(404, {}, b'{"error":"model \\"x\\" not found, try pulling it first"}', 0)

    assert (failure.rule.next, failure.rule.code) == (True, "provider_model_not_found")


def test_o22_a_full_queue_is_tried_again_or_elsewhere():
    failure = provider().failure(503, {"retry-after": "2"}, b'{"error":"server busy, please try again."}', 0)

    assert (failure.rule.next, failure.retry_after) == (True, 2.0)
