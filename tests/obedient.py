"""A provider on loopback that does as it is told: offered tools it calls them all, given results it tells them.

It speaks all grammars, whole and streamed, by the path it is asked under, and keeps what it was asked. Asked to think,
it does so; Anthropic's thinking is signed. Below ``/chat/`` it has no Responses.
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
        if path.startswith("/chat/") and path.endswith("/responses"):
            self.send(b'{"detail": "Not Found"}', "application/json", 404)
            return
        if path.endswith(("/embeddings", "/api/embed")):
            self.send(json.dumps(embedded(path, body)).encode(), "application/json")
            return
        ends = {"/messages": "anthropic", "/api/chat": "ollama", "/responses": "responses", "/api/generate": "generate"}
        grammar = next((named for end, named in ends.items() if path.endswith(end)), "openai")
        if grammar == "generate":
            body = {**body, "messages": [{"role": "user", "content": body["prompt"]}]}
        said, calls = turn(body)
        whole, events = GRAMMARS[grammar](body, said, calls)
        own = grammar in ("ollama", "generate")
        if body.get("stream", own):
            self.send(b"".join(events), "application/x-ndjson" if own else "text/event-stream")
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
    if "input" in body:
        return item_turn(body)
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


def item_turn(body: Json) -> tuple[str, list[str]]:
    """The same for a list of items."""
    items = body["input"] if isinstance(body["input"], list) else []
    found: list[str] = []
    for item in reversed(items):
        if not str(item.get("type")).endswith("_output"):
            break
        found.insert(0, plain(item["output"]))
    if found:
        return f"They say: {', '.join(found)}.", []
    names = [tool["name"] for tool in body.get("tools") or () if tool["type"] in ("function", "custom")]
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


def responses(body: Json, said: str, calls: list[str]) -> tuple[Json, list[bytes]]:
    head = {"id": f"resp_{len(json.dumps(body))}", "object": "response", "created_at": 1, "model": body["model"]}
    items: list[Json] = []
    if body.get("reasoning"):
        thought = [{"type": "summary_text", "text": "Let me think."}]
        items.append({"id": "rs_1", "type": "reasoning", "summary": thought, "encrypted_content": "b3duCg=="})
    if said:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": said}
        items.append({"id": "msg_1", "type": "message", "status": "completed", "content": [part], "role": "assistant"})
    custom = {tool["name"] for tool in body.get("tools") or () if tool["type"] == "custom"}
    for n, name in enumerate(calls):
        kind, key = ("custom_tool_call", "input") if name in custom else ("function_call", "arguments")
        given = name if name in custom else arguments(name)
        beside = {"status": "completed", "call_id": f"call.{n}", "name": name}
        items.append({"id": f"fc_{n}", "type": kind, key: given, **beside})
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 14,
    }
    whole = {**head, "status": "completed", "error": None, "incomplete_details": None, "output": items, "usage": usage}
    begun = {**head, "status": "in_progress", "error": None, "output": [], "usage": None}
    events: list[Json] = [{"type": f"response.{word}", "response": begun} for word in ("created", "in_progress")]
    for n, item in enumerate(items):
        events += item_events(n, item)
    events.append({"type": "response.completed", "response": whole})
    numbered = [{"type": event["type"], "sequence_number": n, **event} for n, event in enumerate(events)]
    return whole, [frame(event, event["type"]) for event in numbered]


def item_events(n: int, item: Json) -> list[Json]:
    """The events of one item."""
    at: Json = {"item_id": item["id"], "output_index": n}
    kind = item["type"]
    if kind == "reasoning":
        told, empty = {**at, "summary_index": 0}, {**item, "summary": []}
        name, inner, text = "response.reasoning_summary_text", "response.reasoning_summary_part", "Let me think."
        part, key = item["summary"][0], "text"
    elif kind == "message":
        told, empty = {**at, "content_index": 0}, {**item, "content": [], "status": "in_progress"}
        name, inner, part, key = "response.output_text", "response.content_part", item["content"][0], "text"
        text = part["text"]
    else:
        key = "input" if kind == "custom_tool_call" else "arguments"
        told, empty, text, inner, part = at, {**item, key: "", "status": "in_progress"}, item[key], "", {}
        name = "response.custom_tool_call_input" if key == "input" else "response.function_call_arguments"
    events: list[Json] = [{"type": "response.output_item.added", "output_index": n, "item": empty}]
    if inner:
        events.append({"type": f"{inner}.added", **told, "part": {**part, "text": ""}})
    events += [{"type": f"{name}.delta", **told, "delta": piece} for piece in pieces(text)]
    events.append({"type": f"{name}.done", **told, key: text})
    if inner:
        events.append({"type": f"{inner}.done", **told, "part": part})
    return [*events, {"type": "response.output_item.done", "output_index": n, "item": item}]


def generate(body: Json, said: str, calls: list[str]) -> tuple[Json, list[bytes]]:
    whole, events = ollama(body, said, calls)

    def told(line: Json) -> Json:
        line["response"] = line.pop("message")["content"]
        return line | ({"context": [1, 2]} if line["done"] else {})

    return told(whole), [json.dumps(told(json.loads(event))).encode() + b"\n" for event in events]


def embedded(path: str, body: Json) -> Json:
    vectors = [[0.5, 0.25] for _ in body["input"]]
    if path.endswith("/api/embed"):
        return {"model": body["model"], "embeddings": vectors, "prompt_eval_count": 2 * len(vectors)}
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 2 * len(vectors), "total_tokens": 2 * len(vectors)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


GRAMMARS = {
    "generate": generate,
    "openai": openai,
    "anthropic": anthropic,
    "ollama": ollama,
    "responses": responses,
}
