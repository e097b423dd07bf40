"""The one HTTP client: pooled connections, TLS, deadlines; whatever goes wrong is a :class:`~aura.errors.Failure`."""

from __future__ import annotations

from collections.abc import Mapping

from requests import PreparedRequest, Session
from requests.hooks import default_hooks

from ..call import HttpRequest
from .adapter import Adapter
from .response import MAX_BODY, Response

__all__ = ["Response", "Upstream", "session"]


class _Prepared(PreparedRequest):
    """A request that needs no more preparing. What requests sets up for each has its first value here."""

    _cookies = None
    _body_position = None
    hooks = default_hooks()

    def __init__(self, request: HttpRequest) -> None:
        self.method, self.url = request.method, request.url
        self.headers = request.headers  # type: ignore[assignment]
        self.body = request.body if request.upload is None else request.upload  # type: ignore[assignment]


class Upstream:
    """Sends requests to providers.

    URL, host, headers and key come from configuration only; redirects are not followed, cookies not kept, netrc and the
    environment's proxies not read.

    Args: as of :class:`~aura.upstream.adapter.Adapter`.
    """

    def __init__(
        self,
        connect_timeout: float = 2.0,
        pool_size: int = 1024,
        max_body: int = MAX_BODY,
        ca_bundle: str | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self._adapter = Adapter(connect_timeout, pool_size, max_body, ca_bundle, proxies)

    def send(self, request: HttpRequest, deadline: float, *, fresh: bool = False) -> Response:
        """Send a request and wait for the head of its answer, which must be closed.

        Args:
            deadline: monotonic seconds by which the head must have come; it covers connecting.
            fresh: use no connection that was used before.

        Raises:
            Failure: ``STALE`` (a reused connection ended before any byte), ``UNREACHABLE``, ``TIMEOUT`` or
                ``BAD_RESPONSE``.
            ValueError: the URL or a header cannot be sent (it holds a line end, say).
        """
        prepared = _Prepared(request)
        response = self._adapter.send(prepared, deadline=deadline, fresh=fresh)
        prepared.body = None  # a stream may stay open for minutes, and its request be megabytes
        return response

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()


def session() -> Session:
    """A session of requests' own for a library that wants one; like ours it reads nothing of the environment."""
    made = Session()
    made.trust_env = False
    return made
