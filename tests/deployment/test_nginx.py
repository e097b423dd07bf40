"""The shipped nginx configuration in a real nginx, in front of two instances that ask one provider."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
import trustme
from gevent.event import Event

from tests.calls import Outcome, chat, provider
from tests.faulty import Faulty
from tests.server import Server, gateway
from tests.wire import CLOSE, everything, get, post, until

from .load import Load, open_streams_only
from .programs import Nginx, configured, found, free_port, needs, nginx

pytestmark = [needs("nginx", "nginx-light"), pytest.mark.xdist_group("nginx")]

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
KEY = "aura-test-key-0001"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
NONCE = "nonce"


def settings(url: str) -> str:
    return (
        "aura:\n  cache: {enabled: false}\n  server: {drain-delay: 4s}\n"
        f"  auth: {{keys: [{{name: tester, key: {KEY}}}]}}\n  providers:\n" + provider("only", url)
    )


@dataclass
class Front:
    """nginx, its two instances, and the provider behind them."""

    nginx: Nginx
    provider: Faulty
    instances: list[Server]

    @property
    def url(self) -> str:
        return self.nginx.url

    def ask(self, fault: str = "", **more: Any) -> Outcome:
        """One call through nginx."""
        if fault:
            self.provider.next.append(fault)
        return chat(self.nginx.port, "only/m", NONCE, headers=AUTHORIZED, **more)


@contextmanager
def opened(folder: Path) -> Iterator[Front]:
    with ExitStack() as stack:
        asked = stack.enter_context(Faulty())
        instances = [stack.enter_context(gateway(settings(asked.url))) for _ in range(2)]
        front = stack.enter_context(nginx(folder, [one.port for one in instances]))
        yield Front(front, asked, instances)


@pytest.fixture(scope="module")
def front(tmp_path_factory) -> Iterator[Front]:
    with opened(tmp_path_factory.mktemp("nginx")) as made:
        yield made


def test_nginx_takes_the_file_without_a_warning(tmp_path):
    main = configured(tmp_path, free_port(), [1, 2])
    command = [found("nginx"), "-e", tmp_path / "error.log", "-c", main, "-t"]
    tested = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "test is successful" in tested.stderr
    assert "[warn]" not in tested.stderr


# ---- what passes


def test_both_instances_answer(front):
    answers = [front.ask(stream=False) for _ in range(8)]

    assert {answer.status for answer in answers} == {200}
    assert all(sum("chat/completions" in line for line in one.log().splitlines()) for one in front.instances)


MESSAGES = {"messages": [{"role": "user", "content": NONCE}]}


@pytest.mark.parametrize(
    ("path", "body", "before"),
    [
        ("/v1/chat/completions", MESSAGES, b""),
        ("/v1/chat/completions", MESSAGES, b": ping\n\n"),
        ("/openai/v1/chat/completions", MESSAGES, b""),
        ("/v1/messages", MESSAGES | {"max_tokens": 100}, b""),
        ("/api/chat", MESSAGES, b""),
    ],
    ids=["chat", "chat with comments", "azure", "messages", "ollama"],
)
def test_tokens_arrive_one_by_one(front, path, body, before):
    """The provider says a token only when the client has the one before: whoever holds one back waits for ever."""
    arrived = Event()
    tokens = [f"token{number}" for number in range(5)]

    def script() -> Iterator[bytes]:
        for token in tokens:
            arrived.clear()
            chunk = {"choices": [{"index": 0, "delta": {"content": token}, "finish_reason": None}]}
            yield before + b"data: " + json.dumps(chunk).encode() + b"\n\n"
            assert arrived.wait(20), f"{token} was held back"
        yield b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'

    front.provider.says.append(script())
    front.provider.next.append("says")
    asked = {"model": "only/m", "stream": True} | body
    seen: list[str] = []
    with requests.post(f"{front.url}{path}", json=asked, headers=AUTHORIZED, stream=True, timeout=30) as answer:
        for line in answer.iter_lines(chunk_size=1):
            seen += [token for token in tokens if token.encode() in line and token not in seen]
            if b"token" in line:
                arrived.set()

    assert seen == tokens


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/responses", 400),
        ("POST", "/v1/embeddings", 400),
        ("POST", "/openai/deployments/own/chat/completions?api-version=2024-10-21", 400),
        ("POST", "/api/generate", 400),
        ("GET", "/api/tags", 200),
        ("GET", "/swagger-ui.html", 200),
        ("GET", "/v3/api-docs", 200),
        ("GET", "/openapi.json", 200),
    ],
)
def test_every_door_is_open(front, method, path, status):
    """What is not asked rightly is refused by Aura, not by nginx."""
    headers = AUTHORIZED | {"Content-Type": "application/json"}
    answer = requests.request(method, f"{front.url}{path}", data="{}", headers=headers, timeout=20)

    assert answer.status_code == status
    assert answer.headers["x-request-id"]


def test_lines_of_json_arrive_one_by_one(tmp_path):
    """A bare socket takes Aura's place: it says a line only when the client has the one before."""
    with ExitStack() as stack:
        instance = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        proxy = stack.enter_context(nginx(tmp_path, [instance.getsockname()[1]]))
        link = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=20))
        link.sendall(post("/api/chat", b"{}", "Content-Type: application/json"))
        asked = stack.enter_context(instance.accept()[0])
        asked.settimeout(20)
        until(asked, b"{}")
        asked.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            line = b'{"n":%d}\n' % number
            asked.sendall(b"%x\r\n%b\r\n" % (len(line), line))
            until(link, line + b"\r\n")


