"""A gateway under watch: what it answers, asks, logs and emits while it is sent what no honest client sends."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.calls import provider
from tests.faulty import Faulty
from tests.server import Server, gateway

from .hostile import KEY, MAX_BODY, Request

ERROR = {"message", "type", "param", "code"}
# What only the inside knows: languages, libraries, files, classes.
INTERNAL = re.compile(
    rb"Traceback|<html|<!doctype|site-packages|\.py\b|gunicorn|werkzeug|flask|marshmallow|orjson|gevent|urllib|llhttp|lambda"
    rb"|0x[0-9a-f]{6,}|object at|NoneType|\b(?:Key|Type|Value|Attribute|Index|Recursion)Error"
    rb"|/(?:home|usr|opt|tmp|work|etc|proc)/"
)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.body)["error"]
        return found


@dataclass
class Watched:
    """The gateway and the provider behind it."""

    server: Server
    provider: Faulty
    key: str = KEY
    sent: int = 0
    emitted: list[bytes] = field(default_factory=list)

    def send(self, request: Request) -> Answer:
        """Send a request over a connection of its own and read the answer."""
        usual = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        headers = {name: value for name, value in {**usual, **request.headers}.items() if value is not None}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        self.sent += 1
        try:
            connection.putrequest(request.method, request.path, skip_host="Host" in headers, skip_accept_encoding=True)
            connection.putheader("Content-Length", str(len(request.body)))
            for name, value in headers.items():
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders()
            try:
                connection.send(request.body)
            except OSError:
                pass  # an early answer may close the connection
            response = connection.getresponse()
            answer = Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
        finally:
            connection.close()
        self.emitted += [answer.body, "\n".join(f"{n}: {v}" for n, v in answer.headers.items()).encode("latin-1")]
        return answer

    def faults(self, request: Request, *expected: int, param: str | None = None) -> list[str]:
        """Send a request; returns what is wrong with the answer.

        Args:
            expected: the statuses allowed.
            param: what an error must name, if anything.
        """
        asked = len(self.provider.asked)
        try:
            answer = self.send(request)
        except (OSError, http.client.HTTPException) as error:
            return [f"no answer: {error!r}"]
        faults = [] if answer.status in expected else [f"status {answer.status}"]
        if answer.status < 400:
            return faults
        if len(self.provider.asked) > asked:
            faults.append("a provider was asked")
        return faults + told_wrongly(answer, request, param, self.key)

    def log_lines(self) -> list[str]:
        return self.server.log().split("\n")[:-1]

    def metrics(self) -> str:
        """The exposition, as Prometheus gets it."""
        url = f"{self.server.url}/actuator/prometheus"
        return requests.get(url, headers={"Authorization": f"Bearer {self.key}"}, timeout=30).text

    def series(self) -> set[str]:
        return {line.rsplit(" ", 1)[0] for line in self.metrics().splitlines() if not line.startswith("#")}

    def memory(self) -> int:
        """Bytes that the workers hold."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.server.workers())
        return pages * 4096


def told_wrongly(answer: Answer, request: Request, param: str | None, key: str) -> list[str]:
    """What is wrong with the form of an error."""
    faults = []
    shown = answer.body + "\n".join(f"{n}: {v}" for n, v in answer.headers.items()).encode("latin-1")
    if key.encode() in shown:
        faults.append("the key is shown")
    if INTERNAL.search(shown):
        faults.append(f"internals: {INTERNAL.search(shown)}")
    if not {"x-request-id", "x-should-retry"} <= answer.headers.keys():
        faults.append(f"headers: {sorted(answer.headers)}")
    if answer.headers.get("content-type") != "application/json":
        faults.append(f"content type {answer.headers.get('content-type')}")
    if request.method == "HEAD":
        return faults
    try:
        error = answer.error
    except (ValueError, KeyError, TypeError):
        return [*faults, f"no error object: {answer.body[:80]!r}"]
    if error.keys() != ERROR or not error["message"] or len(str(error["message"])) > 600:
        faults.append(f"error object: {error}")
    if param is not None and error["param"] != param:
        faults.append(f"param {error['param']!r}")
    return faults


def configured(url: str, more: str = "", key: str = KEY) -> str:
    return (
        f"aura:\n  cache: {{enabled: false}}\n  server: {{max-body: {MAX_BODY}}}\n"
        f"  auth: {{keys: [{{name: tester, key: {key}}}]}}\n{more}  providers:\n" + provider("only", url, "gpt-4o-mini")
    )


@contextmanager
def watched() -> Iterator[Watched]:
    """One worker, so that its memory and its life can be watched, and one good provider."""
    with Faulty() as behind, gateway(configured(behind.url)) as server:
        yield Watched(server, behind)
