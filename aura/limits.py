"""How long a call may take: its total, an attempt, the first content, a gap in a stream. All in seconds."""

from __future__ import annotations

from .call import Call, Json, Model
from .errors import BadRequest
from .settings import RouterSettings

FIRST_CONTENT = 10.0
TOKENS_PER_SECOND = 5_000  # a prompt is read at least so fast
REASONING_FIRST_CONTENT = 120.0
REASONING_FACTOR = 5  # of a provider's own timeout
IDLE_GAP = 20.0
LONG_IDLE_GAP = 120.0
_NO_EFFORT = (None, "none", "minimal")


def reasons(body: Json, model: Model) -> bool:
    """Whether the call makes the model think before it speaks."""
    effort, thinking = body.get("reasoning_effort"), body.get("thinking")
    if effort is None and thinking is None:
        return "reasoning" in model.capabilities and not model.can("thinks_when_asked")
    if effort not in _NO_EFFORT or (isinstance(thinking, dict) and thinking.get("type") not in (None, "disabled")):
        return True
    return model.can("reasoning") and not model.can("thinks_when_asked") and effort != "none"


def total(call: Call, settings: RouterSettings, reasoning: bool) -> float:
    """The whole call's limit, shortened by the client's ``X-Aura-Timeout``.

    Raises:
        BadRequest: the header is no positive number of seconds.
    """
    limit = settings.long_timeout if call.stream or reasoning else settings.total_timeout
    asked = call.headers.get("x-aura-timeout")
    if asked is None:
        return limit
    try:
        seconds = float(asked)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise BadRequest("X-Aura-Timeout must be a positive number of seconds", param="X-Aura-Timeout")
    return min(limit, seconds)


def first_content(prompt_tokens: int, reasoning: bool, cold_start: float) -> float:
    """From sending to the first content of a stream."""
    limit = REASONING_FIRST_CONTENT if reasoning else FIRST_CONTENT + prompt_tokens / TOKENS_PER_SECOND
    return limit + cold_start


def attempt(timeout: float, reasoning: bool) -> float:
    """One whole attempt that is not streamed, by the provider's ``timeout``."""
    return timeout * REASONING_FACTOR if reasoning else timeout


def share(limit: float, deadline: float, now: float, last: bool) -> float:
    """When an attempt must have ended: while others could still be asked, it may use half of the time that is left."""
    left = deadline - now
    return now + (min(limit, left) if last else min(limit, left / 2))
