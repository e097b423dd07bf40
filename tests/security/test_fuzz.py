"""Good requests changed at random, the same each time: whatever becomes of them, the same things hold.

``AURA_FUZZ=10000`` sends so many instead of the usual number, ``AURA_FUZZ_SEED`` other ones.
"""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest

from .mutations import CHATS, OTHERS, TRANSLATED, mutated
from .watched import malformed, watched

COUNT = int(os.environ.get("AURA_FUZZ", "1500"))
SEED = int(os.environ.get("AURA_FUZZ_SEED", "20261124"))
EXPECTED = (200, 400, 401, 403, 404, 405, 413, 414, 415, 417, 431, 501)
# What is in the last event or line of a stream, by the beginning of its path; [DONE] is the usual end.
ENDS = {
    "/v1/messages": b'{"type":"message_stop"}',
    "/v1/responses": b'"type":"response.completed"',
    "/openai/responses": b'"type":"response.completed"',
    "/api/": b'"done":true',
}
# Of the second half: bounded maps fill up, and the allocator's slack comes to rest after some tens of thousands.
MAX_GROWTH = 4 << 20


def whole(path: str, body: bytes, media_type: str) -> list[str]:
    """What is wrong with an answer that is no error."""
    if "event-stream" in media_type or "ndjson" in media_type:
        last = body.removesuffix(b"\n").rpartition(b"\n")[2] if "ndjson" in media_type else body.split(b"\n\n")[-2]
        ends = next((end for begin, end in ENDS.items() if path.startswith(begin)), b"data: [DONE]")
        good = ends in last and b'"error":{' not in body and b'"error":"' not in body
        return [] if good else [f"a broken stream: {body[-80:]!r}"]
    if "json" in media_type and body:
        json.loads(body)
    return []


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("doors", "kind"),
    [(CHATS, "openai"), (OTHERS, "openai"), (TRANSLATED, "anthropic")],
    ids=["chats", "others", "translated"],
)
def test_mutated_requests_break_nothing(doors, kind):
    with watched(kind) as watch:
        worker, statuses, wrong = watch.server.workers(), Counter[int](), []
        warm = 0
        for number, request in enumerate(mutated(SEED, COUNT, doors)):
            if number == COUNT // 2:
                warm = watch.memory()
            asked, sent = len(watch.provider.asked), len(watch.emitted)
            faults = watch.faults(request, *EXPECTED)
            if len(watch.emitted) > sent:
                answer = watch.last
                statuses[answer.status] += 1
                if answer.status == 200:
                    faults += whole(request.path, answer.body, answer.headers.get("content-type", ""))
                divided = "/embed" in request.path  # a list of thousands is asked for in several calls
                if len(watch.provider.asked) - asked > 1 and not divided:
                    faults.append("asked more than once")
            if faults:
                wrong.append((number, faults, request))
        growth = watch.memory() - warm
        sent = len(watch.emitted)
        done = watch.await_done(sent)

        assert wrong == []
        assert watch.server.workers() == worker
        assert growth < MAX_GROWTH
        assert done == sent + 1  # and the one that asked whether it is up
        assert malformed(watch.lines()) == []
        assert "request.failed" not in watch.server.log()
        assert watch.provider.canary_connections == 0
    assert min(statuses[200], statuses[400]) > COUNT // 10
