"""A plan in the making: which targets can serve a call, which are left out and why, what the money is enough for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..call import Json, Planned, Target
from ..ceiling import room_usd
from ..errors import AuraError, BadRequest
from .access import Allowed, not_allowed
from .needs import GRAMMARS, MISSING, Needs, place_of
from .strategies import Candidate

# Tokens of answer that a model must be paid for. A cheaper model that has room for the first is better than a dearer
# one that has not; where none has, the next is tried.
LEAST_ANSWERS = (256, 64, 16, 1)
_MONEY = "aura.max_cost_usd"
_WINDOW = "the context window"
_BITS = {phrase: bit for bit, (phrase, _) in MISSING.items()}
_NOT_ALLOWED = "the key may not use it"


class Draft:
    """The targets of one call, as they are found.

    Args:
        max_cost_usd: the client's ceiling; None: it set none.
        least: tokens of answer that a target must have money for.
        prompt: tokens of the prompt at most, for the ceiling.
        shorten: a target that writes less than the client allows serves all the same, with its own limit.
        allowed: what the caller's key may use; None: everything.
    """

    def __init__(
        self,
        needs: Needs,
        max_cost_usd: float | None,
        least: int,
        prompt: int = 0,
        shorten: bool = False,
        allowed: Allowed | None = None,
    ) -> None:
        self.targets: list[Planned] = []
        self.left_out: list[tuple[Target, str]] = []
        self._needs, self._max_cost_usd, self._least, self._prompt = needs, max_cost_usd, least, prompt
        self._shorten, self._allowed = shorten, allowed
        self._blamed: list[str] = []

    def fitting(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        """Those that can serve the call; the others are left out, each with its reason."""
        mask, tokens, longest = self._needs.mask, self._needs.tokens, self._needs.max_tokens
        found = []
        for candidate in candidates:
            if self._allowed is not None and candidate.planned.target not in self._allowed:
                self.left_out.append((candidate.planned.target, _NOT_ALLOWED))
                continue
            answer = min(longest, candidate.output) if self._shorten else longest
            if candidate.lacks & mask or tokens + answer > candidate.window or answer > candidate.output:
                self._leave_out(candidate, *self._reason(candidate))
            elif self._max_cost_usd is not None and not self._paid(candidate):
                self._leave_out(candidate, "costs more than max_cost_usd", _MONEY)
            else:
                found.append(candidate)
        return found

    def take(self, candidates: Iterable[Candidate]) -> None:
        """Add targets at the end."""
        if self._max_cost_usd is None and not self._shorten:
            self.targets += [candidate.planned for candidate in candidates]
        else:
            self.targets += [replace(c.planned, max_tokens=self._limit(c)) for c in candidates]

    def drop_doubles(self) -> None:
        """Keep each target once, where it came first."""
        first: dict[Target, Planned] = {}
        for planned in self.targets:
            first.setdefault(planned.target, planned)
        self.targets = list(first.values())
        self.left_out = list(dict.fromkeys(self.left_out))

    def _leave_out(self, candidate: Candidate, reason: str, blamed: str) -> None:
        self.left_out.append((candidate.planned.target, reason))
        self._blamed.append(blamed)

    def _reason(self, candidate: Candidate) -> tuple[str, str]:
        missing = candidate.lacks & self._needs.mask
        for bit, (phrase, param) in MISSING.items():
            if missing & bit:
                return phrase, (self._needs.only or param) if bit in GRAMMARS.values() else param
        if self._needs.max_tokens > candidate.output:
            return f"writes at most {candidate.output} tokens", "max_tokens"
        return f"{_WINDOW} of {candidate.window} tokens is too small", "messages"

    def _paid(self, candidate: Candidate) -> bool:
        room = self._room(candidate)
        return room is None or room >= min(self._least, self._needs.max_tokens or self._least)

    def _room(self, candidate: Candidate) -> int | None:
        """Tokens of each answer that the ceiling pays for after the prompt; None: any number."""
        price = candidate.planned.model.price
        if price is None or self._max_cost_usd is None:
            return None
        room = room_usd(self._max_cost_usd, price, self._prompt)
        return None if room is None else int(room / self._needs.choices)

    def _limit(self, candidate: Candidate) -> int | None:
        room = self._room(candidate)
        if self._needs.max_tokens > candidate.output:
            return int(candidate.output) if room is None else min(room, int(candidate.output))
        if room is None or room >= min(self._needs.max_tokens or candidate.output, candidate.output):
            return None
        return room

    def refusal(self, body: Json) -> AuraError:
        """Why nothing can serve the call whose body this is."""
        if not self.left_out:
            return BadRequest("No tier has a model; name one as provider/model.", param="model")
        allowed = [(target, reason) for target, reason in self.left_out if reason != _NOT_ALLOWED]
        if not allowed:
            return not_allowed(str(body.get("model", "auto")))
        who: dict[str, list[str]] = {}
        for target, reason in allowed:
            who.setdefault(reason, []).append(target.name)
        told = "; ".join(f"{_listed(names)}: {reason}" for reason, names in who.items())
        too_long = all(reason.startswith(_WINDOW) for reason in who)
        return BadRequest(
            f"No model can serve this call. {told}.",
            param=place_of(body, _BITS.get(allowed[0][1], 0)) or self._blamed[0],
            code="context_length_exceeded" if too_long else "unsupported_by_models",
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
