"""Traffic files: JSON lines of chat bodies, each as a client sent it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..call import Json
    from ..errors import AuraError

STDIN = "-"


def read(path: str) -> Iterator[tuple[int, Json | AuraError]]:
    """Read a file line by line, ``-`` being standard input; empty lines say nothing.

    Returns:
        Each line's number, and its body or what is wrong with it.

    Raises:
        OSError: the file cannot be read.
    """
    with sys.stdin.buffer if path == STDIN else open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, _body(line)


def _body(line: bytes) -> Json | AuraError:
    from .. import strict_json
    from ..api.schemas import check_chat
    from ..errors import AuraError, BadRequest

    try:
        body = strict_json.loads(line.strip())
        if not isinstance(body, dict):
            return BadRequest(f"A line must hold a JSON object, not {strict_json.kind(body)}.")
        body.setdefault("model", "auto")
        check_chat(body)
    except AuraError as error:
        return error
    return body


def bodies(path: str) -> list[Json] | None:
    """All chats of a file; lines that hold none are told and left out. None, told too, if it holds no chat at all."""
    from ..errors import AuraError
    from .configured import complain

    found: list[Json] = []
    try:
        for number, body in read(path):
            if isinstance(body, AuraError):
                complain(f"{path}, line {number}, is left out: {body.message}")
            else:
                found.append(body)
    except OSError as error:
        complain(f"{path} cannot be read: {error.strerror}")
        return None
    if not found:
        complain(f"{path} holds no chat")
        return None
    return found
