"""The rule of thumb that the learned classifier is compared with: words and length of the last user turn.

Facts
  - "code", "implement", "complex", "analyze", "refactor" anywhere in the text, or more than 500 characters: PREMIUM.
  - Fewer than 100 characters with neither "explain" nor "how": ECO.
  - Anything else: BALANCED.
"""

from __future__ import annotations

from collections.abc import Callable

from ..call import TIERS, Json, Tier, Verdict
from ..features.surroundings import text_of
from ..settings import ClassifierSettings

_HARD = ("code", "implement", "complex", "analyze", "refactor")
_ASKING = ("explain", "how")
_LONG = 500
_SHORT = 100
# What is looked at: more can add no more than a keyword in the middle of a book.
_LOOKED_AT = 200_000


def judge(settings: ClassifierSettings) -> Callable[[Json], Verdict]:
    """Make the rule's judge. Its score is the middle of the band that the thresholds give a tier."""
    low, high = settings.balanced_threshold, settings.premium_threshold
    scores = dict(zip(TIERS, (low / 2, (low + high) / 2, (1 + high) / 2), strict=True))

    def verdict(body: Json) -> Verdict:
        tier, reason = rule(last_prompt(body))
        return Verdict(tier=tier, score=scores[tier], reasons=((reason, scores[tier]),))

    return verdict


def rule(prompt: str) -> tuple[Tier, str]:
    """The tier of a prompt, and the words that decided."""
    text = prompt[:_LOOKED_AT].lower()
    for word in _HARD:
        if word in text:
            return Tier.PREMIUM, f"contains {word!r}"
    if len(prompt) > _LONG:
        return Tier.PREMIUM, f"longer than {_LONG} characters"
    if len(prompt) < _SHORT and not any(word in text for word in _ASKING):
        return Tier.ECO, f"shorter than {_SHORT} characters, nothing to explain"
    return Tier.BALANCED, "neither short nor demanding"


def last_prompt(body: Json) -> str:
    """The text of the last user turn; empty where there is none."""
    for message in reversed(body.get("messages") or []):
        if isinstance(message, dict) and message.get("role") == "user":
            return text_of(message)
    return ""
