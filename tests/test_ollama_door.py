"""Ollama's doors, through a real worker: what its clients see, and what providers of each grammar are asked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ollama
import pytest
import requests

from .calls import provider
from .faulty import Faulty, text
from .obedient import Obedient, obedient
from .scripted import PNG
from .server import Server, gateway
from .test_messages import PROVIDERS, TOOLS, configured

LONG = 30
FUNCTIONS = [
    {"type": "function", "function": {"name": tool["name"], "description": "", "parameters": tool["input_schema"]}}
    for tool in ({**TOOLS[0]}, {**TOOLS[1], "name": "time"})
]
numbers = itertools.count()


@pytest.fixture(scope="module")
def _far() -> Iterator[Obedient]:
    with obedient() as server:
        yield server


@pytest.fixture(scope="module")
def server(_far: Obedient) -> Iterator[Server]:
    with gateway(configured(_far.url)) as running:
        yield running


@pytest.fixture
def far(_far: Obedient) -> Obedient:
    _far.asked.clear()
    return _far


@contextmanager
def sdk(server: Server, **more: Any) -> Iterator[ollama.Client]:
    with ollama.Client(host=server.url, timeout=LONG, **more) as client:
        yield client


def post(server: Server, path: str, body: Any, **headers: str) -> requests.Response:
    return requests.post(f"{server.url}{path}", json=body, headers=headers, timeout=LONG)


def lines(answer: requests.Response) -> list[dict[str, Any]]:
    """The objects of a stream; nothing else is in it."""
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.removesuffix("\n").split("\n")]


def asking(model: str = "openai/m", **more: Any) -> dict[str, Any]:
    """A body that no other test sends."""
    return {"model": model, "messages": [{"role": "user", "content": f"Go {next(numbers)}."}], **more}


# --- with Ollama's own client


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_loop_of_tools_comes_to_its_end_with_the_client(server, far, name, stream):
    messages: list[Any] = [{"role": "user", "content": "Go."}]
    asked: dict[str, Any] = {"model": f"{name}/m{next(numbers)}", "tools": FUNCTIONS, "think": False, "stream": stream}
    for _ in range(2):
        with sdk(server) as client:
            answer = client.chat(messages=messages, **asked)
            parts = list(answer) if stream else [answer]
        assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
        calls = [call for part in parts for call in part.message.tool_calls or ()]
        said = "".join(part.message.content or "" for part in parts)
        messages.append({"role": "assistant", "content": said, "tool_calls": calls})
        messages += [
            {"role": "tool", "tool_name": call.function.name, "content": f"{call.function.name} is well"}
            for call in calls
        ]
        if not calls:
            break
        assert [call.function.arguments for call in calls] == [{"asked": "weather"}, {"asked": "time"}]

    assert said == "They say: weather is well, time is well."
    assert parts[-1].done_reason == "stop"
    assert (parts[-1].prompt_eval_count, parts[-1].eval_count) == (9, 5)
    assert len(far.asked) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", PROVIDERS[:3])
def test_a_prompt_is_answered_with_the_client(server, far, name, stream):
    with sdk(server) as client:
        answer = client.generate(f"{name}/m{next(numbers)}", "Go.", system="Be brief.", stream=stream)
        parts = list(answer) if stream else [answer]

    assert "".join(part.response for part in parts) == "Nothing to do."
    assert (parts[-1].done, parts[-1].done_reason) == (True, "stop")
    assert parts[-1].eval_duration > 0
    assert "Be brief." in json.dumps(far.asked[0][2])


def test_the_client_lists_and_describes_what_it_may_ask_for(server):
    with sdk(server) as client:
        listed = [model.model for model in client.list().models]
        shown = client.show("eco")
        loaded = client.ps().models
        with pytest.raises(ollama.ResponseError) as caught:
            client.show("nowhere")

    assert {"auto", "eco", "openai/m"} <= set(listed)
    assert shown.capabilities == ["completion", "tools", "vision", "thinking"]
    assert loaded == []
    assert (caught.value.status_code, caught.value.error) == (404, "model 'nowhere' not found")


@pytest.mark.parametrize("name", PROVIDERS[:3])
@pytest.mark.parametrize(
    ("path", "member", "value"),
    [
        ("/api/chat", "temperature", [[]]),
        ("/api/chat", "n", "two"),
        ("/api/chat", "functions", 5),
        ("/api/chat", "prompt", "Come."),
        ("/api/generate", "tools", 5),
        ("/api/generate", "messages", ["hello"]),
        ("/api/generate", "max_tokens", {"at": "most"}),
    ],
)
def test_a_member_that_the_grammar_lacks_is_taken_for_nobody_elses(server, far, name, path, member, value):
    asked = {"prompt": f"Go {next(numbers)}."} if path == "/api/generate" else asking()
    answer = post(server, path, {**asked, "model": f"{name}/m", member: value, "stream": False})

    assert answer.status_code == 200, answer.text
    assert answer.headers["x-aura-dropped"] == member
    assert json.dumps(value) not in json.dumps({**far.asked[-1][2], "messages": None})


@pytest.mark.parametrize("name", [None, 5, "", "../../etc/passwd", "a b", "x" * 300])
def test_what_is_no_models_name_is_not_described_nor_told_again(server, name):
    answer = post(server, "/api/show", {"model": name})

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("model: ")
    assert "etc" not in answer.text


def test_an_error_reaches_the_client_in_its_own_form(server):
    for stream in (False, True):
        with sdk(server) as client, pytest.raises(ollama.ResponseError) as caught:
            list(client.chat("nobody/m", [{"role": "user", "content": "x"}], stream=stream))

        assert caught.value.status_code == 404
        assert "nobody/m" in caught.value.error


# --- what providers are asked


def test_an_ollama_server_is_asked_what_the_client_asked(server, far):
    body = asking(
        "ollama/llama",
        tools=FUNCTIONS,
        think="low",
        keep_alive="5m",
        format={"type": "object"},
        options={"num_ctx": 2048, "top_k": 3, "num_predict": 9, "mirostat": 1},
        a_member_of_next_year=[1, None],
        stream=False,
    )
    answer = post(server, "/api/chat", body)
    [(path, _, sent)] = far.asked

    assert path == "/api/chat"
    assert sent == {**body, "model": "llama"}
    assert "x-aura-dropped" not in answer.headers


def test_an_ollama_servers_lines_are_passed_on_as_they_are(server, far):
    answer = post(server, "/api/chat", asking("ollama/llama"))

    assert [line.get("created_at") for line in lines(answer)] == ["2026-03-04T05:06:07.5Z"] * 3
    assert far.asked[0][2].get("stream") is None


@pytest.mark.parametrize("name", PROVIDERS[:3])
def test_another_grammar_is_asked_in_its_own_words_and_the_rest_is_named(server, far, name):
    body = asking(
        f"{name}/m",
        options={"temperature": 0.5, "num_predict": 50, "stop": ["END"], "num_ctx": 2048, "min_p": 0.1, "num_gpu": 1},
        keep_alive=300,
        think=False,
        stream=False,
    )
    headers = post(server, "/api/chat", body).headers
    [(_, _, sent)] = far.asked

    assert sent["temperature"] == 0.5
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 50
    assert sent.get("stop", sent.get("stop_sequences")) == ["END"]
    assert headers["x-aura-dropped"] == "min_p"
    assert not {"options", "keep_alive", "think", "num_ctx", "num_gpu", "aura_native", "min_p"} & sent.keys()


@pytest.mark.parametrize("name", PROVIDERS[:3])
def test_images_and_schemas_are_told_in_each_grammars_form(server, far, name):
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    body = asking(f"{name}/m", format=schema, stream=False)
    body["messages"][0]["images"] = [PNG]
    assert post(server, "/api/chat", body).status_code == 200
    sent = json.dumps(far.asked[0][2])

    assert PNG in sent
    assert "image/png" in sent
    assert '"required": ["a"]' in sent


def test_a_result_without_its_call_is_said_by_the_user(server, far):
    """Some clients leave the calls out of the history."""
    messages = [{"role": "user", "content": "Go."}, {"role": "assistant"}, {"role": "tool", "content": "15 degrees"}]
    assert post(server, "/api/chat", asking(messages=messages, stream=False)).status_code == 200

    assert far.asked[0][2]["messages"][-1] == {"role": "user", "content": "15 degrees"}


@pytest.mark.parametrize("form", ["json", {"type": "object", "properties": {}}])
def test_a_broken_chat_is_refused_by_its_path(server, form):
    cases = [
        (asking(messages="x"), "messages"),
        (asking(messages=[{"role": "robot", "content": "x"}]), "messages.0.role"),
        (asking(messages=[{"role": "user", "content": 5}]), "messages.0.content"),
        (asking(format=form, options={"num_predict": "9"}), "options.num_predict"),
        (asking(format=form, options={"top_k": "9"}), "options.top_k"),
        (asking(stream="yes"), "stream"),
        (asking(think="much"), "think"),
        (asking(api_key="x"), "api_key"),
    ]
    for body, where in cases:
        answer = post(server, "/api/chat", body)

        assert (answer.status_code, answer.json().keys()) == (400, {"error"})
        assert answer.json()["error"].startswith(f"{where}: ")


@pytest.mark.parametrize("more", [{"raw": True}, {"suffix": "end"}, {"template": "{{ .Prompt }}"}, {"context": [1]}])
def test_what_only_ollama_has_is_refused_elsewhere_by_its_name(server, far, more):
    body = {"model": "openai/m", "prompt": "Go.", **more}
    answer = post(server, "/api/generate", body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{next(iter(more))}: ")
    assert far.asked == []


def test_a_generation_is_forwarded_to_an_ollama_server_whole(server, far):
    body = {"model": "ollama/llama", "prompt": "Go.", "raw": True, "suffix": "end", "stream": False, "odd": 1}
    answer = post(server, "/api/generate", body)
    [(path, _, sent)] = far.asked

    assert (path, sent) == ("/api/generate", {**body, "model": "llama"})
    assert answer.json()["response"] == "Nothing to do."
    assert answer.json()["context"] == [1, 2]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/api/chat", {"messages": []}, "load"),
        ("/api/chat", {"keep_alive": 0}, "unload"),
        ("/api/generate", {}, "load"),
        ("/api/generate", {"prompt": "", "keep_alive": 0}, "unload"),
    ],
)
def test_a_request_that_only_loads_a_model_asks_nobody(server, far, path, body, reason):
    """Clients load a model before they chat."""
    answer = post(server, path, {"model": "openai/m:latest", **body})

    assert answer.status_code == 200
    assert (answer.json()["done"], answer.json()["done_reason"]) == (True, reason)
    assert far.asked == []
    assert post(server, path, {"model": "nobody/m", **body}).status_code == 404


def test_the_tag_that_ollama_takes_for_granted_may_be_said(server, far):
    assert post(server, "/api/chat", asking("eco:latest", stream=False)).headers["x-aura-tier"] == "ECO"


# --- streams


def test_a_stored_answer_is_told_whole_and_line_by_line(server, far):
    body = asking("openai/m", options={"temperature": 0})
    first = post(server, "/api/chat", {**body, "stream": False})
    again = post(server, "/api/chat", body)

    assert again.headers["x-aura-cache"] == "hit"
    assert "".join(line["message"]["content"] for line in lines(again)) == first.json()["message"]["content"]
    assert len(far.asked) == 1


def test_thinking_is_told_beside_the_answer_unless_it_is_not_wanted(server):
    told = post(server, "/api/chat", asking("openai/m", think=True, stream=False)).json()["message"]
    streamed = lines(post(server, "/api/chat", asking("openai/m", think="high")))
    hidden = post(server, "/api/chat", asking("openai/m", think=False, stream=False)).json()["message"]

    assert told["thinking"] == "Let me think."
    assert "".join(line["message"].get("thinking", "") for line in streamed) == "Let me think."
    assert "thinking" not in hidden


@pytest.fixture(scope="module")
def broken() -> Iterator[tuple[Server, Faulty, Faulty]]:
    with Faulty() as first, Faulty() as second:
        config = "aura:\n  log: {level: WARNING}\n  providers:\n"
        for name, at in (("first", first), ("second", second)):
            config += provider(name, at.url) + provider(f"{name}-llama", at.url, kind="ollama")
        with gateway(config) as server:
            yield server, first, second


@pytest.mark.parametrize("options", [{}, {"temperature": 0}])
@pytest.mark.parametrize("other", ["second/m", "second-llama/m"])
@pytest.mark.parametrize("one", ["first/m", "first-llama/m"])
def test_a_stream_that_breaks_off_is_continued_by_another(broken, one, other, options):
    """Also behind lines that were passed on as they came, and where identical calls share them."""
    server, first, _ = broken
    first.next.append("cut:after:4")
    nonce = f"nonce-{next(numbers)}"
    body = {"model": one, "fallbacks": [other], "messages": [{"role": "user", "content": f"{nonce} tell me"}]}
    body["options"] = options
    told = lines(post(server, "/api/chat", body))

    assert "".join(line["message"]["content"] for line in told) == text(nonce)
    assert [line["done"] for line in told] == [False] * (len(told) - 1) + [True]


@pytest.mark.parametrize("one", ["first/m", "first-llama/m"])
def test_a_stream_that_cannot_go_on_ends_in_one_line_with_an_error(broken, one):
    server, first, _ = broken
    first.next.extend(["cut:after:4", "status:code:500", "status:code:500"])
    told = lines(post(server, "/api/chat", asking(one)))
    first.next.clear()  # how often it is tried is not this test's

    assert told[-1].keys() == {"error"}
    assert len(told) > 1
    assert not any(line.get("done") for line in told)


# --- embeddings, keys


def test_embeddings_are_told_in_both_forms(server, far):
    with sdk(server) as client:
        batch = client.embed("openai/e", ["one", "two"], dimensions=3, options={"num_ctx": 9}, keep_alive=3)
        sent = far.asked[-1][2]
        one = client.embeddings("ollama/e", "one")

    assert len(batch.embeddings) == 2
    assert batch.prompt_eval_count == 4
    assert sent == {"model": "e", "input": ["one", "two"], "dimensions": 3, "encoding_format": "float"}
    assert list(one.embedding) == [0.5, 0.25]
    assert far.asked[-1][2] == {"model": "e", "input": ["one"], "truncate": True}
    assert post(server, "/api/embed", {"model": "openai/e", "input": [1, 2]}).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/api/embed", {"input": ""}, {"model": "openai/e", "embeddings": []}),
        ("/api/embed", {"input": []}, {"model": "openai/e", "embeddings": []}),
        ("/api/embed", {}, {"model": "openai/e", "embeddings": []}),
        ("/api/embeddings", {"prompt": ""}, {"embedding": []}),
        ("/api/embeddings", {}, {"embedding": []}),
    ],
)
def test_a_request_that_embeds_nothing_only_loads_a_model_and_asks_nobody(server, far, path, body, told):
    loaded = post(server, path, {"model": "openai/e", **body})
    unknown = post(server, path, {"model": "nobody/e", **body})

    assert (loaded.status_code, loaded.json()) == (200, told)
    assert unknown.status_code in (400, 404)
    assert far.asked == []


def test_a_key_is_asked_for_and_sent_as_bearer(far):
    keys = "  auth: {keys: [{name: team, key: sk-client-0123456789}]}\n"
    with gateway(configured(far.url, keys)) as server:
        refused = [requests.get(f"{server.url}/api/{path}", timeout=LONG) for path in ("tags", "version", "ps")]
        with sdk(server, headers={"authorization": "Bearer sk-client-0123456789"}) as client:
            allowed = client.chat("openai/m", [{"role": "user", "content": "Go."}])

    assert [answer.status_code for answer in refused] == [401] * 3
    assert refused[0].json().keys() == {"error"}
    assert allowed.message.content == "Nothing to do."


def test_the_version_is_one_that_clients_accept(server):
    told = requests.get(f"{server.url}/api/version", timeout=LONG).json()["version"]

    assert tuple(map(int, told.split("."))) >= (0, 6, 4)
