"""OpenAI's older completions, and Azure's paths, as their clients use them over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests

from .faulty import Faulty
from .server import gateway
from .test_forward import LONG, Reply, Seen, entry, fake, sdk, served, told

# A model that the catalogue does not list: completions are asked of it in their own grammar.
OLD = "an-old-model"
USAGE = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}


def completed(asked: Seen) -> Reply:
    """The prompt's first letters, in the grammar of the path."""
    body = asked.json()
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    texts = [f" after {prompt}" for prompt in prompts]
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
    if body.get("stream"):
        return 200, "text/event-stream", events(head, texts)
    choices = [
        {"text": text, "index": at, "logprobs": None, "finish_reason": "length"} for at, text in enumerate(texts)
    ]
    return told({**head, "choices": choices, "usage": USAGE, "odd": 1})


def events(head: dict[str, Any], texts: list[str]) -> Iterator[bytes]:
    for at, text in enumerate(texts):
        for piece, finish in ((text[:3], None), (text[3:], "stop")):
            choice = {"text": piece, "index": at, "logprobs": None, "finish_reason": finish}
            yield b"data: %b\n\n" % json.dumps({**head, "choices": [choice]}).encode()
    yield b"data: %b\n\n" % json.dumps({**head, "choices": [], "usage": USAGE}).encode()
    yield b"data: [DONE]\n\n"


def chatted(asked: Seen) -> Reply:
    """A chat that says the last message again."""
    body = asked.json()
    message = {"role": "assistant", "content": f" after {body['messages'][-1]['content']}", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
    return told({**head, "choices": [choice], "usage": USAGE})


def old(provider: Any) -> str:
    return entry("one", provider).replace("}}", "}, extra-models: ['*']}")


@pytest.mark.parametrize("prompt", ["text", ["one", "two"], [12, 7], [[1, 2], [3]]])
def test_a_target_that_speaks_completions_gets_the_body_as_it_is(prompt):
    with fake(completions=completed) as provider, served(old(provider)) as server:
        body = {"model": f"one/{OLD}", "prompt": prompt, "suffix": "end", "logprobs": 2, "best_of": 3, "unknown": [1]}
        got = requests.post(f"{server.url}/v1/completions", json=body, timeout=LONG)

    assert provider.seen[0].path == "/v1/completions"
    assert provider.seen[0].json() == {**body, "model": OLD}
    assert got.json()["odd"] == 1
    assert got.json()["object"] == "text_completion"
    assert "x-aura-dropped" not in got.headers


@pytest.mark.parametrize("wants_usage", [False, True])
def test_a_stream_of_such_a_target_is_passed_on_event_by_event(wants_usage):
    with fake(completions=completed) as provider, served(old(provider)) as server, sdk(server) as client:
        more = {"stream_options": {"include_usage": True}} if wants_usage else {}
        chunks = list(client.completions.create(model=f"one/{OLD}", prompt=["a", "b"], n=1, stream=True, **more))

    texts = ["", ""]
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == [" after a", " after b"]
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == ([6] if wants_usage else [])
    assert {chunk.id for chunk in chunks} == {"cmpl-1"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("echo", [False, True])
def test_a_chat_model_continues_a_text_in_the_older_form(stream, echo):
    with Faulty() as provider:
        config = f"aura:\n  providers:\n{entry('one', provider)}".replace("small", "gpt-4o-mini")
        with gateway(config) as server, sdk(server) as client:
            answer = client.completions.create(model="auto", prompt="nonce-1", echo=echo, stream=stream, best_of=2)
            text = "".join(c.choices[0].text for c in answer if c.choices) if stream else answer.choices[0].text
            raw = requests.post(
                f"{server.url}/v1/completions",
                json={"model": "auto", "prompt": "nonce-1", "best_of": 2, "stream": stream},
                headers={"cache-control": "no-store"},
                timeout=LONG,
            )

    asked = provider.asked[0]
    assert asked.path == "/v1/chat/completions"
    assert asked.json()["messages"] == [{"role": "user", "content": "nonce-1"}]
    assert "prompt" not in asked.json()
    assert text.startswith("nonce-1nonce-1 " if echo else "nonce-1 ")
    assert raw.headers["x-aura-dropped"] == "best_of"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
        ({"prompt": "a", "max_tokens": 0, "echo": True}, "max_tokens"),
    ],
)
def test_what_a_chat_has_no_like_of_is_refused_with_a_sentence(more, param):
    with fake() as provider, served(entry("one", provider).replace("small", "gpt-4o-mini")) as server:
        got = requests.post(f"{server.url}/v1/completions", json={"model": "auto", **more}, timeout=LONG)

    assert (got.status_code, got.json()["error"]["param"]) == (400, param)
    assert "chat model" in got.json()["error"]["message"]
    assert not provider.seen


