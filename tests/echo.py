"""A provider on loopback that says what it was told, in every grammar: what it was told can then be compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import gevent
from gevent.pywsgi import WSGIServer

Body = dict[str, object]


class Echo:
    """The provider. The model's name says how: ``whole``, or ``cut-N`` for pieces of N signs.

    Args:
        moderate: judges a text; the categories that it is flagged for.
    """

    def __init__(self, moderate: Callable[[str], list[str]] = lambda text: []) -> None:
        self.asked: list[Body] = []
        self.paths: list[str] = []
        self.moderated: list[Body] = []
        self.moderate = moderate
        self.status = "200 OK"
        self.delay = 0.0
        self.breaks_after: int | None = None

    def __enter__(self) -> Echo:
        self._server = WSGIServer(("127.0.0.1", 0), self._answer, log=None, error_log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stop()

    def clear(self) -> None:
        """Forget what was asked."""
        self.asked.clear()
        self.paths.clear()
        self.moderated.clear()

    def sent(self) -> str:
        """All that was sent here, as text."""
        return json.dumps([*self.asked, *self.moderated], ensure_ascii=False)

    def _answer(self, environ, start) -> Iterator[bytes]:
        body = json.loads(environ["wsgi.input"].read())
        path = environ["PATH_INFO"]
        if path.endswith("/moderations"):
            gevent.sleep(self.delay)
            self.moderated.append(body)
            flagged = [self.moderate(text) for text in body["input"]]
            results = [{"flagged": bool(found), "categories": dict.fromkeys(found, True)} for found in flagged]
            start(self.status, [("content-type", "application/json")])
            yield json.dumps({"id": "m", "model": body["model"], "results": results}).encode()
            return
        self.asked.append(body)
        self.paths.append(path)
        if path.endswith("/count_tokens"):
            start("200 OK", [("content-type", "application/json")])
            yield json.dumps({"input_tokens": 7}).encode()
            return
        if "messages" not in body:
            start("200 OK", [("content-type", "application/json")])
            data = [
                {"object": "embedding", "index": at, "embedding": [1.0]} for at in range(len(body.get("input", ())))
            ]
            yield json.dumps({"object": "list", "model": "m", "data": data, "told": body}).encode()
            return
        grammar = anthropic if path.endswith("/messages") else ollama if path.endswith("/api/chat") else openai
        stream = bool(body.get("stream", grammar is ollama))
        kind = "application/json"
        if stream:
            kind = "application/x-ndjson" if grammar is ollama else "text/event-stream"
        start("200 OK", [("content-type", kind)])
        told = said(body)
        size = int(body["model"].partition("cut-")[2] or 0) or len(told) or 1
        pieces = [told[at : at + size] for at in range(0, len(told), size)]
        if not stream:
            pieces = [told]
        broken, self.breaks_after = self.breaks_after, None
        for number, line in enumerate(grammar(body, pieces, stream)):
            if broken is not None and number >= broken:
                raise ConnectionError
            yield line
            gevent.sleep(0)


def said(body: Body) -> str:
    """What the last message says."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _sse(data: object, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n".encode()


def openai(body: Body, pieces: list[str], stream: bool) -> Iterator[bytes]:
    """Content, and the same in two calls where there are tools; ``reasoning`` in the model's name says it there too."""
    head = {"id": "c1", "created": 5, "model": body["model"]}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    if not stream:
        choices = [{"index": index, "message": _message(body, "".join(pieces))} for index in range(body.get("n", 1))]
        choices = [{**choice, "finish_reason": "stop"} for choice in choices]
        yield json.dumps({**head, "object": "chat.completion", "choices": choices, "usage": usage}).encode()
        return
    head["object"] = "chat.completion.chunk"
    for index, delta, finish in _deltas(body, pieces):
        yield _sse({**head, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})
    yield _sse({**head, "choices": [], "usage": usage})
    yield _sse("[DONE]")


