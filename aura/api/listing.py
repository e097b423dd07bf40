"""The models in Anthropic's form: a page at a time.

See https://platform.claude.com/docs/en/api/models/list
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..call import Json, Model
from ..errors import BadRequest

LIMIT, MAX_LIMIT = 20, 1000


def entry(name: str, known: Model | None, provider: str) -> Json:  # noqa: ARG001  (the shape of the router's entries)
    """One model; its window and limit where they are known."""
    created = datetime.fromtimestamp(known.created if known else 0, UTC)
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": known.context_window if known else None,
        "max_tokens": known.max_output if known else None,
    }


def page(entries: list[Any], query: Mapping[str, str]) -> Json:
    """A page of the list.

    Args:
        query: ``limit``, and ``after_id`` or ``before_id``.
    """
    limit = _limit(query.get("limit"))
    names = [name for name, *_ in entries]
    begin, end = 0, len(names)
    if "after_id" in query:
        begin = _place(names, query["after_id"], "after_id") + 1
    elif "before_id" in query:
        end = _place(names, query["before_id"], "before_id")
        begin = max(0, end - limit)
        more = begin > 0
        return _page([entry(*one) for one in entries[begin:end]], more)
    return _page([entry(*one) for one in entries[begin : begin + limit]], begin + limit < end)


def _page(data: list[Json], more: bool) -> Json:
    ids = [model["id"] for model in data] or [None]
    return {"data": data, "has_more": more, "first_id": ids[0], "last_id": ids[-1]}


def _limit(given: str | None) -> int:
    if given is None:
        return LIMIT
    if not (given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= MAX_LIMIT):
        raise BadRequest(f"must be a number from 1 to {MAX_LIMIT}", param="limit")
    return int(given)


def _place(names: list[str], name: str, param: str) -> int:
    if name not in names:
        raise BadRequest("must be a model of the list", param=param)
    return names.index(name)
