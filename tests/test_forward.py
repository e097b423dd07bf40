"""Embeddings, and the doors whose calls are passed on: what clients get and providers see, over real sockets."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gevent
import openai
import pytest
import requests
from gevent.pywsgi import WSGIServer

from .server import Server, gateway

LONG = 20


@dataclass
class Seen:
    """One request as the provider saw it."""

    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Reply = tuple[int, str, bytes | Iterator[bytes]]


@dataclass
class Fake:
    """A provider on loopback.

    Args:
        replies: what it answers by path; the last part of a path decides. None: embeddings of each input's length.
    """

    replies: dict[str, Callable[[Seen], Reply]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name[:5] == "HTTP_"}
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        path = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else "")
        asked = Seen(path, headers, environ["wsgi.input"].read())
        self.seen.append(asked)
        reply = self.replies.get(environ["PATH_INFO"].rpartition("/")[2], embedded)
        status, kind, body = reply(asked)
        start(f"{status} Said", [("Content-Type", kind)])
        return [body] if isinstance(body, bytes) else body


def embedded(asked: Seen) -> Reply:
    """Embeddings whose first number is the input's length, in the grammar of the path."""
    body = asked.json()
    given = body["input"]
    texts = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    vectors = [[float(len(text)), 0.5, -1.0] for text in texts]
    if asked.path.startswith("/api/"):
        return told({"model": body["model"], "embeddings": vectors, "prompt_eval_count": 3 * len(texts)})
    base64_wanted = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": at,
            "embedding": base64.b64encode(struct.pack("<3f", *vector)).decode() if base64_wanted else vector,
        }
        for at, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)}
    return told({"object": "list", "data": data, "model": body["model"], "usage": usage})


def told(body: Any, status: int = 200) -> Reply:
    return status, "application/json", json.dumps(body).encode()


def failing(_: Seen) -> Reply:
    return told({"error": {"message": "It failed.", "type": "server_error"}}, 500)


@contextmanager
def fake(**replies: Callable[[Seen], Reply]) -> Iterator[Fake]:
    provider = Fake(replies)
    server = WSGIServer(("127.0.0.1", 0), provider, log=None, error_log=None)
    server.start()
    provider.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield provider
    finally:
        server.stop()


def entry(name: str, provider: Fake, kind: str = "openai") -> str:
    """A provider's entry of the configuration."""
    base = provider.url + ("/v1" if kind == "openai" else "")
    return f'    {name}: {{type: {kind}, base-url: "{base}", api-key: sk-a-key-of-ours, models: {{eco: small}}}}\n'


@contextmanager
def served(*entries: str, more: str = "") -> Iterator[Server]:
    with gateway(f"aura:\n  providers:\n{''.join(entries)}{more}") as server:
        yield server


@contextmanager
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=LONG) as client:
        yield client


@pytest.mark.parametrize(
    ("kind", "model", "path"),
    [
        ("openai", "text-embedding-3-small", "/v1/embeddings"),
        ("openai", "one/a-model-of-ours", "/v1/embeddings"),
        ("openai", "nowhere-listed", "/v1/embeddings"),
        ("azure", "text-embedding-3-small", "/openai/deployments/text-embedding-3-small/embeddings"),
        ("ollama", "nomic-embed-text", "/api/embed"),
    ],
)
@pytest.mark.parametrize("form", [None, "float", "base64"])
def test_embeddings_come_from_every_kind_of_provider_in_the_form_asked_for(kind, model, path, form):
    with fake() as at:
        listed = entry("one", at, kind).replace("}}", "}, extra-models: [a-model-of-ours]}")
        with served(listed) as server, sdk(server) as client:
            more = {} if form is None else {"encoding_format": form}
            answer = client.embeddings.create(model=model, input=["a", "bcd"], **more)
            raw = requests.post(
                f"{server.url}/v1/embeddings", json={"model": model, "input": ["a", "bcd"], **more}, timeout=LONG
            )

    vectors = [one.embedding for one in answer.data]
    if form == "base64":
        vectors = [list(struct.unpack("<3f", base64.b64decode(one))) for one in vectors]
    assert vectors == [[1.0, 0.5, -1.0], [3.0, 0.5, -1.0]]
    assert [one.index for one in answer.data] == [0, 1]
    assert answer.usage.prompt_tokens == 6
    assert at.seen[0].path.partition("?")[0] == path
    assert at.seen[0].json()["model"] == model.removeprefix("one/")
    assert isinstance(raw.json()["data"][0]["embedding"], str) is (form == "base64")


