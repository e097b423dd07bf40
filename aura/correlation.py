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
from .providers import Provider
from .tokens import Sender
from .upstream import Response

_NAMES = ("apim-request-id", "request-id", "x-request-id")
_ID = re.compile(r"[!-~]{1,128}")


def send(
    sender: Sender, call: Call, provider: Provider, request: HttpRequest, deadline: float, fresh: bool
) -> Response:
    """Send a request of a call's attempt, as :meth:`aura.tokens.Sender.send` does; the call is told the provider's id.

    What the operator wrote stands above our ids.
    """
    call.upstream_id = ""
    headers = request.headers
    for name in provider.id_headers:
        headers.setdefault(name, call.id)
    if call.trace is not None:
        headers.update(call.trace.headers)
    response = sender.send(request, deadline, fresh=fresh, token=provider.token)
    call.upstream_id = upstream_id(response.headers)
    return response


def upstream_id(headers: Mapping[str, str]) -> str:
    """What a provider calls an answer; empty where it says nothing, or nothing that a log should hold."""
    for name in _NAMES:
        if name in headers and _ID.fullmatch(headers[name]):
            return headers[name]
    return ""
