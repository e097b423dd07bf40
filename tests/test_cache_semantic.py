"""Answers to the same question in other words: to whom they are given, and to whom not."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import gevent
import pytest
import requests

from aura.cache import AnswerCache, LocalCache, Semantic
from aura.cache.likeness import StaticModel
from aura.cache.local import Memory
from aura.call import Call, Plan, Target
from aura.errors import BadRequest
from aura.settings import CacheSettings

from .calls import provider
from .configuration.loading import loaded, problems
from .faulty import Faulty
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("cache")

ANSWER = {
    "id": "x",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Lima"}, "finish_reason": "stop"}],
}
ASKED, OTHERWISE = "What is the capital of Peru?", "can you tell me what the capital of peru is"
SYSTEM = {"role": "system", "content": "Be brief."}


class World:
    """A cache that takes texts for as alike as the test says."""

    def __init__(self, likeness: float | None = 0.9, **settings: Any) -> None:
        self.now = 1000.0
        self.compared: list[tuple[str, str]] = []
        self.likeness = likeness
        self.store = LocalCache(Memory(100, 10**6))
        self.cache = AnswerCache(
            self.store, CacheSettings(**settings), lambda: self.now, semantic=Semantic(self._compare, 0.7)
        )

    def _compare(self, one: str, other: str) -> float | None:
        self.compared.append((one, other))
        return self.likeness

    def put(self, call: Call, plan: str = "plan") -> None:
        made = Plan([], None, signature=plan)
        self.cache.put(self.cache.key(call, made) or "", Target("openai", "gpt-4o"), ANSWER, call, made)

    def hit(self, call: Call, plan: str = "plan") -> bool:
        made = Plan([], None, signature=plan)
        key = self.cache.key(call, made)
        return key is not None and self.cache.get(key, call, made) is not None


def call(text: Any, *before: dict, caller: str = "", control: str = "", **body: Any) -> Call:
    headers = {"cache-control": control} if control else {}
    return Call(
        "id", {"messages": [*before, {"role": "user", "content": text}], **body}, caller=caller, headers=headers
    )


def test_a_question_in_other_words_has_the_same_answer():
    world, asked = World(), call(OTHERWISE)
    world.put(call(ASKED))

    assert world.hit(asked)
    assert (asked.cache, asked.similarity) == ("hit", 0.9)
    assert world.compared == [(OTHERWISE, ASKED)]


def test_the_same_call_is_not_compared():
    world, asked = World(), call(ASKED)
    world.put(call(ASKED))

    assert world.hit(asked)
    assert (asked.similarity, world.compared) == (None, [])


@pytest.mark.parametrize("likeness", [None, 0.0, 0.69])
def test_words_that_are_not_alike_enough_or_cannot_be_compared_are_a_miss(likeness):
    world, asked = World(likeness), call(OTHERWISE)
    world.put(call(ASKED))

    assert not world.hit(asked)
    assert (asked.cache, asked.similarity) == ("miss", None)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        (call(ASKED, caller="a"), call(OTHERWISE, caller="b")),
        (call(ASKED), call(OTHERWISE, aura={"cache": {"namespace": "n"}})),
        (call(ASKED), call(OTHERWISE, SYSTEM)),
        (call(ASKED, SYSTEM), call(OTHERWISE, {"role": "system", "content": "Be brief"})),
        (call(ASKED, temperature=0), call(OTHERWISE, temperature=0.5)),
        (call(ASKED, max_tokens=10), call(OTHERWISE)),
        (call(ASKED), call(OTHERWISE, seed=1)),
        (call(ASKED), call("What is the capital of Paraguay?")),
        (call(ASKED), call("What is not the capital of Peru?")),
    ],
)
def test_whatever_else_differs_is_another_question(stored, asked):
    world = World()
    world.put(stored)

    assert not world.hit(asked)
    assert not world.compared


def test_another_plan_is_another_question():
    world = World()
    world.put(call(ASKED), "plan of ECO")

    assert not world.hit(call(OTHERWISE), "plan of PREMIUM")


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"logprobs": True},
        {"anything_new": 1},
    ],
)
def test_a_call_that_wants_more_than_a_text_has_no_part_in_it(more):
    world = World()
    world.put(call(ASKED, **more))

    assert not world.hit(call(OTHERWISE, **more))


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        [{"role": "user", "content": "What is the capital of Chile?"}],
    ],
)
def test_a_conversation_has_no_part_in_it(messages):
    """What "it" means in a later question stands in an earlier one."""
    world = World()
    world.put(call(ASKED, *messages))

    assert not world.hit(call(OTHERWISE, *messages))


@pytest.mark.parametrize(
    ("content", "hit"),
    [
        ([{"type": "text", "text": OTHERWISE}], True),
        ([{"type": "text", "text": OTHERWISE}, {"type": "text", "text": OTHERWISE}], False),
        ([{"type": "text", "text": OTHERWISE}, {"type": "image_url", "image_url": {"url": "data:,"}}], False),
        ([{"type": "text", "text": OTHERWISE, "cache_control": {"type": "ephemeral"}}], False),
    ],
)
def test_only_one_plain_text_is_a_question(content, hit):
    world = World()
    world.put(call(ASKED))

    assert world.hit(call(content)) == hit


@pytest.mark.parametrize(
    ("asked", "hit"),
    [
        (call(OTHERWISE), True),
        (call(OTHERWISE, stream=True, user="u", metadata={"a": "b"}), True),
        (call(OTHERWISE, aura={"cache": {"mode": "exact"}}), False),
        (call(OTHERWISE, aura={"cache": {"mode": "refresh"}}), False),
        (call(OTHERWISE, aura={"cache": False}), False),
        (call(OTHERWISE, control="no-cache"), False),
        (call(OTHERWISE, control="no-store"), False),
        (call(OTHERWISE, control="max-age=5"), False),
        (call(OTHERWISE, control="max-age=20"), True),
        (call(OTHERWISE, control="only-if-cached"), True),
    ],
)
def test_a_call_says_whether_it_takes_such_an_answer(asked, hit):
    world = World()
    world.put(call(ASKED))
    world.now += 10

    assert world.hit(asked) == hit


@pytest.mark.parametrize("part", [{"tenant": "a"}, {"namespace": ""}, {"model": "gpt-4o"}, {}])
def test_a_purge_takes_what_leads_to_an_answer_too(part):
    world = World()
    world.put(call(ASKED, caller="a"))
    world.cache.purge(**part)

    assert world.store.usage()[0] == 0


def test_an_answer_that_is_gone_is_a_miss():
    world = World()
    world.put(call(ASKED))
    world.store.delete(world.cache.key(call(ASKED), Plan([], None, signature="plan")) or "")

    assert not world.hit(call(OTHERWISE))


@pytest.mark.parametrize("poison", [b"x", b'{"key": 1, "text": "t"}', b"[]", b"null"])
def test_what_leads_nowhere_is_a_miss_and_deleted(poison, monkeypatch):
    world = World()
    monkeypatch.setattr("aura.cache.answers.pointer", lambda _key, _question: poison)
    world.put(call(ASKED))

    assert world.store.usage()[0] == 2
    assert not world.hit(call(OTHERWISE))
    assert world.store.usage()[0] == 1


def test_the_model_tells_more_and_less_alike():
    model = StaticModel()

    assert model(ASKED, ASKED) == pytest.approx(1)
    assert model(ASKED, OTHERWISE) > 0.7
    assert model(ASKED, "how do I bake bread") < 0.3
    assert model("", ASKED) == 0


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("near", "must be none, local or provider/model"),
        ("openai/", "must be none, local or provider/model"),
        ("nobody/text-embedding-3-small", "names a provider that is not on: 'nobody'"),
    ],
)
def test_what_cannot_compare_is_refused_at_the_start(said, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert [told for _, told in problems(f"aura: {{cache: {{semantic: {said}}}}}")] == [problem]


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aura.configuration.checks.find_spec", lambda _name: None)

    [(_, told)] = problems("aura: {cache: {semantic: local}}")

    assert "pip install 'aura-gateway[semantic]'" in told


def test_it_is_off_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert loaded().cache.semantic == "none"


# --- served


@pytest.fixture(scope="module")
def upstream() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


class Embedder(ThreadingHTTPServer):
    """A provider's embeddings: of the first three letters' places in the alphabet."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Embeds)
        self.asked: list[dict] = []
        self.status = 200
        self.pause = 0.0


