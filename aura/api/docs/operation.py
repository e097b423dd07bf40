"""What is said of a route: the record of which ``operations`` and ``grammars`` make the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from ...call import Json

JSON, FORM, EVENTS, PLAIN, BINARY = (
    "application/json",
    "multipart/form-data",
    "text/event-stream",
    "text/plain",
    "application/octet-stream",
)
LINES = "application/x-ndjson"
CALL_ERRORS = (400, 401, 404, 408, 413, 415, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is said of a route.

    Args:
        answer: the schema of the answer, or its media type where it is no JSON.
        example: an answer.
        body: the schema of the request's body; a JSON schema where a schema of marshmallow says too little.
        bodies: bodies to try, by name.
        form: the body is a form.
        events: a stream as it is on the wire, where the route can stream.
        events_type: the stream's media type.
        event: the schema of an event's data.
        query: the query's parameters and what they are.
        errors: statuses of errors, beside 401 and 500.
        note: what else a client should know.
        status: of the answer.
        headers: of the answer, where no call is made.
    """

    tag: str
    answer: type[Schema] | str
    example: Any = None
    body: type[Schema] | Json | None = None
    bodies: dict[str, Json] | None = None
    form: bool = False
    events: str = ""
    events_type: str = EVENTS
    event: type[Schema] | None = None
    query: tuple[tuple[str, str], ...] = ()
    errors: tuple[int, ...] = ()
    note: str = ""
    status: int = 200
    headers: tuple[str, ...] = ()


HELLO = [{"role": "user", "content": "Explain quantum computing"}]
CHAT: Json = {"model": "auto", "messages": HELLO}