def test_a_long_list_is_divided_and_joined_in_order():
    with fake() as provider, served(entry("one", provider), more="  embeddings: {batch: 2}\n") as server:
        texts = ["x" * length for length in (5, 1, 4, 2, 3)]
        answer = requests.post(
            f"{server.url}/v1/embeddings", json={"model": "text-embedding-3-small", "input": texts}, timeout=LONG
        ).json()

    assert [one["embedding"][0] for one in answer["data"]] == [5, 1, 4, 2, 3]
    assert [one["index"] for one in answer["data"]] == [0, 1, 2, 3, 4]
    assert answer["usage"] == {"prompt_tokens": 15, "total_tokens": 15}
    assert [len(seen.json()["input"]) for seen in provider.seen] == [2, 2, 1]


def test_only_targets_of_the_same_model_follow_each_other():
    names = "  embeddings: {models: {small-one: [one/text-embedding-3-small, two/our-small]}}\n"
    with fake(embeddings=failing) as one, fake() as two, fake() as three:
        entries = (entry("one", one), entry("two", two), entry("three", three))
        with served(*entries, more=names) as server:
            followed = requests.post(
                f"{server.url}/v1/embeddings", json={"model": "small-one", "input": "text"}, timeout=LONG
            )
            alone = requests.post(
                f"{server.url}/v1/embeddings", json={"model": "one/text-embedding-3-small", "input": "t"}, timeout=LONG
            )

    assert (followed.status_code, followed.headers["x-aura-provider"]) == (200, "two")
    assert two.seen[0].json()["model"] == "our-small"
    assert alone.status_code >= 500
    assert not three.seen


def test_embeddings_are_cached_by_all_that_they_depend_on():
    with fake() as provider, served(entry("one", provider)) as server:
        bodies = [{}, {}, {"user": "someone"}, {"dimensions": 3}, {"encoding_format": "base64"}]
        kept = [
            requests.post(
                f"{server.url}/v1/embeddings",
                json={"model": "text-embedding-3-small", "input": "text", **body},
                timeout=LONG,
            ).headers["x-aura-cache"]
            for body in bodies
        ]

    assert kept == ["miss", "hit", "hit", "miss", "miss"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"object": "list", "data": [], "model": "m"}, 502),
        ({"object": "list", "data": [{"index": 0, "embedding": [1.0]}] * 2, "model": "m"}, 502),
        ({"data": "none"}, 502),
        ([], 502),
    ],
)
def test_an_answer_that_is_none_is_a_failure(answer, status):
    with fake(embeddings=lambda _: told(answer)) as provider, served(entry("one", provider)) as server:
        got = requests.post(
            f"{server.url}/v1/embeddings", json={"model": "text-embedding-3-small", "input": "text"}, timeout=LONG
        )

    assert (got.status_code, set(got.json()["error"])) == (status, {"message", "type", "param", "code"})


PASSED = {
    "/v1/moderations": ("moderations", {"input": "a text", "model": "omni-moderation-latest"}),
    "/v1/images/generations": ("generations", {"prompt": "a house", "model": "gpt-image-1", "n": 2}),
    "/v1/rerank": ("rerank", {"query": "what", "documents": ["a", "b"], "model": "one/ranker"}),
}


@pytest.mark.parametrize("path", PASSED)
def test_a_call_is_passed_on_as_it_is_and_its_answer_too(path):
    last, body = PASSED[path]
    said = {"id": "x-1", "results": [{"flagged": False, "odd": [1, None, "ü"]}], "usage": {"input_tokens": 7}}
    with fake(**{last: lambda _: told(said)}) as provider, served(entry("one", provider)) as server:
        got = requests.post(f"{server.url}{path}", json={**body, "unknown": {"kept": 1}}, timeout=LONG)
        scraped = requests.get(f"{server.url}/actuator/prometheus", timeout=LONG).text

    assert got.json() == said
    assert got.headers["x-aura-provider"] == "one"
    assert provider.seen[0].path == path
    assert provider.seen[0].json() == {**body, "model": body["model"].removeprefix("one/"), "unknown": {"kept": 1}}
    assert provider.seen[0].headers["authorization"] == "Bearer sk-a-key-of-ours"
    assert 'aura_tokens_total{kind="input",provider="one"} 7.0' in scraped


