"""A running gateway, as the commands that ask one reach it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPResponse

_URL, _KEY = "AURA_URL", "AURA_KEY"
_LOCAL = "http://127.0.0.1:8080"
UNAUTHORIZED, OK = 401, 200


class Unreachable(Exception):
    """There is no answer, or none that tells of a gateway; the text says why."""


def declare_address(command: argparse.ArgumentParser) -> None:
    """Declare where the gateway is, and how it is asked."""
    command.add_argument("--url", default=os.environ.get(_URL, _LOCAL), help=f"where it is (default: {_URL}, {_LOCAL})")
    command.add_argument("--key", default=os.environ.get(_KEY, ""), help=f"a key of its clients (default: {_KEY})")


def wants_a_key(url: str) -> Unreachable:
    """What to say of a gateway that answers 401."""
    return Unreachable(f"{url} wants a key: --key, or {_KEY} in the environment")


@contextmanager
def answered(
    url: str, key: str, method: str, path: str, body: bytes | None = None, timeout: float = 10.0
) -> Iterator[HTTPResponse]:
    """Ask, and hand out the answer, whose body is not read yet.

    Args:
        timeout: seconds of silence that are borne.

    Raises:
        Unreachable: there is no answer, or it broke off.
    """
    import http.client  # takes 30 ms

    parts = urlsplit(url if "//" in url else f"http://{url}")
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    try:
        if parts.scheme not in kinds or not parts.hostname:
            raise Unreachable(f"{url} is no address of a gateway: http://host:port")
        connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=timeout)
        try:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            yield connection.getresponse()
        finally:
            connection.close()
    except BrokenPipeError:  # whoever reads the output has had enough
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Unreachable(f"{url} does not answer: {reason}") from None
