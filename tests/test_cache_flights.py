"""Identical calls at once: one upstream call, whoever comes late, leaves, or is slow."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator

import gevent
import gevent.queue
import pytest

from aura.call import Answer, Call
from aura.errors import AuraError, UpstreamError
from aura.fleet import Fleet
from aura.flight import AHEAD, MAX_KEPT, Flight, Flights
from aura.ledger import Ledger

from .busy import Moment
from .calls import Outcome, chat, provider
from .faulty import Faulty, text
from .faulty.faults import FAULTS, fault
from .faulty.grammar import Asked
from .faulty.server import Conversation
from .server import Server, gateway
from .wire import post

pytestmark = pytest.mark.xdist_group("cache")

CROWD = 500
SLOW = "ok:tokens:12:interval:0.1"  # a stream of a second and a half


@fault
def late_status(link: Conversation, asked: Asked) -> None:
    """A status after half a second."""
    link.pause(0.5)
    FAULTS["status"](link, asked)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Faulty]:
    with Faulty() as running:
        yield running


@pytest.fixture(scope="module")
def server(upstream: Faulty) -> Iterator[Server]:
    config = f"aura:\n  log: {{level: WARNING}}\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config) as running:
        yield running


def crowd(server: Server, model: str, nonce: str, count: int = CROWD, **more: object) -> list[Outcome]:
    """So many identical calls at once."""
    asking = [gevent.spawn(chat, server.port, model, nonce, limit=60.0, **more) for _ in range(count)]
    gevent.joinall(asking, timeout=90, raise_error=True)
    return [one.value for one in asking]


@pytest.mark.parametrize("stream", [False, True])
def test_five_hundred_identical_calls_at_once_make_one_upstream_call(server, upstream, stream):
    nonce = f"crowd-{stream}"
    outcomes = crowd(server, "first/late:by:1.5", nonce, stream=stream)

    assert sum(asked.nonce == nonce for asked in upstream.asked) == 1
    assert {(outcome.status, outcome.text) for outcome in outcomes} == {(200, text(nonce))}
    assert {outcome.done for outcome in outcomes} == ({1} if stream else {0})
    told = [outcome.headers["x-aura-cache"] for outcome in outcomes]
    assert (told.count("miss"), told.count("hit")) == (1, CROWD - 1)
    if not stream:
        assert sum(float(outcome.headers["x-aura-cost-usd"]) > 0 for outcome in outcomes) <= 1


def test_a_late_reader_gets_what_was_said_and_then_what_comes(server, upstream):
    first = gevent.spawn(chat, server.port, f"first/{SLOW}", "late-reader")
    gevent.sleep(0.7)
    second = chat(server.port, f"first/{SLOW}", "late-reader")
    whole = first.get()

    assert sum(asked.nonce == "late-reader" for asked in upstream.asked) == 1
    assert second.text == whole.text == text("late-reader")
    assert (second.done, second.finish) == (1, ["stop"])
    assert second.at[0][0] < second.at[-1][0] / 2
    assert len(second.at[0][1]) > 3 * len(whole.at[0][1])
    assert len(second.at) > 3


def open_stream(server: Server, model: str, nonce: str) -> socket.socket:
    """Ask for a stream and read its head."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": f"{nonce} tell me"}]}
    data = json.dumps(body).encode()
    link = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    link.sendall(post("/v1/chat/completions", data, "Content-Type: application/json"))
    return link


@pytest.mark.parametrize("model", [f"first/{SLOW}", "first/late:by:1"])
def test_a_first_reader_who_leaves_harms_no_other(server, upstream, model):
    nonce = f"leader-leaves-{model.rpartition(':')[0][-3:]}"
    link = open_stream(server, model, nonce)
    gevent.sleep(0.3)
    follower = gevent.spawn(chat, server.port, model, nonce)
    gevent.sleep(0.2)
    link.close()
    outcome = follower.get()

    assert sum(asked.nonce == nonce for asked in upstream.asked) == 1
    assert (outcome.text, outcome.done) == (text(nonce), 1)
    assert chat(server.port, model, nonce).headers["x-aura-cache"] == "hit"


