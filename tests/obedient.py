"""A provider on loopback that does as it is told: offered tools it calls them all, given results it tells them.

It speaks all grammars, whole and streamed, by the path it is asked under, and keeps what it was asked. Asked to think,
it does so; Anthropic's thinking is signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Json = dict[str, Any]
COUNT = 4711


class Obedient(ThreadingHTTPServer):
    """The server; ``asked`` holds path, headers and body of every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str], Json]] = []
        self.counts = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def obedient() -> Iterator[Obedient]:
    server = Obedient()
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Obedient

    def log_message(self, *_args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.partition("?")[0]
        self.server.asked.append((path, {name.lower(): value for name, value in self.headers.items()}, body))
        if path.endswith("/count_tokens"):
            told = {"input_tokens": COUNT} if self.server.counts else {"type": "error", "error": {"type": "api_error"}}
            self.send(json.dumps(told).encode(), "application/json", 200 if self.server.counts else 500)
            return
        grammar = "anthropic" if path.endswith("/messages") else "ollama" if path.endswith("/api/chat") else "openai"
        said, calls = turn(body)
        whole, events = GRAMMARS[grammar](body, said, calls)
        if body.get("stream"):
            self.send(b"".join(events), "application/x-ndjson" if grammar == "ollama" else "text/event-stream")
        else:
            self.send(json.dumps(whole).encode(), "application/json")

    def send(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def turn(body: Json) -> tuple[str, list[str]]:
    """What is said, or the names of the tools that are called."""
    found: list[str] = []
    for message in reversed(body["messages"]):
        content = message.get("content")
        blocks = content if isinstance(content, list) else []
        results = [block.get("content", "") for block in blocks if block.get("type") == "tool_result"]
        if message["role"] == "tool":
            results = [content]
        if not results and message["role"] != "user":
            break
        found = [*map(plain, results), *found]
    if found:
        return f"They say: {', '.join(found)}.", []
    names = [tool["function"]["name"] if "function" in tool else tool["name"] for tool in body.get("tools") or ()]
    return ("", names) if names else ("Nothing to do.", [])


def plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def pieces(text: str) -> list[str]:
    return [text[:4], text[4:]] if len(text) > 4 else [text]


def frame(body: Json, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(body).encode() + b"\n\n"


def arguments(name: str) -> str:
    return json.dumps({"asked": name})


def openai(body: Json, said: str, calls: list[str]) -> tuple[Json, list[bytes]]:
    head = {"id": "chatcmpl-1", "created": 1, "model": body["model"]} if "model" in body else {"id": "1", "created": 1}
    thought = "Let me think." if body.get("reasoning_effort") else None
    told = [
        {"id": f"call.{n}", "type": "function", "function": {"name": name, "arguments": arguments(name)}}
        for n, name in enumerate(calls)
    ]
    message = {"role": "assistant", "content": said or None, "reasoning_content": thought, "tool_calls": told or None}
    finish = "tool_calls" if calls else "stop"
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in pieces(thought or "")]
    deltas += [{"content": piece} for piece in pieces(said)]
    for n, call in enumerate(told):
        empty = {**call["function"], "arguments": ""}  # type: ignore[dict-item]
        deltas.append({"tool_calls": [{"index": n, **call, "function": empty}]})
        deltas += [{"tool_calls": [{"index": n, "function": {"arguments": p}}]} for p in pieces(arguments(calls[n]))]
    ends: list[tuple[Json, str | None]] = [*((delta, None) for delta in deltas), ({}, finish)]
    chunks = [{**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": d, "finish_reason": f}]}
              for d, f in ends]  # fmt: skip
    chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    whole = {**head, "object": "chat.completion", "choices": choices, "usage": usage}
    return whole, [*map(frame, chunks), b"data: [DONE]\n\n"]


def anthropic(body: Json, said: str, calls: list[str]) -> tuple[Json, list[bytes]]:
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    blocks: list[Json] = [{"type": "thinking", "thinking": "Let me think.", "signature": "c2lnbmVk"}] if thinks else []
    blocks += [{"type": "text", "text": said}] if said else []
    blocks += [{"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": {"asked": name}}
               for n, name in enumerate(calls)]  # fmt: skip
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
    end = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
    usage = {"input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2, "output_tokens": 5}
    begun = {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": {**usage, "output_tokens": 1}}
    events: list[Json] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for n, block in enumerate(blocks):
        kind = block["type"]
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[kind]
        deltas = {
            "text": [{"type": "text_delta", "text": piece} for piece in pieces(said)],
            "thinking": [{"type": "thinking_delta", "thinking": "Let me think."},
                         {"type": "signature_delta", "signature": "c2lnbmVk"}],
            "tool_use": [{"type": "input_json_delta", "partial_json": piece}
                         for piece in pieces(json.dumps(block.get("input")))],
        }[kind]  # fmt: skip
        events.append({"type": "content_block_start", "index": n, "content_block": {**block, **empty}})
        events += [{"type": "content_block_delta", "index": n, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": n})
    events += [{"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}}, {"type": "message_stop"}]
    return {**head, "content": blocks, **end, "usage": usage}, [frame(event, event["type"]) for event in events]


def ollama(body: Json, said: str, calls: list[str]) -> tuple[Json, list[bytes]]:
    told = [{"function": {"name": name, "arguments": {"asked": name}}} for name in calls]
    head = {"model": body["model"], "created_at": "2026-03-04T05:06:07.5Z"}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 5}
    message = {"role": "assistant", "content": said, "tool_calls": told}
    lines = [{**head, "message": {"role": "assistant", "content": piece}, "done": False} for piece in pieces(said)]
    lines += [{**head, "message": {"role": "assistant", "content": "", "tool_calls": [c]}, "done": False} for c in told]
    lines.append({**head, "message": {"role": "assistant", "content": ""}, **end})
    return {**head, "message": message, **end}, [json.dumps(line).encode() + b"\n" for line in lines]


GRAMMARS = {"openai": openai, "anthropic": anthropic, "ollama": ollama}
