"""What clients may name freely takes no memory that grows, and pushes nothing out that is the operator's."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from aura import protocol
from aura.cache.wording import MAX_LENGTH, form
from aura.call import Hedge, Target
from aura.circuit import FAILURES_IN_A_ROW, State
from aura.errors import Circuit as Effect
from aura.fleet import MAX_TARGETS, Fleet
from aura.hedge import LEAST, Hedging
from aura.hedge import MAX_TARGETS as MAX_HEDGED
from aura.protocol import Head

OWN = Target("p", "own")


def kept_by(work: Callable[[], None]) -> int:
    """Bytes that are still held when something is done."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def test_names_of_headers_are_not_kept_however_long_and_many_they_are(monkeypatch):
    """Nobody needs a key to send a head."""
    monkeypatch.setattr(protocol, "_keys", {})

    def send() -> None:
        for number in range(600):
            name = b"x-%d-%b" % (number, 30_000 * b"a")
            assert Head({}).feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + name + b": 1\r\n\r\n")

    assert kept_by(send) < 256 * 1024


def test_the_names_that_clients_really_send_are_known_again_after_a_flood(monkeypatch):
    monkeypatch.setattr(protocol, "_keys", {})
    for number in range(2000):
        Head({}).feed(b"GET / HTTP/1.1\r\nHost: a\r\nx-%d: 1\r\n\r\n" % number)
    Head({}).feed(b"GET / HTTP/1.1\r\nHost: a\r\ncontent-type: a\r\n\r\n")

    assert protocol._keys[b"content-type"] == "CONTENT_TYPE"
    assert len(protocol._keys) <= 512


def test_long_texts_are_not_kept_where_questions_in_other_words_are_looked_for():
    texts = [f"What is {number}? " + 1_000_000 * "a" for number in range(20)]

    def ask() -> None:
        for text in [text + "?" for text in texts]:
            assert form(text) is None

    assert len(texts[0]) > MAX_LENGTH
    assert kept_by(ask) < 256 * 1024


def test_targets_that_a_client_names_do_not_close_the_circuit_of_one_that_is_listed():
    now = [0.0]
    fleet = Fleet({OWN}, lambda: now[0])
    circuit = fleet.circuit(OWN)
    for _ in range(FAILURES_IN_A_ROW):
        circuit.settle(circuit.admit(), Effect.FAILURE)
    for number in range(2 * MAX_TARGETS):
        fleet.of(Target("p", f"junk-{number}"))

    assert fleet.states()[OWN] is State.OPEN
    assert fleet.circuit(OWN) is circuit
    assert len(fleet.states()) == MAX_TARGETS + 1


def test_of_targets_that_are_not_listed_those_in_use_are_known_on():
    fleet = Fleet(set(), lambda: 0.0)
    circuit = fleet.circuit(OWN)
    for number in range(2 * MAX_TARGETS):
        fleet.of(Target("p", f"junk-{number}"))
        fleet.of(OWN)

    assert fleet.circuit(OWN) is circuit
    assert len(fleet.states()) == MAX_TARGETS


@pytest.mark.parametrize("stream", [False, True])
def test_the_times_of_a_target_in_use_are_known_on_whatever_others_are_named(stream):
    hedging = Hedging(Hedge())
    for number in range(2 * MAX_HEDGED):
        hedging.note(Target("p", f"junk-{number}"), stream, 1.0)
        if number < LEAST or number % 100 == 0:
            hedging.note(OWN, stream, 0.1)

    assert hedging.delay(OWN, stream) == 0.1