def test_a_first_caller_who_leaves_harms_no_other_call_without_a_stream(server, upstream):
    first = gevent.spawn(chat, server.port, "first/late:by:1", "leaves", stream=False)
    gevent.sleep(0.2)
    second = gevent.spawn(chat, server.port, "first/late:by:1", "leaves", stream=False)
    gevent.sleep(0.2)
    first.kill()

    assert second.get().text == text("leaves")
    assert sum(asked.nonce == "leaves" for asked in upstream.asked) == 1


@pytest.mark.parametrize("phase", ["stall:after:2", "silence"])
def test_when_the_last_reader_leaves_the_upstream_call_ends(server, upstream, phase):
    nonce = f"all-leave-{phase[:3]}"
    links = [open_stream(server, f"first/{phase}", nonce) for _ in range(3)]
    gevent.sleep(0.4)
    asked = next(asked for asked in upstream.asked if asked.nonce == nonce)
    left = Moment(server)
    for link in links:
        link.close()
    took = left.to(upstream.ended_at(asked.connection))

    assert sum(asked.nonce == nonce for asked in upstream.asked) == 1
    assert took < 1


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_first_fails_one_other_asks_again_for_all(server, upstream, stream):
    nonce = f"fails-{stream}"
    model = "first/late:by:0.5"
    upstream.next.append("late-status:code:400")
    outcomes = crowd(server, model, nonce, 50, stream=stream)

    assert sum(asked.nonce == nonce for asked in upstream.asked) == 2
    assert sorted(outcome.status for outcome in outcomes) == [200] * 49 + [400]
    assert chat(server.port, model, nonce, stream=stream).headers["x-aura-cache"] == "hit"


def test_a_failure_is_told_to_all_when_it_comes_again_and_is_not_stored(server, upstream):
    outcomes = crowd(server, "first/late-status:code:400", "fails-always", 50, stream=False)
    after = chat(server.port, "first/late-status:code:400", "fails-always", stream=False)

    assert {outcome.status for outcome in outcomes} == {400}
    assert sum(asked.nonce == "fails-always" for asked in upstream.asked) == 3
    assert after.headers["x-aura-cache"] == "miss"


def test_a_stream_that_breaks_off_is_no_success_for_anyone(server, upstream):
    outcomes = crowd(server, "first/cut:after:5:interval:0.1", "broken-off", 20)

    assert {outcome.status for outcome in outcomes} == {200}
    assert {(outcome.done, len(outcome.errors)) for outcome in outcomes} == {(0, 1)}
    assert chat(server.port, "first/cut:after:5:interval:0.1", "broken-off").headers["x-aura-cache"] == "miss"


@pytest.mark.parametrize("more", [{"headers": {"Cache-Control": "no-store"}}, {"aura": {"cache": False}}])
def test_calls_that_opt_out_ask_for_themselves(server, upstream, more):
    nonce = f"opt-out-{len(json.dumps(more))}"
    crowd(server, "first/late:by:0.5", nonce, 5, stream=False, **more)

    assert sum(asked.nonce == nonce for asked in upstream.asked) == 5


def test_a_stopping_server_tells_every_reader_in_the_stream(upstream):
    config = f"aura:\n  server: {{graceful-timeout: 2s}}\n  providers:\n{provider('first', upstream.url)}"
    with gateway(config) as server:
        reading = [gevent.spawn(chat, server.port, "first/stall:after:2", "stopping") for _ in range(3)]
        gevent.sleep(0.5)
        server.signal(signal.SIGTERM)
        outcomes = [one.get() for one in reading]
        log = server.log()

    assert [[error["code"] for error in outcome.errors] for outcome in outcomes] == [["server_shutting_down"]] * 3
    assert [outcome.done for outcome in outcomes] == [0] * 3
    assert log.count('"event":"request.done"') >= 3
    assert log.count("server_shutting_down") >= 3


# --- one flight alone


class Source:
    """A stream of pieces that come when they are asked for by the test."""

    def __init__(self) -> None:
        self.queue: gevent.queue.Queue[bytes | None] = gevent.queue.Queue()
        self.closed = False
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self.queue.get()
        if piece is None:
            raise StopIteration
        self.taken += 1
        return piece

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def flights() -> Flights:
    return Flights(Ledger(Fleet(set()), None), lambda call, cost: {"x-request-id": call.id})


