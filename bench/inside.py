"""A worker's whole path in one process without sockets: bytes of a request in, bytes of the answer out.

Between the two lies all that a worker does for a request: its HTTP parser, Flask, blueprint, schema, cache, classifier,
router, attempts, circuits, metrics, log line, the HTTP client's parser. Only the system calls are left out, and so is
what the kernel and other processes do to a measurement.

``python -m bench.inside MODE COUNT`` answers so many requests and ends: what a profiler is put around.
``python -m bench.inside MODE`` prints the CPU of one.
"""

from gevent import monkey

monkey.patch_all()

import contextlib  # noqa: E402  (nothing may be imported before the patch)
import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, ClassVar  # noqa: E402

from .phases import KEY, MARK, SHORT, SYSTEM, phase, request  # noqa: E402
from .plain_provider import STREAM_HEAD, Grammar, whole  # noqa: E402

CHUNKS = 100
_PIECE = 65536
_MARK = MARK.encode()
_OPENAI, _ANTHROPIC = "/v1/chat/completions", "/v1/messages"
_MODES: dict[str, dict[str, Any]] = {
    "sat": {},
    "fresh": {},
    "long": {},
    "repeat": {},
    "stream": {},
    "translated": {},
    "messages": {"path": _ANTHROPIC, "phase": "sat"},
    "messages-stream": {"path": _ANTHROPIC, "phase": "stream"},
}
# What Messages says elsewhere, or not at all.
_AS_MESSAGES = {"system": SYSTEM, "messages": [{"role": "user", "content": SHORT}], "user": None, "seed": None}
MODES = list(_MODES)
Settings = dict[str, Any]


def configuration(**changes: Any) -> Settings:
    """Two providers and a client key, and what is to be otherwise."""
    providers = {name: {"base-url": "http://127.0.0.1:9/v1", "api-key": "sk-p"} for name in ("openai", "anthropic")}
    return {"providers": providers, "auth": {"keys": [{"name": "bench", "key": KEY}]}, **changes}


def asked(mode: str, key: str = KEY, **changes: Any) -> bytes:
    """The request of a mode; ``changes`` are members of its body."""
    how = _MODES[mode]
    chosen, path = phase(how.get("phase", mode), 1), how.get("path", _OPENAI)
    chosen = replace(chosen, body={**chosen.body, **(_AS_MESSAGES if path == _ANTHROPIC else {}), **changes})
    return request(chosen, 8080, path, {"Authorization": f"Bearer {key}"}, "gpt-4o-mini", 1)


class Wire:
    """The far end of an upstream connection: a provider that answers at once."""

    closed = idle = False
    session = None
    _answers: ClassVar[dict[tuple[str, bool], list[bytes]]] = {}

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._next = 0

    def send(self, data: bytes, deadline: float) -> bool:  # noqa: ARG002  (a wire's shape)
        path = _ANTHROPIC if data.startswith(b"POST /v1/messages") else _OPENAI
        self._pieces = self.answers(path, b'"stream":true' in data or b'"stream": true' in data)
        self._next = 0
        return True

    @classmethod
    def answers(cls, path: str, streams: bool) -> list[bytes]:
        """The pieces of an answer, each what one read gives."""
        kept = cls._answers.get((path, streams))
        if kept is None:
            body, grammar = whole(path), Grammar(path)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            pieces = [STREAM_HEAD + grammar.begin(), *(grammar.text() for _ in range(CHUNKS)), grammar.end()]
            kept = cls._answers[path, streams] = pieces if streams else [head + body]
        return kept

    def receive(self, deadline: float) -> bytes:  # noqa: ARG002
        self._next += 1
        return self._pieces[self._next - 1]

    def silent(self) -> bool:
        return self._next == len(self._pieces)

    def close(self) -> None:
        self.closed = True