def test_a_failed_call_is_retried_and_goes_on_to_the_next_provider_of_its_kind():
    moderated = "  forward: {moderations: [one, two]}\n"
    with (
        fake(moderations=failing) as one,
        fake(moderations=lambda _: told({"results": []})) as two,
        served(entry("one", one), entry("two", two), more=moderated) as server,
    ):
        got = requests.post(f"{server.url}/v1/moderations", json={"input": "text"}, timeout=LONG)

    assert (got.status_code, got.headers["x-aura-provider"]) == (200, "two")
    assert one.seen


def test_a_kind_that_no_provider_serves_is_told_so():
    with fake() as provider, served(entry("one", provider, "ollama")) as server:
        got = requests.post(f"{server.url}/v1/moderations", json={"input": "text"}, timeout=LONG)

    assert (got.status_code, got.json()["error"]["code"]) == (404, "not_served")
    assert "aura.forward.moderations" in got.json()["error"]["message"]


def test_speech_comes_as_the_provider_makes_it():
    gate = gevent.event.Event()

    def spoken(_: Seen) -> Reply:
        def sound() -> Iterator[bytes]:
            yield b"\xff\xfb first"
            gate.wait(LONG)
            yield b" last"

        return 200, "audio/mpeg", sound()

    with fake(speech=spoken) as provider, served(entry("one", provider)) as server:
        body = {"model": "tts-1", "input": "Say it.", "voice": "alloy"}
        with requests.post(f"{server.url}/v1/audio/speech", json=body, stream=True, timeout=LONG) as got:
            pieces = got.iter_content(None)
            first = next(pieces)
            gate.set()
            rest = b"".join(pieces)

    assert (got.headers["content-type"], first, rest) == ("audio/mpeg", b"\xff\xfb first", b" last")
    assert provider.seen[0].json() == body


def test_speech_that_breaks_off_does_not_look_whole():
    def spoken(_: Seen) -> Reply:
        def sound() -> Iterator[bytes]:
            yield b"first"
            raise OSError("gone")

        return 200, "audio/mpeg", sound()

    with fake(speech=spoken) as provider, served(entry("one", provider)) as server:
        body = {"model": "tts-1", "input": "Say it.", "voice": "alloy"}
        with (
            requests.post(f"{server.url}/v1/audio/speech", json=body, stream=True, timeout=LONG) as got,
            pytest.raises(requests.exceptions.ChunkedEncodingError),
        ):
            list(got.iter_content(None))


def test_a_file_is_passed_on_byte_for_byte_and_again_after_a_failure():
    def transcribed(_: Seen) -> Reply:
        return failing(_) if len(provider.seen) == 1 else told({"text": "what was said"})

    sound = bytes(range(256)) * 40_000
    with (
        fake(transcriptions=transcribed) as provider,
        served(entry("one", provider)) as server,
        sdk(server) as client,
    ):
        answer = client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", io.BytesIO(sound)))

    first, second = provider.seen
    assert answer.text == "what was said"
    assert first.body == second.body
    assert sound in first.body
    assert first.headers["content-type"].startswith("multipart/form-data; boundary=")


