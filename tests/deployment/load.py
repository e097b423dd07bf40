"""Clients that call all the time, while something happens to what they call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

import gevent

from tests.calls import Outcome, chat
from tests.faulty import text


@dataclass
class Called:
    """A call made while something happened: whose it was, and what came."""

    client: int
    stream: bool
    nonce: str
    outcome: Outcome

    @property
    def failed(self) -> bool:
        answer = self.outcome
        told = answer.status == 200 and answer.whole and answer.text == text(self.nonce)
        return not told or (self.stream and not answer.done)


class Load:
    """Calls one after another from several clients, one half streams, until the end of the block.

    Args:
        nonce: what call number so and so asks.
    """

    def __init__(self, port: int, nonce: Callable[[int], str], headers: Mapping[str, str], clients: int = 8) -> None:
        self.done: list[Called] = []
        self._port, self._nonce, self._headers, self._clients = port, nonce, headers, clients
        self._numbers, self._over = count(), False

    def __enter__(self) -> Load:
        self._greenlets = [gevent.spawn(self._run, number) for number in range(self._clients)]
        self.goes_on()
        return self

    def __exit__(self, *error: object) -> None:
        self._over = True
        gevent.joinall(self._greenlets, raise_error=True)

    def _run(self, client: int) -> None:
        stream = bool(client % 2)
        while not self._over:
            nonce = self._nonce(next(self._numbers))
            outcome = chat(self._port, "only/m", nonce, stream=stream, headers=self._headers)
            self.done.append(Called(client, stream, nonce, outcome))

    def goes_on(self, calls: int = 30) -> None:
        """Wait until so many more calls are done."""
        enough = len(self.done) + calls
        while len(self.done) < enough:
            gevent.sleep(0.01)

    def failed(self) -> list[Called]:
        return [called for called in self.done if called.failed]


def open_streams_only(lost: Iterable[Called]) -> bool:
    """Whether these are no more than the streams that were open at one time.

    A client has one call at a time, so it loses one at most, and that one had begun to be answered.
    """
    clients = [called.client for called in lost]
    begun = all(called.stream and called.outcome.status == 200 and not called.outcome.done for called in lost)
    return begun and len(set(clients)) == len(clients)