def begin(source: Source) -> Callable[[Call], Answer]:
    return lambda _work: Answer(200, {}, stream=source)


def joined(flights: Flights, source: Source, name: str = "name") -> Iterator[bytes]:
    stream = flights.answer(Call("id", {}, stream=True), name, begin(source), 10).stream
    assert stream is not None
    return stream


def test_a_slow_reader_is_cut_off_and_holds_up_nobody(flights):
    source = Source()
    slow, fast = joined(flights, source), joined(flights, source)
    piece = b"x" * (AHEAD // 4)
    sent = 3 * MAX_KEPT // len(piece)
    got = 0
    for _ in range(sent):
        source.queue.put(piece)
        got += len(next(fast))
    source.queue.put(None)
    cut = next(slow)

    assert got == sent * len(piece)
    assert b"stream_interrupted" in cut
    with pytest.raises(StopIteration):
        next(slow)
    with pytest.raises(StopIteration):
        next(fast)


def test_the_provider_is_not_read_far_ahead_of_the_fastest_reader(flights):
    source = Source()
    reader = joined(flights, source)
    piece = b"x" * (AHEAD // 8)
    for _ in range(100):
        source.queue.put(piece)
    gevent.sleep(0)
    gevent.sleep(0)
    before = source.taken
    read = len(next(reader))
    gevent.sleep(0)
    gevent.sleep(0)

    assert before == 9
    assert read == 9 * len(piece)
    assert source.taken == 18


def test_nobody_joins_a_stream_whose_beginning_is_gone(flights):
    first, second = Source(), Source()
    reader = joined(flights, first)
    for _ in range(2 * MAX_KEPT // AHEAD):
        first.queue.put(b"x" * AHEAD)
        next(reader)
    late = joined(flights, second)
    second.queue.put(b"anew")

    assert next(late) == b"anew"


def test_a_stream_is_closed_when_its_last_reader_has_left(flights):
    source = Source()
    readers = [joined(flights, source) for _ in range(3)]
    for reader in readers[:2]:
        reader.close()
        reader.close()
    gevent.sleep(0)
    after_two = source.closed
    readers[2].close()
    gevent.sleep(0)
    gevent.sleep(0)

    assert (after_two, source.closed) == (False, True)


def test_a_bug_is_raised_at_each_reader_and_nothing_stays_behind(flights):
    def bug(_work: Call) -> Answer:
        gevent.sleep(0)
        raise RuntimeError("a bug")

    asking = [gevent.spawn(flights.answer, Call(str(n), {}), "name", bug, 10) for n in range(3)]
    gevent.joinall(asking)

    assert [type(one.exception) for one in asking] == [RuntimeError] * 3
    assert not flights._open


def test_the_second_failure_is_raised_at_all(flights):
    made: list[Call] = []

    def fail(work: Call) -> Answer:
        made.append(work)
        gevent.sleep(0.01)
        raise UpstreamError(f"failure {len(made)}")

    asking = [gevent.spawn(flights.answer, Call(str(n), {}), "name", fail, 10) for n in range(5)]
    gevent.joinall(asking)

    assert len(made) == 2
    assert sorted(str(one.exception) for one in asking) == ["failure 1", *["failure 2"] * 4]
    assert len({id(one.exception) for one in asking}) == 5


def test_a_reader_waits_no_longer_than_its_own_time(flights):
    first = gevent.spawn(flights.answer, Call("1", {}), "name", lambda _work: gevent.sleep(60), 60)
    gevent.sleep(0)
    with pytest.raises(AuraError) as told:
        flights.answer(Call("2", {}), "name", lambda _work: gevent.sleep(60), 0.01)
    first.kill()

    assert told.value.code == "upstream_timeout"


def test_a_flight_without_readers_never_runs():
    ran: list[Call] = []
    flight = Flight(Call("id", {}), lambda work: ran.append(work) or Answer(200, {}), lambda _flight: None)
    flight.readers += 1
    flight.leave()
    gevent.sleep(0)

    assert not ran
