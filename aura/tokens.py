"""Access tokens for providers that take no key: fetched when first wanted, kept, renewed before they end.

Facts
  - A client asks with its own secret, in a posted form (``grant_type=client_credentials``; RFC 6749, 4.4).
  - ``expires_in`` counts seconds and is only recommended; ``token_type`` is read without regard to case (5.1).
  - A refusal is a 400 or 401 with a word in ``error`` (5.2); Entra ID adds its own numbers in ``error_codes``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
import orjson
from gevent.event import AsyncResult

from .call import HttpRequest
from .errors import Failure, Reason
from .providers import TokenRequest
from .settings import Secret
from .upstream import Response, Upstream

log = logging.getLogger("aura.tokens")

FETCH = 10.0  # seconds that asking for a token may take
PAUSE = 5.0  # seconds for which a token that could not be had is not asked for again
EARLY = 300.0  # seconds before its end from which a token is renewed; half its life, if that is less
_UNUSED = 0.1  # the last part of them, in which it is not sent any more: it could end on its way
_LIFE = 300.0  # of a token that does not say
_LONGEST = 86400.0
_OK, _UNAUTHORIZED = 200, 401
_NO_REFUSAL = (408, 429)
_TOKEN = re.compile(r"[\x21-\x7e]+")
# What a refusal may be called (RFC 6749, 5.2); another word is not repeated, whatever it holds.
_REFUSALS = frozenset(
    "invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope".split()
)
Clock = Callable[[], float]
Post = Callable[[HttpRequest, float], tuple[int, bytes]]


@dataclass(slots=True)
class Token:
    """A token.

    Args:
        renew: monotonic seconds from which a new one is fetched.
        end: monotonic seconds from which it is not sent any more.
        doubted: the one before it was refused, and it has not been accepted yet.
    """

    text: Secret
    renew: float
    end: float
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why a token could not be had, and until when nobody asks again."""

    failure: Failure
    until: float


class Tokens:
    """The tokens of one worker, one for each way of asking: entries with the same credentials share it.

    Args:
        post: sends a request by a deadline; status and body, or a :class:`~aura.errors.Failure`.
        clock: monotonic seconds.
    """

    def __init__(self, post: Post, clock: Clock) -> None:
        self._post, self._clock = post, clock
        self._kept: dict[TokenRequest, Token] = {}
        self._failed: dict[TokenRequest, _Failed] = {}
        self._asked: dict[TokenRequest, AsyncResult] = {}
        self._doubted: set[TokenRequest] = set()

    def get(self, wanted: TokenRequest, deadline: float) -> Token:
        """A token to send: the one that is kept, else a new one, for which all who want it wait together.

        Nobody waits while the old one is good: it is renewed meanwhile.

        Args:
            deadline: monotonic seconds.

        Raises:
            Failure: ``AUTH`` (the credentials were refused), ``UNREACHABLE`` or ``TIMEOUT``.
        """
        now, token, failed = self._clock(), self._kept.get(wanted), self._failed.get(wanted)
        if token is not None and now < token.renew:
            return token
        outcome: Token | _Failed | AsyncResult = failed if failed and now < failed.until else self._ask(wanted)
        if token is not None and now < token.end:
            return token
        if isinstance(outcome, AsyncResult):
            outcome = self._await(outcome, deadline)
        if isinstance(outcome, _Failed):
            # A new exception for everyone: what one call notes in it is not another's.
            told = outcome.failure
            raise Failure(told.reason, told.message, status=told.status)
        return outcome

    def refused(self, wanted: TokenRequest, token: Token) -> bool:
        """The provider answered 401 to a token: drop it, once.

        Returns:
            Whether another may fare better: not where the token has just replaced a refused one.
        """
        if self._kept.get(wanted) is token:
            if token.doubted:
                return False
            del self._kept[wanted]
            self._doubted.add(wanted)
        return True

    def _ask(self, wanted: TokenRequest) -> AsyncResult:
        asked = self._asked.get(wanted)
        if asked is None:
            # A green thread of its own: who waits may leave, and the others still get what was asked for.
            asked = self._asked[wanted] = AsyncResult()
            gevent.spawn(self._fetch, wanted, asked)
        return asked

    def _await(self, asked: AsyncResult, deadline: float) -> Token | _Failed:
        try:
            return asked.get(timeout=max(0.0, deadline - self._clock()))  # type: ignore[no-any-return]
        except gevent.Timeout:
            raise Failure(Reason.TIMEOUT, "no access token came in time") from None

    def _fetch(self, wanted: TokenRequest, asked: AsyncResult) -> None:
        failure = Failure(Reason.UNREACHABLE, "no access token could be asked for")
        token = None
        try:
            started = self._clock()
            token = _token(*self._post(wanted.request(), started + FETCH), started)
        except Failure as caught:
            failure = _told(caught)
        finally:
            del self._asked[wanted]
            asked.set(self._keep(wanted, token) if token else self._pause(wanted, failure))

    def _keep(self, wanted: TokenRequest, token: Token) -> Token:
        token.doubted = wanted in self._doubted
        self._doubted.discard(wanted)
        self._kept[wanted] = token
        return token

    def _pause(self, wanted: TokenRequest, failure: Failure) -> _Failed:
        log.warning("token.failed", extra={"reason": failure.reason.value, "detail": failure.message})
        failed = self._failed[wanted] = _Failed(failure, self._clock() + PAUSE)
        return failed