def test_a_server_without_that_door_is_asked_by_chat_and_then_always():
    def nothing(_: Seen) -> Reply:
        return told({"detail": "Not Found"}, 404)

    with (
        fake(completions=lambda seen: chatted(seen) if "chat" in seen.path else nothing(seen)) as provider,
        served(old(provider)) as server,
        sdk(server) as client,
    ):
        texts = [client.completions.create(model=f"one/{OLD}", prompt=f"p{n}").choices[0].text for n in range(3)]

    assert texts == [" after p0", " after p1", " after p2"]
    assert [seen.path for seen in provider.seen] == ["/v1/completions", *["/v1/chat/completions"] * 3]


def test_what_only_that_door_could_take_is_refused_with_its_name_where_a_server_has_none():
    with fake(completions=lambda _: told({"detail": "Not Found"}, 404)) as provider, served(old(provider)) as server:
        body = {"model": f"one/{OLD}", "prompt": "a", "suffix": "b"}
        got = [requests.post(f"{server.url}/v1/completions", json=body, timeout=LONG) for _ in range(2)]

    assert [(one.status_code, one.json()["error"]["param"]) for one in got] == [(400, "suffix")] * 2


@pytest.mark.parametrize("limit", [{}, {"aura": {"max_cost_usd": 1}}])
def test_the_probabilities_of_a_prompt_are_asked_for_without_an_answer(limit):
    body = {"prompt": "a", "max_tokens": 0, "echo": True, "logprobs": 1}
    with fake(completions=completed) as provider, served(old(provider)) as server:
        named = {"model": f"one/{OLD}", **body, **limit}
        got = requests.post(f"{server.url}/v1/completions", json=named, timeout=LONG)

    assert got.status_code == 200, got.text
    assert provider.seen[0].json() == {"model": OLD, **body}


def test_a_completion_is_cached_in_both_forms():
    with fake(completions=completed) as provider, served(old(provider)) as server, sdk(server) as client:
        first = client.completions.create(model=f"one/{OLD}", prompt="a")
        again = client.completions.create(model=f"one/{OLD}", prompt="a")
        streamed = list(client.completions.create(model=f"one/{OLD}", prompt="a", stream=True))

    assert len(provider.seen) == 1
    assert first.choices[0].text == again.choices[0].text == "".join(c.choices[0].text for c in streamed)
    assert streamed[-1].choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_azures_client_uses_aura_as_its_resource(stream):
    with Faulty() as provider, fake() as embedding:
        config = "aura:\n  auth: {keys: [{name: azure, key: the-key-of-a-client}]}\n  providers:\n" + (
            entry("one", provider)
            + entry("two", embedding)
            + "  embeddings: {models: {text-embedding-3-small: [two/text-embedding-3-small]}}\n"
        )
        with (
            gateway(config) as server,
            openai.AzureOpenAI(
                azure_endpoint=server.url,
                api_key="the-key-of-a-client",
                api_version="2024-10-21",
                max_retries=0,
                timeout=LONG,
            ) as client,
        ):
            messages = [{"role": "user", "content": "nonce-2"}]
            answer = client.chat.completions.create(model="eco", messages=messages, stream=stream)
            text = (
                "".join(c.choices[0].delta.content or "" for c in answer if c.choices)
                if stream
                else answer.choices[0].message.content
            )
            vectors = client.embeddings.create(model="text-embedding-3-small", input=["abc"]).data
            listed = [model.id for model in client.models.list()]
            assert client.models.retrieve("eco").id == "eco"
            assert client.models.retrieve("one/small").id in listed
            pinned = client.chat.completions.with_raw_response.create(model="one/small", messages=messages)
            assert pinned.headers["x-aura-model"] == "small"
            with pytest.raises(openai.AuthenticationError):
                client.with_options(api_key="another").chat.completions.create(model="eco", messages=messages)

    assert text.startswith("nonce-2")
    assert vectors[0].embedding[0] == 3


def test_what_is_wrong_with_the_messages_of_a_chat_is_wrong_with_the_prompt():
    with fake() as provider, served(entry("one", provider).replace("small", "gpt-4o-mini")) as server:
        body = {"model": "auto", "prompt": "word " * 600_000}
        got = requests.post(f"{server.url}/v1/completions", json=body, timeout=LONG)

    assert (got.status_code, got.json()["error"]["param"]) == (400, "prompt")
    assert not provider.seen
