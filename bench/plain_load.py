"""The load generator of ``native/load.c`` in Python, for where there is no C compiler: same words, same answer.

It takes more CPU than what it measures: a gateway's CPU is right, its latency and requests a second are not.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402  (nothing may be imported before the patch)
import re  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from httptools import HttpParserError, HttpResponseParser  # noqa: E402

_STAMP = re.compile(rb"@(\d{16})")
_LATE_US = 100_000


class Answer:
    """One answer, as llhttp reads it."""

    def __init__(self) -> None:
        self.status = 0
        self.whole = self.streams = False
        self.body = b""
        self.stamps: list[int] = []
        self.events = 0
        self.parser: Any = HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.streams = self.streams or (name.lower() == b"content-type" and value.startswith(b"text/event-stream"))

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if not self.streams:
            return
        *whole, rest = (self.body + body).split(b"\n\n")
        self.events += sum(b"data:" in event for event in whole)
        now = time.monotonic_ns() // 1000
        self.stamps += [now - int(stamp) for event in whole for stamp in _STAMP.findall(event)]
        self.complete = any(b"[DONE]" in event or b"message_stop" in event for event in whole)
        self.body = rest

    complete = False

    def on_message_complete(self) -> None:
        self.whole = True


class Load:
    """What is asked, and what has come."""

    def __init__(self, said: dict[str, str]) -> None:
        self.port = int(said["port"])
        self.request = Path(said["file"]).read_bytes()
        self.connections = int(said.get("connections", 1))
        self.seconds, self.warm = float(said.get("seconds", 0)), float(said.get("warm", 0))
        self.wanted, self.ramp = int(said.get("requests", 0)), float(said.get("ramp", 0))
        self.patience = float(said.get("patience", 60))
        self.sources = int(said.get("from", 1))
        self.asked = self.answered = self.warmed = self.failed = self.incomplete = 0
        self.events = self.open = self.most = self.late_streams = 0
        self.statuses: dict[int, int] = {}
        self.took: list[int] = []
        self.late: list[int] = []
        self.began = time.monotonic()

    def over(self) -> bool:
        """Whether nothing more is asked."""
        if self.seconds:
            return time.monotonic() - self.began >= self.warm + self.seconds
        return self.asked >= self.wanted

    def client(self, number: int) -> None:
        """One connection after another, each as long as it lasts."""
        gevent.sleep(self.ramp * number / self.connections)
        while not self.over():
            source = (f"127.0.0.{1 + number % self.sources}", 0) if self.sources > 1 else None
            try:
                with socket.create_connection(("127.0.0.1", self.port), self.patience, source) as link:
                    self.open += 1
                    self.most = max(self.most, self.open)
                    try:
                        while not self.over() and self.exchange(link):
                            pass
                    finally:
                        self.open -= 1
            except (OSError, HttpParserError):
                self.failed += 1

    def exchange(self, link: socket.socket) -> bool:
        """One request and its answer. Returns whether the connection stays."""
        self.asked += 1
        answer, began = Answer(), time.monotonic()
        link.sendall(self.request.replace(b"@" * 8, b"%08d" % self.asked))
        while not answer.whole:
            data = link.recv(262144)
            if not data:
                raise ConnectionError
            answer.parser.feed_data(data)
        self.note(answer, began)
        return bool(answer.parser.should_keep_alive())

    def note(self, answer: Answer, began: float) -> None:
        """Count an answer."""
        now = time.monotonic()
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        self.events += answer.events
        self.late += answer.stamps
        self.late_streams += any(late > _LATE_US for late in answer.stamps)
        if answer.status != 200:
            self.failed += 1
        elif answer.streams and not answer.complete:
            self.incomplete += 1
        elif now - self.began < self.warm:
            self.warmed += 1
        else:
            self.answered += 1
            self.took.append(round((now - began) * 1e6))

    def report(self) -> dict[str, Any]:
        """All that is known."""
        told = {"took_us": spread(self.took), "late_us": spread(self.late)}
        return {
            "answered": self.answered,
            "warm": self.warmed,
            "failed": self.failed,
            "incomplete": self.incomplete,
            "seconds": time.monotonic() - self.began - self.warm,
            "events": self.events,
            "open": self.most,
            "late_chunks": sum(late > _LATE_US for late in self.late),
            "late_streams": self.late_streams,
            "statuses": self.statuses,
            **{name: values for name, values in told.items() if values},
        }


def spread(values: list[int]) -> dict[str, int] | None:
    """Quantiles; None of nothing."""
    values.sort()
    last = len(values) - 1
    parts = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {name: values[int(last * part)] for name, part in parts.items()} if values else None


def main() -> None:
    """Run the load that the words say, and print what came."""
    load = Load(dict(word.split("=", 1) for word in sys.argv[1:]))
    gevent.joinall([gevent.spawn(load.client, number) for number in range(load.connections)])
    print(json.dumps(load.report()))


if __name__ == "__main__":
    main()