def _told(failure: Failure) -> Failure:
    """What an endpoint's failure means for the provider: refused, too slow, or not to be reached."""
    if failure.reason is Reason.AUTH:
        return failure
    reason = Reason.TIMEOUT if failure.reason is Reason.TIMEOUT else Reason.UNREACHABLE
    return Failure(reason, f"no access token: {failure}", status=failure.status)


def _token(status: int, body: bytes, started: float) -> Token:
    """Read an endpoint's answer.

    Args:
        started: when it was asked: a token's life begins no earlier.

    Raises:
        Failure: it holds no token.
    """
    try:
        answer = orjson.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if status != _OK:
        refused = 400 <= status < 500 and status not in _NO_REFUSAL
        reason = Reason.AUTH if refused else Reason.UNREACHABLE
        raise Failure(reason, " ".join(["no access token:", str(status), *_words(answer)]), status=status)
    text, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
    if not isinstance(text, str) or not _TOKEN.fullmatch(text) or str(kind).lower() != "bearer":
        raise Failure(Reason.BAD_RESPONSE, "the answer holds no token that can be sent")
    life = _life(answer.get("expires_in"))
    early = min(EARLY, life / 2)
    end = started + life
    return Token(Secret(text), renew=end - early, end=end - early * _UNUSED)


def _words(answer: dict[str, Any]) -> list[str]:
    """A refusal in the words and numbers that mean something: the rest could hold anything."""
    error, codes = answer.get("error"), answer.get("error_codes")
    words = [error] if isinstance(error, str) and error in _REFUSALS else []
    numbers = codes[:3] if isinstance(codes, list) else []
    return [*words, *(f"AADSTS{number}" for number in numbers if type(number) is int)]


def _life(said: object) -> float:
    try:
        seconds = float(said)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return _LIFE
    return min(seconds, _LONGEST) if seconds > 0 else _LIFE


class Sender:
    """Sends requests to providers, with an access token where the provider wants one."""

    def __init__(self, upstream: Upstream, clock: Clock) -> None:
        self._upstream = upstream
        self._tokens = Tokens(self._post, clock)

    def send(
        self, request: HttpRequest, deadline: float, *, fresh: bool = False, token: TokenRequest | None = None
    ) -> Response:
        """Send a request and wait for the head of its answer, as :meth:`aura.upstream.Upstream.send` does.

        A token that is refused is replaced, and the request sent once more; the deadline covers all of it.

        Args:
            token: how the token is asked for that goes in ``Authorization``; None where none is wanted.

        Raises:
            Failure: that of the upstream, or there is no token.
        """
        if token is None:
            return self._upstream.send(request, deadline, fresh=fresh)
        sent = self._tokens.get(token, deadline)
        response = self._send(request, sent, deadline, fresh)
        if response.status == _UNAUTHORIZED and self._tokens.refused(token, sent):
            response.close()
            sent = self._tokens.get(token, deadline)
            response = self._send(request, sent, deadline, fresh)
        if response.status != _UNAUTHORIZED:
            sent.doubted = False
        return response

    def _send(self, request: HttpRequest, token: Token, deadline: float, fresh: bool) -> Response:
        request.headers["authorization"] = f"Bearer {token.text.reveal()}"
        return self._upstream.send(request, deadline, fresh=fresh)

    def _post(self, request: HttpRequest, deadline: float) -> tuple[int, bytes]:
        # A connection that was kept for an hour is not worth trying.
        response = self._upstream.send(request, deadline, fresh=True)
        try:
            return response.status, response.read(deadline)
        finally:
            response.close()