class _Embeds(BaseHTTPRequestHandler):
    server: Embedder

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append({"path": self.path, "key": self.headers["authorization"], **body})
        gevent.sleep(self.server.pause)
        vectors = [[1.0, 2.0, 3.0 + number] for number in range(len(body["input"]))]
        data = [{"index": number, "embedding": vector} for number, vector in reversed(list(enumerate(vectors)))]
        said = json.dumps({"object": "list", "data": data}).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def embedder() -> Iterator[Embedder]:
    server = Embedder()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(server: Server, text: str, **more: object) -> requests.Response:
    body = {"model": "first/ok", "messages": [{"role": "user", "content": text}], **more}
    return requests.post(f"{server.url}/v1/chat/completions", json=body, timeout=20)


def test_a_question_in_other_words_hits_at_every_worker(upstream):
    config = f"aura:\n  cache: {{semantic: local}}\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config, workers=2) as server:
        first = ask(server, ASKED)
        again = [ask(server, text) for text in (OTHERWISE, "what's the capital of Peru", "What is Peru's capital?") * 4]
        stream = ask(server, OTHERWISE, stream=True)
        others = [ask(server, text) for text in ("What is the capital of Paris?", "What is not the capital of Peru?")]
        shown = requests.get(f"{server.url}/actuator/prometheus", timeout=10).text
        log = server.log()

    assert first.headers["x-aura-cache"] == "miss"
    assert {answer.headers["x-aura-cache"] for answer in (*again, stream)} == {"hit"}
    assert [answer.json() for answer in again] == [first.json()] * len(again)
    assert all(0.7 <= float(answer.headers["x-aura-cache-similarity"]) <= 1 for answer in (*again, stream))
    assert {answer.headers["x-aura-cache"] for answer in others} == {"miss"}
    assert stream.text.endswith("data: [DONE]\n\n")
    assert re.search(r"^aura_cache_semantic_hits_total 13\.0$", shown, re.MULTILINE)
    assert re.search(r"^aura_cache_hits_total 13\.0$", shown, re.MULTILINE)
    assert len(re.findall(r'"similarity":0\.\d+', log)) == 13
    assert "Peru" not in log


