"""A proxy from configuration: asked for what it serves, and for nothing else."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Iterator

import gevent
import pytest
import trustme

from aura.errors import Failure, Reason
from aura.upstream import Upstream
from tests.calls import chat as asked
from tests.calls import provider as configured
from tests.faulty import Faulty, listener, text
from tests.faulty.client import chat, said, whole
from tests.server import gateway

AUTHORITY = trustme.CA()


class Tunnel:
    """A proxy that connects as it is told, or answers ``refusal``."""

    def __init__(self, refusal: bytes = b"") -> None:
        self.heads: list[str] = []
        self._refusal = refusal
        self._listener = listener()
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._serving = gevent.spawn(self._listen)

    def close(self) -> None:
        self._serving.kill()
        self._listener.close()

    def _listen(self) -> None:
        while True:
            gevent.spawn(self._serve, self._listener.accept()[0])

    def _serve(self, link: socket.socket) -> None:
        with link:
            head = link.recv(65536)
            self.heads.append(head.decode())
            if self._refusal:
                link.sendall(self._refusal)
                return
            host, _, port = head.split(b" ")[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as far:
                link.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = gevent.spawn(_pipe, far, link)
                _pipe(link, far)
                back.join()


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    proxy = Tunnel()
    yield proxy
    proxy.close()


@pytest.fixture
def secure() -> Iterator[Faulty]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    with Faulty(tls=context) as provider:
        yield provider


def client(proxies: dict[str, str], tmp_path) -> Upstream:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return Upstream(connect_timeout=2.0, ca_bundle=str(tmp_path / "ca.pem"), proxies=proxies)


def test_tls_goes_through_a_tunnel_and_is_verified_as_without(tunnel, secure, tmp_path):
    upstream = client({"https": f"http://user:p%40ss@{tunnel.address}"}, tmp_path)
    for number in range(2):
        assert text(f"n{number}") == said(whole(upstream, chat(secure.url, nonce=f"n{number}"))[1])
    upstream.close()

    (head,) = tunnel.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1\r\n")
    assert f"proxy-authorization: Basic {base64.b64encode(b'user:p@ss').decode()}\r\n" in head
    assert "sk-secret" not in head
    assert "proxy-authorization" not in secure.asked[0].headers


def test_plain_http_is_asked_of_the_proxy_itself(tmp_path):
    with Faulty() as proxy:
        status, _ = whole(client({"http": proxy.url}, tmp_path), chat("http://provider.test"))

    assert (status, proxy.asked[0].path) == (200, "http://provider.test/v1/chat/completions")


def test_a_proxy_serves_only_its_host(tunnel, secure, tmp_path):
    upstream = client({"https://elsewhere.test": f"http://{tunnel.address}"}, tmp_path)

    assert whole(upstream, chat(secure.url))[0] == 200
    assert tunnel.heads == []
    upstream.close()


@pytest.mark.parametrize("refusal", [b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n", b"garbage\r\n\r\n", b"HTTP/1.1"])
def test_a_proxy_that_refuses_makes_the_provider_unreachable(secure, tmp_path, refusal):
    proxy = Tunnel(refusal)
    with pytest.raises(Failure) as failed:
        whole(client({"https": f"http://{proxy.address}"}, tmp_path), chat(secure.url))
    proxy.close()

    assert Reason.UNREACHABLE is failed.value.reason
    assert secure.connections == 0


def test_a_proxy_that_is_silent_ends_with_the_time_for_connecting(secure, tmp_path):
    with Faulty(accept="silence") as proxy, pytest.raises(Failure) as failed:
        whole(client({"https": proxy.url}, tmp_path), chat(secure.url))

    assert Reason.UNREACHABLE is failed.value.reason


def test_an_origin_behind_a_tunnel_that_proves_nothing_is_refused(tunnel, secure):
    upstream = Upstream(proxies={"https": f"http://{tunnel.address}"})
    with pytest.raises(Failure) as failed:
        whole(upstream, chat(secure.url))

    assert Reason.UNREACHABLE is failed.value.reason
    assert secure.asked == []


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "socks5://127.0.0.1:1", "127.0.0.1:1"])
def test_a_proxy_of_another_kind_is_not_guessed_at(tmp_path, secure, url):
    with pytest.raises(ValueError, match="proxy"):
        whole(client({"https": url}, tmp_path), chat(secure.url))


@pytest.mark.parametrize(
    ("spared", "through"), [("", 1), ("no-proxy: 127.0.0.1", 0), ("no-proxy: [elsewhere.test, 127.0.0.1]", 0)]
)
def test_the_configuration_names_the_proxy_its_exceptions_and_ones_own_authority(
    tunnel, secure, tmp_path, spared, through
):
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    way = [f"proxy: http://user:pass@{tunnel.address}", f"ca-bundle: {tmp_path / 'ca.pem'}", spared]
    upstream = "  upstream:\n" + "".join(f"    {line}\n" for line in way if line)
    config = "aura:\n" + upstream + "  providers:\n" + configured("only", secure.url)
    with gateway(config) as server:
        outcome = asked(server.port, "only/m", stream=False)
        log = server.log()

    assert (outcome.status, len(secure.asked)) == (200, 1)
    assert len(tunnel.heads) == through
    assert "user:pass" not in log