class Client:
    """The near end of a client connection, as :class:`aura.connection.Connection` is to the parts of a worker."""

    class worker:  # noqa: N801  (an attribute)
        date = "Tue, 24 Nov 2026 12:00:00 GMT"

    def __init__(self, serve: Callable[..., Any]) -> None:
        # Imported here, once the process is set up.
        from aura import disconnect
        from aura.answer import Reply
        from aura.body import Body
        from aura.connection import Limits
        from aura.protocol import Head, Last

        self._head, self._body, self._reply, self._forget = Head, Body, Reply, disconnect.forget
        self._last = Last()
        self.limits, self.greenlet, self.buffer = Limits(), None, b""
        self.sent: list[bytes] = []
        self._serve, self._coming = serve, memoryview(b"")
        self._asked = 0
        self._environ = {
            "SCRIPT_NAME": "", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8080", "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "40000", "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr,
            "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
            "wsgi.input_terminated": True, "gunicorn.socket": None, "aura.connection": self,
        }  # fmt: skip

    def ask(self, data: bytes) -> bytes:
        """Have a request answered; returns the answer's bytes."""
        self.sent = []
        self._asked += 1
        data = data.replace(_MARK, b"%08d" % self._asked)
        self._coming = memoryview(data)[_PIECE:]
        head = self._head(self._environ, self._last)
        assert head.feed(data[:_PIECE])
        self.buffer = head.rest
        body = head.environ["wsgi.input"] = self._body(self, head)  # type: ignore[arg-type]
        reply = self._reply(self, head, body)  # type: ignore[arg-type]
        reply.send(self._serve(head.environ, reply.start))
        self.stop()
        return b"".join(self.sent)

    def receive(self, deadline: float) -> bytes:  # noqa: ARG002  (a connection's shape)
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        piece, self._coming = bytes(self._coming[:_PIECE]), self._coming[_PIECE:]
        return piece

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def watch(self) -> None:
        pass

    def stop(self) -> None:
        self._forget(self)


@contextlib.contextmanager
def client(settings: Settings) -> Iterator[Client]:
    """A client of a gateway that runs in this process; once in a process. The log goes to a file, as a service's."""
    with tempfile.TemporaryDirectory(prefix="aura-bench-") as folder, (Path(folder) / "log").open("wb") as log:
        file = Path(folder) / "aura.json"
        file.write_text(json.dumps({"aura": settings}))
        os.environ.update(AURA_CONFIG=str(file), PROMETHEUS_MULTIPROC_DIR=folder, AURA_WORKER_SLOT="0")
        kept = os.dup(1)
        os.dup2(log.fileno(), 1)
        try:
            from aura.app import create_app
            from aura.configuration import load
            from aura.upstream import adapter, connection

            def connected(self: Any, way: Any, deadline: float) -> Any:  # noqa: ARG001  (an adapter's shape)
                return connection.Connection(Wire(), way.origin)  # type: ignore[arg-type]

            adapter.Adapter._connect = connected  # type: ignore[method-assign]
            yield Client(create_app(load()))
        finally:
            os.dup2(kept, 1)


def settled(asking: Client, data: bytes, times: int = 20) -> None:
    """Answer a few, so that nothing is done for the first time; what is there then is no garbage."""
    for _ in range(times):
        answer = asking.ask(data)
        assert answer.startswith(b"HTTP/1.1 200"), answer[:600]
    gc.collect()
    gc.freeze()


def cpu_us(work: Callable[[], Any], seconds: float = 0.5, rounds: int = 5) -> float:
    """Microseconds of CPU that something takes: the best of some rounds, since all that disturbs adds to it."""
    began = time.process_time()
    work()
    times = max(1, round(seconds / rounds / max(1e-6, time.process_time() - began)))
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, time.process_time() - began)
    return best / times * 1e6


def main() -> None:
    """Answer requests of one mode."""
    mode, data = sys.argv[1], asked(sys.argv[1])
    told = ""
    with client(configuration()) as asking:
        settled(asking, data)
        if len(sys.argv) > 2:
            for _ in range(int(sys.argv[2])):
                asking.ask(data)
        else:
            each = cpu_us(lambda: asking.ask(data), 2)
            told = f"{mode}: {each:.1f} µs a request"
    print(told, end="\n" if told else "")


if __name__ == "__main__":
    main()