def compared_at(embedder: Embedder, upstream: Faulty, pii: str = "off") -> AbstractContextManager[Server]:
    url = f"http://127.0.0.1:{embedder.server_address[1]}/v1"
    return gateway(
        f"aura:\n  guardrails: {{pii: {pii}}}\n"
        "  cache: {semantic: other/small, semantic-timeout: 300ms}\n  providers:\n"
        f"{provider('first', upstream.url)}\n"
        f"    other: {{type: openai, base-url: '{url}', api-key: sk-other-0123456789, extra-models: [small]}}\n"
    )


@pytest.fixture
def embedding(upstream: Faulty, embedder: Embedder) -> Iterator[Server]:
    with compared_at(embedder, upstream) as server:
        yield server


def test_a_provider_is_asked_about_a_candidate_alone(embedding, embedder):
    ask(embedding, ASKED)
    ask(embedding, "What is the capital of Chile?")
    before = list(embedder.asked)
    hit = ask(embedding, OTHERWISE)

    assert before == []
    assert hit.headers["x-aura-cache"] == "hit"
    assert 0.98 < float(hit.headers["x-aura-cache-similarity"]) < 1
    assert embedder.asked == [
        {
            "path": "/v1/embeddings",
            "key": "Bearer sk-other-0123456789",
            "model": "small",
            "input": [OTHERWISE, ASKED],
            "encoding_format": "float",
        }
    ]


@pytest.mark.parametrize(("pii", "hit", "compared"), [("off", "hit", 1), ("mask", "miss", 0)])
def test_what_is_masked_is_neither_compared_nor_given_for_other_words(embedder, upstream, pii, hit, compared):
    """A key in other capitals is another key; "Jo" is none of the values that are looked for."""
    named = "What is the owner of sk-proj-{}12Cd34Ef56Gh78Ij90Kl12?"
    with compared_at(embedder, upstream, pii) as server:
        ask(server, named.format("Ab"))
        again = ask(server, named.format("aB"))
        embedded = len(embedder.asked)
        ask(server, "What is the owner of Jo?")
        other = ask(server, "tell me what the owner of jo is")

    assert again.headers["x-aura-cache"] == hit
    assert embedded == compared
    assert other.headers["x-aura-cache"] == "hit"


@pytest.mark.parametrize(("status", "pause"), [(500, 0.0), (401, 0.0), (200, 1.5)])
def test_embeddings_that_fail_or_are_slow_cost_no_call_and_are_let_alone_for_a_while(
    embedding, embedder, status, pause
):
    embedder.status, embedder.pause = status, pause
    ask(embedding, ASKED)
    answers = [
        ask(embedding, f"{text} the capital of Peru?") for text in ("What's", "what is", "Tell me") for _ in "12"
    ]
    log = embedding.log()

    assert {answer.status_code for answer in answers} == {200}
    assert len(embedder.asked) == 1
    assert log.count('"store":"embeddings"') == 1
    assert "sk-other" not in log


def test_a_provider_without_embeddings_is_refused_at_the_start(tmp_path, monkeypatch):
    from aura.app import create_app
    from aura.configuration import ConfigurationError

    monkeypatch.chdir(tmp_path)
    settings = loaded("aura: {cache: {semantic: demo/x}, providers: {demo: {type: demo}}}")

    with pytest.raises(ConfigurationError, match="demo offers no embeddings"):
        create_app(settings)


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(BadRequest, match="exact"):
        World().hit(call(ASKED, aura={"cache": {"mode": "alike"}}))
