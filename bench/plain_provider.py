"""The provider of ``native/provider.c`` in Python: where there is no C compiler, and where TLS is to be spoken.

::

    python -m bench.plain_provider PORT [CERTIFICATE]    # 0: any port; it is printed

A certificate is a PEM file with its key. Slower than a gateway worth measuring: on a core of its own it shows a
gateway's CPU all the same, never its requests a second.
"""

from gevent import monkey

monkey.patch_all()

import ssl  # noqa: E402  (nothing may be imported before the patch)
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402
from urllib.parse import parse_qs, urlsplit  # noqa: E402

import gevent  # noqa: E402
import orjson  # noqa: E402
from gevent.server import StreamServer  # noqa: E402

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_USAGE = {"prompt_tokens": 60, "completion_tokens": 100, "total_tokens": 160}
_MESSAGE = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-3-5-haiku-20241022"}


class Behaviour:
    """How answers come, and what was asked since that was last set."""

    def __init__(self) -> None:
        self.wait = self.gap = 0.0
        self.chunks = 100
        self.connections = self.requests = 0

    def set(self, path: str) -> bytes:
        """Take over what a request for ``/behave`` says; returns the counts."""
        said = {name: int(values[0]) for name, values in parse_qs(urlsplit(path).query).items()}
        self.wait = said.get("wait", self.wait * 1e3) / 1e3
        self.gap = said.get("gap", self.gap * 1e6) / 1e6
        self.chunks = said.get("chunks", self.chunks)
        counts = {"connections": self.connections, "requests": self.requests}
        self.connections = self.requests = 0
        return orjson.dumps(counts)


def whole(path: str) -> bytes:
    """An answer in one body."""
    text = "words " * 90
    if path.endswith("/messages"):
        content = [{"type": "text", "text": text}]
        usage = {"input_tokens": 60, "output_tokens": 90}
        return orjson.dumps({**_MESSAGE, "content": content, "stop_reason": "end_turn", "usage": usage})
    message = {"role": "assistant", "content": text, "refusal": None}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    return orjson.dumps({**_completion("chat.completion"), "choices": choices, "usage": _USAGE})


def _completion(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-bench", "object": kind, "created": 1_700_000_000, "model": "gpt-4o-mini-2024-07-18"}


def framed(data: bytes, name: str = "") -> bytes:
    """An event as one chunk of HTTP."""
    event = (f"event: {name}\n".encode() if name else b"") + b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


class Grammar:
    """The events of a stream."""

    def __init__(self, path: str) -> None:
        self._anthropic = path.endswith("/messages")

    def _event(self, event: dict[str, Any]) -> bytes:
        return framed(orjson.dumps(event), event["type"] if self._anthropic else "")

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        return self._event({**_completion("chat.completion.chunk"), "choices": choices, "usage": None})

    def begin(self) -> bytes:
        """What comes before the text."""
        if not self._anthropic:
            return self._chunk({"role": "assistant", "content": ""})
        usage = {"input_tokens": 60, "output_tokens": 1}
        message = {**_MESSAGE, "content": [], "stop_reason": None, "usage": usage}
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        return self._event({"type": "message_start", "message": message}) + self._event(block)

    def text(self) -> bytes:
        """A piece of text, with the time."""
        text = f" @{time.monotonic_ns() // 1000:016}"
        if not self._anthropic:
            return self._chunk({"content": text})
        return self._event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})

    def end(self) -> bytes:
        """What comes behind it, and the end of the answer."""
        if not self._anthropic:
            usage = {**_completion("chat.completion.chunk"), "choices": [], "usage": _USAGE}
            return self._chunk({}, "stop") + self._event(usage) + framed(b"[DONE]") + b"0\r\n\r\n"
        delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 100}}
        events = ({"type": "content_block_stop", "index": 0}, delta, {"type": "message_stop"})
        return b"".join(map(self._event, events)) + b"0\r\n\r\n"


def serve(link: Any, behaviour: Behaviour) -> None:
    """Answer the requests of one connection."""
    behaviour.connections += 1
    buffer = b""
    try:
        while True:
            while b"\r\n\r\n" not in buffer:
                data = link.recv(65536)
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0] or 0)
            while len(buffer) < length:
                buffer += link.recv(65536)
            body, buffer = buffer[:length], buffer[length:]
            answer(link, behaviour, head.split(b" ", 2)[1].decode(), body)
    except OSError:
        pass


def answer(link: Any, behaviour: Behaviour, path: str, body: bytes) -> None:
    """Answer one request."""
    if path.startswith("/behave"):
        _send_whole(link, behaviour.set(path))
        return
    behaviour.requests += 1
    gevent.sleep(behaviour.wait)
    if b'"stream":true' not in body and b'"stream": true' not in body:
        _send_whole(link, whole(path))
        return
    grammar = Grammar(path)
    pieces = STREAM_HEAD + grammar.begin()
    for _ in range(behaviour.chunks):
        pieces += grammar.text()
        if behaviour.gap:
            link.sendall(pieces)
            pieces = b""
            gevent.sleep(behaviour.gap)
    link.sendall(pieces + grammar.end())


def _send_whole(link: Any, body: bytes) -> None:
    link.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def main() -> None:
    """Serve until killed."""
    tls: dict[str, Any] = {}
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        tls = {"ssl_context": context}
    behaviour = Behaviour()
    server = StreamServer(("127.0.0.1", int(sys.argv[1])), lambda link, _: serve(link, behaviour), backlog=4096, **tls)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