@pytest.mark.parametrize("when", ["before the head", "in the stream"])
def test_a_client_that_leaves_is_noticed_by_the_provider(front, when):
    front.provider.next.append("silence" if when == "before the head" else "stall:after:2")
    before = len(front.provider.asked)
    body = {"model": "only/m", "stream": True, "messages": [{"role": "user", "content": NONCE}]}
    with socket.create_connection(("127.0.0.1", front.nginx.port), timeout=20) as link:
        authorization = f"Authorization: Bearer {KEY}"
        link.sendall(
            post("/v1/chat/completions", json.dumps(body).encode(), authorization, "Content-Type: application/json")
        )
        if when == "in the stream":
            assert link.recv(65536).startswith(b"HTTP/1.1 200")
        while len(front.provider.asked) == before:
            gevent.sleep(0.01)

    assert front.provider.end(front.provider.asked[-1].connection) in ("fin", "reset")


def test_a_body_may_be_as_large_as_aura_takes(front):
    """The padding is white space, so that nothing but the size is unusual."""
    small = json.dumps({"model": "only/m", "messages": [{"role": "user", "content": NONCE}]}).encode()
    body = small + b" " * (20 * 1024 * 1024 - len(small))
    headers = AUTHORIZED | {"Content-Type": "application/json"}
    answer = requests.post(f"{front.url}/v1/chat/completions", data=body, headers=headers, timeout=60)

    assert answer.status_code == 200


@pytest.mark.parametrize(("sent", "kept"), [("my-own-id", True), ("bad id", False), ("x" * 200, False)])
def test_a_request_id_is_kept_where_it_is_well_formed(front, sent, kept):
    answer = requests.get(f"{front.url}/v1/models", headers=AUTHORIZED | {"X-Request-Id": sent}, timeout=20)

    assert (answer.headers["x-request-id"] == sent) is kept
    assert len(answer.headers["x-request-id"]) >= 9


def test_what_a_client_says_of_its_way_is_not_believed(tmp_path):
    """A bare socket takes Aura's place, to see what it would."""
    with socket.create_server(("127.0.0.1", 0)) as instance, nginx(tmp_path, [instance.getsockname()[1]]) as proxy:
        lies = ["X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6", "X_Forwarded_For: 6.6.6.6"]
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as link:
            link.sendall(get("/v1/models", *lies, "Transfer-Encodin: chunked", "X-Request-Id: mine"))
            passed = instance.accept()[0]
            with passed:
                got = b""
                while b"\r\n\r\n" not in got:
                    got += passed.recv(65536)
    lines = got.decode().lower().split("\r\n")

    assert "6.6.6.6" not in got.decode()
    assert {"x-forwarded-for: 127.0.0.1", "x-real-ip: 127.0.0.1", "x-forwarded-proto: http"} <= set(lines)
    assert {"host: x", "x-request-id: mine"} <= set(lines)
    assert not any(line.startswith("connection:") for line in lines)


