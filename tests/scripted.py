"""Providers on loopback that answer as the case in the model's name says, in the grammar of the path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from threading import Thread

from .obedient import GRAMMARS, Handler, Json, Obedient

CASES = ("text", "tools", "image", "schema", "reasoning", "truncation", "refusal", "error", "cut")
SAID, REFUSED, THOUGHT, SEEN = "Nothing to do.", "I cannot help.", "Let me think.", "I see a picture."
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Scripted(Handler):
    """Answers as the case in the model's name says."""

    def do_POST(self) -> None:  # noqa: N802  (its name in the library)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.partition("?")[0]
        found = re.search(rf"\b({'|'.join(CASES)})-\d", f"{path} {body.get('model')}")
        assert found
        case = found[1]
        ends = {"/messages": "anthropic", "/api/chat": "ollama", "/responses": "responses"}
        grammar = next((named for end, named in ends.items() if path.endswith(end)), "openai")
        if grammar not in GRAMMARS:
            return self.send(b'{"error": {"message": "There is nothing here."}}', "application/json", 404)
        if case == "error":
            return self.send(json.dumps(BROKEN[grammar]).encode(), "application/json", 500)
        named = {**body, "model": body.get("model", case)}
        whole, events = GRAMMARS[grammar](named, *script(case, body, path))
        if not body.get("stream"):
            data = mended(case, grammar, path, json.dumps(whole).encode())
            return self.cut(data, data[: len(data) // 2]) if case == "cut" else self.send(data, "application/json")
        kind = "application/x-ndjson" if grammar == "ollama" else "text/event-stream"
        told = [mended(case, grammar, path, event) for event in events]
        if case != "cut":
            return self.send(b"".join(told), kind)
        said = next(n for n, event in enumerate(told) if SAID[:4].encode() in event)
        return self.cut(b"".join(told), b"".join(told[: said + 1]), kind)

    def cut(self, announced: bytes, data: bytes, kind: str = "application/json") -> None:
        """Send less than was announced."""
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(announced)))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


BROKEN: dict[str, Json] = {
    "openai": {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": None}},
    "responses": {"error": {"message": "It broke.", "type": "server_error", "param": None, "code": None}},
    "anthropic": {"type": "error", "error": {"type": "api_error", "message": "It broke."}},
    "ollama": {"error": "It broke."},
}


def script(case: str, body: Json, path: str) -> tuple[str, list[str]]:
    """What is said, and which tools are called."""
    tools = [tool["function"]["name"] if "function" in tool else tool["name"] for tool in body.get("tools") or ()]
    if case == "tools" or (case == "schema" and tools):  # a schema may be asked for as a tool
        return "", tools
    if case == "schema":
        return json.dumps({"asked": "you"}) if '"asked"' in json.dumps(body) else SAID, []
    if case == "image":
        return SEEN if PNG in json.dumps(body) else SAID, []
    if case == "refusal" and "/openai/" not in path:
        return REFUSED, []
    return SAID, []


_STOP, _END_TURN, _DONE = b'"finish_reason": "stop"', b'"stop_reason": "end_turn"', b'"done_reason": "stop"'
_COMPLETED = b'"status": "completed", "error": null, "incomplete_details": null'
_INCOMPLETE = b'"status": "incomplete", "error": null, "incomplete_details": {"reason": "%b"}'
_UNFINISHED = (b"response.completed", b"response.incomplete")
_SAID = REFUSED.encode()
# What makes a case of an obedient provider's answer, by case and grammar; "filter" is Azure's way to refuse.
CHANGES: dict[tuple[str, str], list[tuple[bytes, bytes]]] = {
    ("truncation", "openai"): [(_STOP, b'"finish_reason": "length"')],
    ("truncation", "anthropic"): [(_END_TURN, b'"stop_reason": "max_tokens"')],
    ("truncation", "ollama"): [(_DONE, b'"done_reason": "length"')],
    ("truncation", "responses"): [(_COMPLETED, _INCOMPLETE % b"max_output_tokens"), _UNFINISHED],
    ("filter", "openai"): [(_STOP, b'"finish_reason": "content_filter"')],
    ("filter", "responses"): [(_COMPLETED, _INCOMPLETE % b"content_filter"), _UNFINISHED],
    ("refusal", "anthropic"): [(_END_TURN, b'"stop_reason": "refusal"')],
    ("refusal", "openai"): [
        (b'"content": "%b"' % _SAID, b'"content": null, "refusal": "%b"' % _SAID),
        (b'"delta": {"content"', b'"delta": {"refusal"'),
    ],
    ("refusal", "responses"): [
        (b'"type": "output_text", "annotations": [], "logprobs": [], ', b'"type": "refusal", '),
        (b"response.output_text", b"response.refusal"),
        (b'"text": ', b'"refusal": '),
    ],
    ("reasoning", "ollama"): [(b'"content": "Noth', b'"thinking": "%b", "content": "Noth' % THOUGHT.encode())],
}


def mended(case: str, grammar: str, path: str, data: bytes) -> bytes:
    """The answer of an obedient provider, changed to what the case is."""
    kind = "filter" if case == "refusal" and "/openai/" in path else case
    for before, after in CHANGES.get((kind, grammar), ()):
        data = data.replace(before, after)
    return data


@contextmanager
def scripted() -> Iterator[Obedient]:
    """The providers, on loopback."""
    server = Obedient.__new__(Obedient)
    ThreadingHTTPServer.__init__(server, ("127.0.0.1", 0), Scripted)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