def field(name: str, value: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


PARTS = field("language", "de") + field("model", "whisper-1") + b"--b--\r\n"


def test_a_list_in_a_form_may_have_several_fields():
    form = field("timestamp_granularities[]", "word") + field("timestamp_granularities[]", "segment") + PARTS
    with fake(transcriptions=lambda _: told({"text": "said"})) as provider, served(entry("one", provider)) as server:
        got = requests.post(
            f"{server.url}/v1/audio/transcriptions",
            data=form,
            headers={"content-type": "multipart/form-data; boundary=b"},
            timeout=LONG,
        )

    assert got.json() == {"text": "said"}
    assert provider.seen[0].body == form


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("text/html; charset=utf-8", b"<html>Please log in.</html>", "bad_upstream_response"),
        ("application/json", b'{"text": "cut', "bad_upstream_response"),
        ("application/json", b"", "bad_upstream_response"),
        ("application/json", b'{"error": {"message": "Overloaded.", "code": 503}}', "provider_unavailable"),
    ],
)
def test_what_is_no_answer_is_not_passed_on(kind, body, code):
    said = (200, kind, body)
    with fake(moderations=lambda _: said, speech=lambda _: said) as provider, served(entry("one", provider)) as server:
        answers = [
            requests.post(f"{server.url}{path}", json={"input": "text", "model": "m"}, timeout=LONG)
            for path in ("/v1/moderations", "/v1/audio/speech")
        ]

    for got in answers:
        assert got.status_code in (502, 503)
        assert got.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("kind", "body", "status", "param"),
    [
        ("application/json", b"{}", 415, None),
        ("multipart/form-data", b"x", 415, None),
        ("multipart/form-data; boundary=b", b"no form", 400, None),
        ("multipart/form-data; boundary=b", b"", 400, None),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n', 400, None),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n',
            400,
            "model",
        ),
        ("multipart/form-data; boundary=b", b"x" * 70_000, 413, None),
        ("multipart/form-data; boundary=b", b"x" * 50_000, 400, None),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 8000 + PARTS, 400, None),
        ("multipart/form-data; boundary=b", PARTS + b"x" * 50_000, 400, None),
        ("multipart/form-data; boundary=b", field("model", "m") + PARTS, 400, "model"),
        ("multipart/form-data; boundary=b", PARTS[:-5] + b"\r\n" + field("model", "n") + b"--b--\r\n", 400, "model"),
        ("multipart/form-data; boundary=b", field('model"; filename="f', "m") + PARTS, 400, "model"),
        ("multipart/form-data; boundary=b", field("api_base", "http://x") + PARTS, 400, "api_base"),
        ("multipart/form-data; boundary=b", field("timeout", "1") + PARTS, 400, "timeout"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\nm\r\n" + PARTS, 400, None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_form_is_refused_before_a_provider_is_asked(kind, body, status, param):
    with fake() as provider, served(entry("one", provider), more="  forward: {max-upload: 64KB}\n") as server:
        got = requests.post(
            f"{server.url}/v1/audio/transcriptions", data=body, headers={"content-type": kind}, timeout=LONG
        )

    assert (got.status_code, got.json()["error"]["param"]) == (status, param)
    assert not provider.seen


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", {"input": "x"}, "model"),
        ("/v1/embeddings", {"model": "m"}, "input"),
        ("/v1/embeddings", {"model": "m", "input": ""}, "input"),
        ("/v1/embeddings", {"model": "m", "input": []}, "input"),
        ("/v1/embeddings", {"model": "m", "input": ["a", 1]}, "input[1]"),
        ("/v1/embeddings", {"model": "m", "input": [-1]}, "input"),
        ("/v1/embeddings", {"model": "m", "input": "x", "dimensions": 0}, "dimensions"),
        ("/v1/embeddings", {"model": "m", "input": "x", "encoding_format": "hex"}, "encoding_format"),
        ("/v1/embeddings", {"model": "m", "input": "x", "base_url": "http://a"}, "base_url"),
        ("/v1/embeddings", {"model": "gpt-4o", "input": "x"}, "model"),
        ("/v1/embeddings", {"model": "m", "input": "x", "messages": 1e308}, "messages"),
        ("/v1/moderations", {"model": "m", "input": "x", "messages": ["x"]}, "messages"),
        ("/v1/moderations", {"model": "m"}, "input"),
        ("/v1/audio/speech", {"model": "../x", "input": "x"}, "model"),
    ],
)
def test_a_request_that_is_wrong_is_refused_before_a_provider_is_asked(path, body, param):
    with fake() as provider, served(entry("one", provider)) as server:
        got = requests.post(f"{server.url}{path}", json=body, timeout=LONG)

    assert (got.status_code, got.json()["error"]["param"]) in ((400, param), (404, param))
    assert not provider.seen