# ---- what does not


def test_errors_of_aura_pass_as_they_are(front):
    answer = requests.get(f"{front.url}/v1/models", timeout=20)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


def said(data: bytes) -> tuple[int, str]:
    """Status and code of an error in OpenAI's shape."""
    status, body = refused(data)
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return status, body["error"]["code"]


def refused(data: bytes) -> tuple[int, Any]:
    """Status and body of an error."""
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    assert b"x-should-retry" in head.lower()
    return int(head.split(b" ")[1]), json.loads(body)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", (400, "invalid_request")),
        (b"GET / HTTP/1.1\r\n\r\n", (400, "invalid_request")),
        (post("/", b"1", "Transfer-Encoding: chunked"), (400, "invalid_request")),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", (501, "not_implemented")),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20971521\r\n\r\n", (413, "request_too_large")),
        (get("/" + "x" * 20000, CLOSE), (414, "uri_too_long")),
        (get("/", "X-Long: " + "x" * 20000, CLOSE), (431, "headers_too_large")),
    ],
    ids=["no header", "no host", "two framings", "unknown framing", "too large", "long line", "long header"],
)  # fmt: skip
def test_what_nginx_refuses_is_said_in_openais_shape(front, request_, expected):
    with socket.create_connection(("127.0.0.1", front.nginx.port), timeout=20) as link:
        link.sendall(request_)

        assert said(everything(link)) == expected


def test_what_nginx_refuses_of_anthropics_clients_is_said_in_their_shape(front):
    with socket.create_connection(("127.0.0.1", front.nginx.port), timeout=20) as link:
        link.sendall(b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: x\r\nContent-Length: 20971521\r\n\r\n")
        data = everything(link)
    status, body = refused(data)
    request_id = re.search(rb"(?im)^request-id: (\w+)\r$", data)[1].decode()

    assert (status, body["type"], body["error"]["type"]) == (413, "error", "request_too_large")
    assert body["request_id"] == request_id


def test_what_nginx_refuses_of_ollamas_clients_is_said_in_their_shape(front):
    with socket.create_connection(("127.0.0.1", front.nginx.port), timeout=20) as link:
        link.sendall(b"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 20971521\r\n\r\n")
        status, body = refused(everything(link))

    assert status == 413
    assert isinstance(body["error"], str)


def test_a_file_may_be_as_large_as_aura_takes(front):
    """What Aura has to say of the form's model, it says when it has read the form to its end."""
    path = "/v1/audio/transcriptions"
    head = b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\nonly/m\r\n'
    head += b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    end = b"\r\n--B--\r\n"
    body = head + b"x" * (64 * 1024 * 1024 - len(head) - len(end)) + end
    headers = AUTHORIZED | {"Content-Type": "multipart/form-data; boundary=B"}
    answer = requests.post(f"{front.url}{path}", data=body, headers=headers, timeout=60)
    with socket.create_connection(("127.0.0.1", front.nginx.port), timeout=20) as link:
        link.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) + 1}\r\n\r\n".encode())
        too_large = said(everything(link))

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert too_large == (413, "request_too_large")


