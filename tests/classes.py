"""The worker classes that serve Aura, and what gunicorn's own cannot do: by name, with the reason.

A test that is run on both and is named here must fail on gunicorn's (see ``conftest``); so must the bytes named here.
"""

from __future__ import annotations

AURA = "aura.worker.GeventWorker"
GUNICORN = "gevent"
IDS = ["aura", "gunicorn"]
CLASSES = [AURA, GUNICORN]

TESTS = {
    "test_continue_is_not_said_when_the_body_is_not_wanted": "gunicorn says 100 Continue before the application runs",
    "test_a_head_that_stops_is_told_408": "gunicorn's wait for a head ends with a close, no hook is asked",
}
BYTES = {
    "line: b'PRI * HTTP/2.0'": "gunicorn reads the target before the version: 400, not 505",
    "another language: HTTP/2": "gunicorn reads the target before the version: 400, not 505",
    "headers: without end": "gunicorn waits for more up to the sum of its limits, 800 kB, then closes without a word",
}
