"""A gateway under watch: what it answers, asks, logs and emits while it is sent what no honest client sends."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.calls import provider
from tests.classes import AURA
from tests.faulty import Faulty
from tests.server import CONF, Server, gateway

from .hostile import GOOD, KEY, MAX_BODY, Request

MAX_MESSAGE = 600
ERROR = {"message", "type", "param", "code"}
ANTHROPICS_ERROR = {"message", "type"}
# What only the inside knows: languages, libraries, classes, files.
INTERNAL = re.compile(
    rb"Traceback|<html|<!doctype|site-packages|\.py\b|gunicorn|werkzeug|flask|marshmallow|orjson|gevent|urllib|llhttp"
    rb"|lambda|0x[0-9a-f]{6,}|object at|NoneType|\b(?:Key|Type|Value|Attribute|Index|Recursion|Assertion)Error"
    rb"|/(?:home|usr|opt|tmp|work|etc|proc)/"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PATIENCE = 20.0


@dataclass
class Answer:
    """What came back; ``after`` is the status of a good request over the same connection, None where it was closed."""

    status: int
    headers: dict[str, str]
    body: bytes
    after: int | None = None

    @property
    def shown(self) -> bytes:
        """All of it, as bytes."""
        return self.body + "\n".join(f"{name}: {value}" for name, value in self.headers.items()).encode("latin-1")


@dataclass
class Watched:
    """The gateway and the provider behind it."""

    server: Server
    provider: Faulty
    key: str = KEY
    emitted: list[bytes] = field(default_factory=list)
    last: Answer = field(default_factory=lambda: Answer(0, {}, b""))

    def send(self, request: Request, after: bool = False) -> Answer:
        """Send a request and read the answer.

        Args:
            after: send a good one over the same connection where it stays open.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=_PATIENCE)
        try:
            answer = self._exchange(connection, request)
            if after and answer.headers.get("connection") != "close":
                answer.after = self._exchange(connection, Request(GOOD)).status
        finally:
            connection.close()
        return answer

    def _exchange(self, connection: http.client.HTTPConnection, request: Request) -> Answer:
        usual = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        headers = {name: value for name, value in {**usual, **request.headers}.items() if value is not None}
        connection.putrequest(request.method, request.path, skip_host="Host" in headers, skip_accept_encoding=True)
        connection.putheader("Content-Length", str(len(request.body)))
        for name, value in headers.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders()
        with suppress(OSError):  # an early answer may close the connection
            connection.send(request.body)
        response = connection.getresponse()
        sent = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, sent, response.read())
        self.emitted.append(answer.shown)
        self.last = answer
        return answer

    def faults(self, request: Request, *expected: int, param: str | None = None, after: bool = False) -> list[str]:
        """Send a request; returns what is wrong with the answer.

        Args:
            expected: the statuses allowed.
            param: what an error must name, if anything.
            after: as in :meth:`send`.
        """
        asked = len(self.provider.asked)
        try:
            answer = self.send(request, after)
        except (OSError, http.client.HTTPException) as error:
            return [f"no answer: {error!r}"]
        faults = [] if answer.status in expected else [f"status {answer.status}"]
        if answer.after not in (None, 200):
            faults.append(f"a good request behind it got {answer.after}")
        if answer.status < 400:
            return faults
        if len(self.provider.asked) - asked > (answer.after == 200):
            faults.append("a provider was asked")
        return faults + told_wrongly(answer, request, param, self.key)

    def lines(self) -> list[str]:
        """The lines of its log."""
        return self.server.log().split("\n")[:-1]

    def done(self) -> int:
        """How many requests have left their line."""
        return sum('"event":"request.done"' in line for line in self.lines())

    def await_done(self, count: int) -> int:
        """Wait until so many requests have left their line, for as long as that may take; returns how many have."""
        deadline = time.monotonic() + _PATIENCE
        while self.done() < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.done()

    def metrics(self) -> str:
        """The exposition, as Prometheus gets it."""
        url = f"{self.server.url}/actuator/prometheus"
        return requests.get(url, headers={"Authorization": f"Bearer {self.key}"}, timeout=_PATIENCE).text

    def series(self) -> set[str]:
        """The names and labels of all series."""
        return {line.rsplit(" ", 1)[0] for line in self.metrics().splitlines() if not line.startswith("#")}

    def memory(self) -> int:
        """Bytes that the workers hold."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.server.workers())
        return pages * 4096


def malformed(lines: list[str]) -> list[str]:
    """The lines of a log that are not one JSON object each, or hold a raw control character."""
    wrong = []
    for line in lines:
        if line.startswith("{") and not _CONTROL.search(line):
            json.loads(line)
        elif not re.match(r"\[\d{4}-\d\d-\d\d [^\x00-\x1f]*\Z", line):  # gunicorn's own
            wrong.append(line)
    return wrong


def told_wrongly(answer: Answer, request: Request, param: str | None, key: str) -> list[str]:
    """What is wrong with the form of an error."""
    faults = []
    if key.encode() in answer.shown:
        faults.append("the key is shown")
    if internal := INTERNAL.search(answer.shown):
        faults.append(f"the inside is shown: {internal[0]!r}")
    if not {"x-request-id", "x-should-retry"} <= answer.headers.keys():
        faults.append(f"headers: {sorted(answer.headers)}")
    if answer.headers.get("content-type") != "application/json":
        faults.append(f"content type {answer.headers.get('content-type')}")
    if request.method == "HEAD":
        return faults
    try:
        error = json.loads(answer.body)["error"]
    except (ValueError, KeyError, TypeError):
        return [*faults, f"no error object: {answer.body[:80]!r}"]
    if request.path.startswith("/api/"):  # Ollama's is one text
        wrong = not isinstance(error, str) or not error or len(error) > MAX_MESSAGE
        return [*faults, f"error object {error!r}"] if wrong else faults
    members = ANTHROPICS_ERROR if request.path.startswith("/v1/messages") else ERROR
    if error.keys() != members or not error["message"] or len(str(error["message"])) > MAX_MESSAGE:
        faults.append(f"error object: {error}")
    if param is not None and error["param"] != param:
        faults.append(f"param {error['param']!r}")
    return faults


def configured(url: str, more: str = "", key: str = KEY, kind: str = "openai") -> str:
    """A configuration with one client and one provider, without a cache.

    Args:
        more: further lines below ``aura``.
        kind: of the provider.
    """
    return (
        f"aura:\n  cache: {{enabled: false}}\n  server: {{max-body: {MAX_BODY}, keep-alive: 1s}}\n"
        f"  auth: {{keys: [{{name: tester, key: {key}}}]}}\n{more}  providers:\n"
        + provider("only", url, "gpt-4o-mini", kind=kind)
    )


@contextmanager
def watched(kind: str = "openai", served_by: str = AURA, conf: str = CONF) -> Iterator[Watched]:
    """One worker, so that its memory and its life can be watched, and one good provider of that kind.

    Args:
        served_by: the worker class.
        conf: gunicorn's configuration.
    """
    with Faulty() as behind, gateway(configured(behind.url, kind=kind), args=["-k", served_by], conf=conf) as server:
        yield Watched(server, behind)
