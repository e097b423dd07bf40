"""How a request is checked by a schema, and what its sender is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError

from ..call import Json
from ..errors import BadRequest
from ..strict_json import MAX_SHOWN


class RequestSchema(Schema):
    """A schema of requests: what it does not name may be there, too. Bodies are given to :func:`faults`."""

    class Meta:
        unknown = INCLUDE

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **_kwargs: Any) -> None:  # noqa: ARG002
        """Raise what is wrong otherwise than marshmallow does.

        Its own exception is held by the frame that raises it, with the body: both wait for the garbage collector.
        """
        raise _WrongError(error.messages)


class _WrongError(Exception):
    """A schema does not take a body."""

    def __init__(self, faults: Any) -> None:
        self.faults = faults


def faults(schema: RequestSchema, body: Json) -> Any:
    """What is wrong with a body, by field, as marshmallow tells it; empty if nothing is."""
    try:
        schema.validate(body)
    except _WrongError as wrong:
        return wrong.faults
    return {}


def refuse_wrong(schema: RequestSchema, body: Json) -> None:
    """Refuse a body that a schema does not take; BadRequest names the first field that is wrong."""
    errors = faults(schema, body)
    if errors:
        raise _first(errors)


def _first(errors: Mapping[Any, Any]) -> BadRequest:
    """The error to tell, of all that marshmallow found."""
    path, found = "", errors
    while isinstance(found, Mapping):
        step, found = next(iter(found.items()))
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step[:MAX_SHOWN]
    return BadRequest(f"'{path}' {found[0]}.", param=path)
