"""What ties an attempt to its call in other people's logs: our id goes out with the request, the provider's comes back.

Facts
  - OpenAI takes ``X-Client-Request-Id`` (ASCII, at most 512 characters), Azure ``x-ms-client-request-id``; to all
    others ``x-request-id`` is what proxies and servers commonly log. Headers that a provider does not know it ignores.
  - OpenAI names an answer in ``x-request-id``, Anthropic in ``request-id``, Azure in ``apim-request-id``, which is
    what its own logs have, and in ``x-request-id``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .call import Call, HttpRequest
from .providers import Provider, TokenRequest
from .tokens import Sender
from .upstream import Response

_NAMES = ("apim-request-id", "request-id", "x-request-id")
_ID = re.compile(r"[!-~]{1,128}")


class Correlated:
    """Sends the requests of one attempt.

    Args:
        sender: sends them.
        call: whose attempt it is; it is told the provider's id.
    """

    __slots__ = ("_call", "_names", "_sender")

    def __init__(self, sender: Sender, call: Call, provider: Provider) -> None:
        self._sender, self._call, self._names = sender, call, provider.id_headers
        call.upstream_id = ""

    def send(
        self, request: HttpRequest, deadline: float, *, fresh: bool = False, token: TokenRequest | None = None
    ) -> Response:
        """Send a request, as :meth:`aura.tokens.Sender.send` does. What the operator wrote stands above our ids."""
        call, headers = self._call, request.headers
        for name in self._names:
            headers.setdefault(name, call.id)
        if call.trace is not None:
            headers.update(call.trace.headers)
        response = self._sender.send(request, deadline, fresh=fresh, token=token)
        call.upstream_id = upstream_id(response.headers)
        return response


def upstream_id(headers: Mapping[str, str]) -> str:
    """What a provider calls an answer; empty where it says nothing, or nothing that a log should hold."""
    for name in _NAMES:
        found = headers.get(name)
        if found is not None and _ID.fullmatch(found):
            return found
    return ""