def _message(body: Body, text: str) -> Body:
    message: Body = {"role": "assistant", "content": text, "refusal": None}
    if body.get("tools"):
        call = {"type": "function", "function": {"name": "note", "arguments": _arguments(text)}}
        message["tool_calls"] = [{"id": f"call_{number}", **call} for number in range(2)]
    if "reasoning" in body["model"]:
        message["reasoning_content"] = text
    return message


def _arguments(text: str) -> str:
    return json.dumps({"said": text}, ensure_ascii=False)


def _deltas(body: Body, pieces: list[str]) -> Iterator[tuple[int, Body, str | None]]:
    count = body.get("n", 1)
    for index in range(count):
        yield index, {"role": "assistant", "content": ""}, None
    if "reasoning" in body["model"]:
        yield from ((0, {"reasoning_content": piece}, None) for piece in pieces)
    yield from ((index, {"content": piece}, None) for piece in pieces for index in range(count))
    if body.get("tools"):
        yield from ((0, {"tool_calls": [part]}, None) for part in _parts(pieces))
    yield from ((index, {}, "stop") for index in range(count))


def _parts(pieces: list[str]) -> Iterator[Body]:
    """Two calls, piece by piece, both at once."""
    arguments, size = _arguments("".join(pieces)), max(map(len, pieces))
    for number in range(2):
        call = {"index": number, "id": f"call_{number}", "type": "function"}
        yield {**call, "function": {"name": "note", "arguments": ""}}
    for at in range(0, len(arguments), size):
        for number in range(2):
            yield {"index": number, "function": {"arguments": arguments[at : at + size]}}


def anthropic(body: Body, pieces: list[str], stream: bool) -> Iterator[bytes]:
    """Text, and the same in a call where there are tools."""
    text = "".join(pieces)
    usage = {"input_tokens": 9, "output_tokens": 9}
    message = {"id": "m1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
    called = bool(body.get("tools"))
    end = "tool_use" if called else "end_turn"
    call = {"type": "tool_use", "id": "call_0", "name": "note", "input": {"said": text}}
    if not stream:
        content = [{"type": "text", "text": text}, *([call] if called else [])]
        yield json.dumps({**message, "content": content, "stop_reason": end, "usage": usage}).encode()
        return
    yield _sse({"type": "message_start", "message": {**message, "usage": usage}}, "message_start")
    yield _sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for piece in pieces:
        yield _sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    yield _sse({"type": "content_block_stop", "index": 0})
    if called:
        arguments = json.dumps(call["input"], ensure_ascii=False)
        yield _sse({"type": "content_block_start", "index": 1, "content_block": {**call, "input": {}}})
        size = max(map(len, pieces))
        for at in range(0, len(arguments), size):
            part = {"type": "input_json_delta", "partial_json": arguments[at : at + size]}
            yield _sse({"type": "content_block_delta", "index": 1, "delta": part})
        yield _sse({"type": "content_block_stop", "index": 1})
    yield _sse({"type": "message_delta", "delta": {"stop_reason": end}, "usage": usage})
    yield _sse({"type": "message_stop"})


def ollama(body: Body, pieces: list[str], stream: bool) -> Iterator[bytes]:
    """Text, and the same in a call where there are tools; its JSON is Go's, which escapes brackets."""

    def line(message: Body, done: bool, **more: object) -> bytes:
        told = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done, **more}
        text = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")
        return text.encode() + b"\n"

    calls: Body = {}
    if body.get("tools"):
        calls = {"tool_calls": [{"function": {"name": "note", "arguments": {"said": "".join(pieces)}}}]}
    end = {"done_reason": "stop", "prompt_eval_count": 9, "eval_count": 9}
    if not stream:
        yield line({"role": "assistant", "content": "".join(pieces), **calls}, True, **end)
        return
    for piece in pieces:
        yield line({"role": "assistant", "content": piece}, False)
    if calls:
        yield line({"role": "assistant", "content": "", **calls}, False)
    yield line({"role": "assistant", "content": ""}, True, **end)
