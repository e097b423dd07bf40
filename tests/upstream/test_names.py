"""Names of providers: lookups that fail, hang or flap harm only those who need them."""

from __future__ import annotations

import socket
from collections.abc import Callable

import gevent
import pytest

from aura.errors import Failure, Reason
from aura.upstream import Upstream, resolver
from tests.faulty import Faulty
from tests.faulty.client import LONG, chat, whole

Lookup = Callable[..., list]
REAL = socket.getaddrinfo


class Names:
    """Answers lookups of ``*.test`` by 127.0.0.1, or as ``fault`` says."""

    def __init__(self) -> None:
        self.fault: Callable[[], None] = lambda: None
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *args: object, **more: object) -> list:
        if not host.endswith(".test"):
            return REAL(host, port, *args, **more)
        self.asked.append(host)
        if host != "good.test":
            self.fault()
        return REAL("127.0.0.1", port, *args, **more)

    def unknown(self) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def slow(self) -> None:
        gevent.sleep(LONG)


@pytest.fixture
def names(monkeypatch) -> Names:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    return found


def url(provider: Faulty, name: str) -> str:
    return provider.url.replace("127.0.0.1", name)


@pytest.mark.parametrize("fault", ["unknown", "slow"])
def test_a_name_that_is_not_found_is_unreachable_and_others_are_not_held_up(names, fault):
    names.fault = getattr(names, fault)
    upstream = Upstream(connect_timeout=1.0)
    with Faulty() as provider:
        asking = [gevent.spawn(_reason, upstream, url(provider, "bad.test")) for _ in range(50)]
        gevent.sleep(0)

        assert whole(upstream, chat(url(provider, "good.test")))[0] == 200
        assert [greenlet.get() for greenlet in asking] == [Reason.UNREACHABLE] * 50
    assert names.asked.count("bad.test") == 1


def _reason(upstream: Upstream, address: str) -> Reason:
    with pytest.raises(Failure) as failed:
        whole(upstream, chat(address))
    return failed.value.reason


@pytest.mark.parametrize("fault", ["unknown", "slow"])
def test_an_address_that_was_known_keeps_working(names, monkeypatch, fault):
    monkeypatch.setattr(resolver, "_TRUSTED", 0.0)
    monkeypatch.setattr(resolver, "_PATIENCE", 0.01)
    upstream = Upstream()
    with Faulty() as provider:
        whole(upstream, chat(url(provider, "a.test")))
        names.fault = getattr(names, fault)
        status, _ = whole(upstream, chat(url(provider, "a.test")), fresh=True)

    assert (status, names.asked) == (200, ["a.test", "a.test"])


def test_a_known_name_is_not_looked_up_again_for_every_connection(names):
    upstream = Upstream()
    with Faulty() as provider:
        for _ in range(3):
            whole(upstream, chat(url(provider, "a.test")), fresh=True)

    assert names.asked == ["a.test"]


def test_a_name_is_looked_up_again_when_its_address_does_not_answer(names):
    upstream = Upstream()
    with Faulty() as provider:
        whole(upstream, chat(url(provider, "a.test")))
    for _ in range(2):
        with pytest.raises(Failure):
            whole(upstream, chat(url(provider, "a.test")), fresh=True)

    assert names.asked == ["a.test"] * 2


def test_the_next_address_is_tried(monkeypatch):
    def lookup(host: str, port: int, *args: object, **more: object) -> list:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with Faulty() as provider:
        assert whole(Upstream(), chat(url(provider, "two.test")))[0] == 200
