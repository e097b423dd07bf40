"""Connections: kept, used again, given up, and never mixed up."""

from __future__ import annotations

import os
from contextlib import suppress

import gevent
import pytest

from aura.errors import Failure, Reason
from aura.upstream import Upstream, pool
from tests.busy import Moment
from tests.faulty import Faulty, blackhole, text
from tests.faulty.client import LONG, chat, good_stream, said, stream, whole, within

SOON = 0.3


def test_connections_are_used_again(provider, upstream):
    for number in range(5):
        assert text(f"n{number}") == said(whole(upstream, chat(provider.url, nonce=f"n{number}"))[1])
        assert (good_stream(f"s{number}"), None) == stream(
            upstream, chat(provider.url, nonce=f"s{number}", stream=True)
        )

    assert (provider.connections, len(provider.asked)) == (1, 10)


def test_a_fresh_connection_is_a_fresh_one(provider, upstream):
    whole(upstream, chat(provider.url))
    whole(upstream, chat(provider.url), fresh=True)

    assert provider.connections == 2


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_an_end_before_any_byte_on_a_reused_connection_is_stale(provider, upstream, how):
    whole(upstream, chat(provider.url))
    with pytest.raises(Failure) as failed:
        whole(upstream, chat(provider.url, f"stale:how:{how}"))

    assert Reason.STALE is failed.value.reason
    assert whole(upstream, chat(provider.url, f"stale:how:{how}"), fresh=True)[0] == 200
    assert provider.connections == 2


def test_an_end_within_the_head_on_a_reused_connection_is_not_stale(provider, upstream):
    whole(upstream, chat(provider.url))
    with pytest.raises(Failure) as failed:
        whole(upstream, chat(provider.url, "half-head"))

    assert Reason.UNREACHABLE is failed.value.reason


def test_an_idle_connection_that_was_closed_is_not_used(provider, upstream):
    whole(upstream, chat(provider.url, "closing"))
    gevent.sleep(0)

    assert whole(upstream, chat(provider.url))[0] == 200
    assert provider.connections == 2


@pytest.mark.parametrize("fault", ["doubled", "doubled:after:0.02"])
def test_an_answer_nobody_asked_for_is_never_the_next_ones(provider, upstream, fault):
    response = upstream.send(chat(provider.url, fault), within(LONG))
    with suppress(Failure):
        response.read(within(LONG))
    response.close()
    gevent.sleep(0.5)
    status, body = whole(upstream, chat(provider.url, nonce="n2"))

    assert (200, text("n2")) == (status, said(body))
    assert provider.connections == 2


@pytest.mark.parametrize("fault", ["length:by:-10", "cut:after:3", "huge:framing:chunked"])
def test_a_connection_whose_answer_was_wrong_is_not_used_again(provider, upstream, fault):
    stream(upstream, chat(provider.url, fault, stream=True), SOON) if "cut" in fault else None
    with pytest.raises(Failure):
        whole(upstream, chat(provider.url, fault))
    connections = provider.connections
    whole(upstream, chat(provider.url))

    assert connections + 1 == provider.connections


@pytest.mark.parametrize("fault", ["silence", "stall:after:3", "drip:interval:0.01"])
def test_who_leaves_takes_the_connection_along(provider, upstream, fault):
    """A client's end is thrown into the green thread wherever it waits."""

    def serve() -> None:
        response = upstream.send(chat(provider.url, fault), within(LONG))
        try:
            response.read(within(LONG))
        finally:
            response.close()

    serving = gevent.spawn(serve)
    while not provider.asked:
        gevent.sleep(0.005)
    gevent.sleep(0.02)
    left = Moment()
    serving.kill()

    assert provider.end() in ("fin", "reset")
    assert left.to(provider.ended_at()) < 0.1


def test_who_leaves_while_connecting_leaves_nothing_open():
    upstream = Upstream(connect_timeout=LONG)
    with blackhole() as port:
        before = descriptors()
        serving = gevent.spawn(upstream.send, chat(f"http://127.0.0.1:{port}"), within(LONG))
        gevent.sleep(0.02)
        during = descriptors()
        serving.kill()

        assert (before + 1, before) == (during, descriptors())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_stream_that_is_closed_early_closes_its_connection(provider, upstream):
    response = upstream.send(chat(provider.url, "ok:interval:0.05", stream=True), within(LONG))
    response.read_some(within(LONG))
    response.close()
    response.close()

    assert provider.end() in ("fin", "reset")


def test_many_at_once_each_get_their_own_answer(provider, upstream):
    """A nonce in every request; some are abandoned on the way, so that connections die in all states."""

    def ask(number: int) -> bool:
        request = chat(provider.url, "ok:interval:0.001", f"n{number}", stream=number % 2 == 0)
        if number % 2:
            return text(f"n{number}") == said(whole(upstream, request, 30)[1])
        return (good_stream(f"n{number}"), None) == stream(upstream, request, 30)

    asking = [gevent.spawn(ask, number) for number in range(400)]
    gevent.sleep(0.05)
    for greenlet in asking[::7]:
        greenlet.kill(block=False)
    gevent.joinall(asking)

    assert all(greenlet.value is True or isinstance(greenlet.value, gevent.GreenletExit) for greenlet in asking)


def test_closing_ends_idle_connections_and_keeps_none(provider):
    upstream = Upstream()
    whole(upstream, chat(provider.url))
    upstream.close()

    assert provider.end() == "fin"


def test_the_pool_keeps_no_more_than_its_size(provider):
    upstream = Upstream(pool_size=2)
    responses = [upstream.send(chat(provider.url), within(LONG)) for _ in range(5)]
    for response in responses:
        response.read(within(LONG))
        response.close()
    for number in range(3):
        assert provider.end(number) == "fin"

    assert provider.open_connections() == 2
    upstream.close()


@pytest.mark.parametrize("kind", ["open", "twice"])
def test_a_stream_that_is_over_waits_for_its_end_alone(provider, upstream, kind):
    """The end of the body may come behind the last event, or never: nobody waits for it."""
    response = upstream.send(chat(provider.url, f"done:kind:{kind}", stream=True), within(LONG))
    got = b""
    while b"[DONE]" not in got:
        got += response.read_some(within(LONG))
    response.close(over=True)
    whole(upstream, chat(provider.url), fresh=True)

    assert provider.open_connections() == 2
    assert (provider.end() in ("fin", "reset")) if kind == "open" else whole(upstream, chat(provider.url))[0] == 200


def test_a_connection_that_the_provider_gives_up_is_closed(provider, upstream):
    whole(upstream, chat(provider.url, "last"))

    assert provider.end() == "fin"


def test_a_connection_that_was_idle_for_long_is_not_used(provider, upstream, monkeypatch):
    """A firewall on the way may have forgotten it."""
    whole(upstream, chat(provider.url))
    monkeypatch.setattr(pool, "MAX_IDLE", 0.0)
    whole(upstream, chat(provider.url))

    assert provider.connections == 2


def test_connections_are_not_shared_between_origins(provider, upstream):
    with Faulty() as other:
        for _ in range(2):
            whole(upstream, chat(provider.url))
            whole(upstream, chat(other.url))

        assert (provider.connections, other.connections) == (1, 1)


def test_an_idle_connection_that_was_closed_is_closed_here_too(provider, upstream):
    """Before anybody asks for it: descriptors are not kept for nothing."""
    before = descriptors()
    whole(upstream, chat(provider.url, "closing"))
    gevent.sleep(0.02)

    assert before == descriptors()