@pytest.mark.parametrize(("becomes", "expected"), [("closed", 502), ("silent", 504)])
def test_an_instance_that_does_not_answer_is_told_in_openais_shape(tmp_path, becomes, expected):
    quick = [(r"proxy_read_timeout 630s", "proxy_read_timeout 1s")]
    with socket.create_server(("127.0.0.1", 0)) as instance:
        port = instance.getsockname()[1] if becomes == "silent" else free_port()
        with nginx(tmp_path, [port], quick) as proxy:
            answer = requests.post(f"{proxy.url}/v1/chat/completions", json={}, timeout=20)

    assert answer.status_code == expected
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["type"] == "server_error"
    assert answer.headers["x-should-retry"] == "true"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "path",
    [
        "/actuator/prometheus",
        "/actuator",
        "/actuator/",
        "/actuator/loggers",
        "/actuator/metrics/cache.gets",
        "//actuator/prometheus",
        "/actuator//prometheus",
        "/%61ctuator/prometheus",
        "/actuator%2Fprometheus",
        "/v1/../actuator/prometheus",
        "/v1/models/..%2f..%2factuator/prometheus",
        "/actuator/health/../prometheus",
        "/actuator/health/..%2fprometheus",
        "http://x/actuator/prometheus",
    ],
)
def test_the_actuator_is_closed_from_outside(front, path):
    with socket.create_connection(("127.0.0.1", front.nginx.port), timeout=20) as link:
        link.sendall(get(path, f"Authorization: Bearer {KEY}", CLOSE))

        assert said(everything(link)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/actuator/health", "/actuator/health/liveness", "/actuator/health/readiness"])
def test_health_is_open(front, path):
    answer = requests.get(f"{front.url}{path}", timeout=20)

    assert (answer.status_code, answer.json()["status"]) == (200, "UP")


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of hostile requests are not beside the checkout")
def test_no_request_is_smuggled_through(front):
    before = len(front.provider.asked)
    command = [sys.executable, CORPORA / "run.py", "raw", f"127.0.0.1:{front.nginx.port}", "--only", "smuggle"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.stdout.splitlines()[:-1] == []
    assert "right" in ran.stdout
    assert len(front.provider.asked) - before <= 27
    assert all("smuggled" not in one.log() for one in front.instances)


# ---- instances that go


def load(front: Front) -> Load:
    return Load(front.nginx.port, lambda _number: NONCE, AUTHORIZED)


@pytest.fixture
def pair(tmp_path) -> Iterator[Front]:
    """Instances that may go; a token takes its time, so that there is always an answer under way."""
    with opened(tmp_path) as made:
        made.provider.always = "ok:interval:0.02"
        yield made


def test_a_restart_of_an_instance_breaks_nothing(pair):
    first = pair.instances[0]
    with load(pair) as under_way:
        first.signal(signal.SIGTERM)
        while first.process.poll() is None:
            gevent.sleep(0.05)
        under_way.goes_on()
        with gateway(settings(pair.provider.url), args=["-b", f"127.0.0.1:{first.port}"]) as again:
            while "/v1/chat/completions" not in again.log():
                under_way.goes_on()

    assert under_way.failed() == []


def test_a_killed_instance_takes_only_its_own_open_streams_with_it(pair):
    """A client has one call at a time, so it loses one at most, and that one had begun to be answered."""
    first = pair.instances[0]
    with load(pair) as under_way:
        os.killpg(first.pid, signal.SIGKILL)
        under_way.goes_on()
    lost = under_way.failed()

    assert open_streams_only(lost)


def test_the_tls_lines_only_want_certificates(tmp_path, front):
    port, authority = free_port(), trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "all.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    filled_in = [
        (r"(?m)^    listen 80;\n", ""),
        (r"(?m)^( *)#tls ", r"\1"),
        (r"listen 443 ", f"listen 127.0.0.1:{port} "),
        (r"/etc/ssl/aura/\w+\.pem", f"{tmp_path}/all.pem"),
    ]
    with nginx(tmp_path, [one.port for one in front.instances], filled_in) as proxy:
        secure = requests.get(
            f"https://localhost:{port}/v1/models", headers=AUTHORIZED, verify=tmp_path / "ca.pem", timeout=20
        )
        plain = requests.get(f"{proxy.url}/v1/models", allow_redirects=False, timeout=20)

    assert secure.status_code == 200
    assert secure.headers["strict-transport-security"]
    assert (plain.status_code, plain.headers["location"]) == (308, "https://api.example.com/v1/models")
