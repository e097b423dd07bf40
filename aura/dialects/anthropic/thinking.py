"""Thinking: how much is asked for, in the form that the model takes.

Facts
  - Older models take a budget, of at least 1024 tokens and below ``max_tokens``; newer ones think as they see fit
    (``adaptive``), led by ``output_config.effort``, and refuse a budget.
  - With a budget, the turn that called the tools must begin with its thinking; ``adaptive`` does without.
See https://platform.claude.com/docs/en/build-with-claude/extended-thinking
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...call import Json, Model

MIN_BUDGET = 1024
_BUDGETS = {
    "minimal": MIN_BUDGET,
    "low": MIN_BUDGET,
    "medium": 2048,
    "high": 4096,
    "xhigh": 8192,
    "max": 16384,
}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}


@dataclass(slots=True)
class Thinking:
    """What is sent of thinking.

    Args:
        config: the parameter ``thinking``; None leaves it to the model.
        effort: ``output_config.effort``.
        asked: the client's parameter that asked for it.
    """

    config: Json | None = None
    effort: str | None = None
    asked: str = ""

    @property
    def on(self) -> bool:
        """Whether the model is made to think, with all that this excludes."""
        return self.config is not None and self.config.get("type") not in ("disabled", None)

    @property
    def budget(self) -> int | None:
        """The tokens to think with, where they are fixed."""
        if self.config is None or self.config.get("type") != "enabled":
            return None
        given = self.config.get("budget_tokens")
        return max(MIN_BUDGET, given) if isinstance(given, int) else MIN_BUDGET

    def turn_off(self, dropped: list[str]) -> None:
        """Do without, because something else excludes it; an effort that is told apart from it stays."""
        if self.effort is None and self.asked not in dropped:
            dropped.append(self.asked)
        self.config = None


def thinking_out(body: Json, model: Model, dropped: list[str]) -> Thinking:
    """What the client asks for, in the form that the model takes.

    A model that nothing is known of gets only what the client says in Anthropic's own words: the two forms exclude
    each other, and the wrong one is refused.
    """
    effort, asked = _effort(body)
    given = body.get("thinking")
    if isinstance(given, dict):
        return _native(given, effort, model, dropped)
    if effort is None:
        return Thinking()
    if effort == "none":
        return Thinking({"type": "disabled"} if model.can("reasoning") else None)
    if not model.can("reasoning") or effort not in _BUDGETS:
        dropped.append(asked)
        return Thinking()
    if model.can("adaptive_thinking"):
        return Thinking({"type": "adaptive"}, _effort_out(effort, model), asked)
    return Thinking({"type": "enabled", "budget_tokens": _BUDGETS[effort]}, asked=asked)


def _effort(body: Json) -> tuple[Any, str]:
    """The effort, and the parameter that told it; some clients put it into an object."""
    if body.get("reasoning_effort") is not None:
        effort, asked = body["reasoning_effort"], "reasoning_effort"
    else:
        reasoning = body.get("reasoning")
        effort, asked = (reasoning.get("effort") if isinstance(reasoning, dict) else None), "reasoning"
    return (effort if isinstance(effort, str) or effort is None else str(effort)), asked


def _effort_out(effort: str, model: Model) -> str:
    if effort == "xhigh" and not model.can("effort_xhigh"):
        return "high"
    return _EFFORTS[effort]


def _native(given: Json, effort: Any, model: Model, dropped: list[str]) -> Thinking:
    """The client's own ``thinking``: forwarded, but for the form that the model is known to refuse."""
    kind = given.get("type")
    shown = {"display": given["display"]} if given.get("display") else {}
    if model.known and not model.can("reasoning"):
        if kind != "disabled":
            dropped.append("thinking")
        return Thinking()
    if kind == "enabled" and model.can("adaptive_thinking"):
        told = _effort_out(effort, model) if effort in _EFFORTS else None
        return Thinking({"type": "adaptive", **shown}, told, "thinking")
    if kind == "adaptive" and model.known and not model.can("adaptive_thinking"):
        budget = _BUDGETS.get(effort, _BUDGETS["high"]) if isinstance(effort, str) else _BUDGETS["high"]
        return Thinking({"type": "enabled", "budget_tokens": budget, **shown}, asked="thinking")
    told = _effort_out(effort, model) if effort in _EFFORTS and model.can("adaptive_thinking") else None
    return Thinking(dict(given), told, "thinking")


def fit(thinking: Thinking, limit: int, ceiling: int | None, dropped: list[str]) -> int:
    """Make room: the budget lies below ``max_tokens``, so that one is raised, as far as the model goes.

    Args:
        limit: ``max_tokens`` so far.
        ceiling: the model's own output limit, if it is known.

    Returns:
        ``max_tokens``.
    """
    budget = thinking.budget
    if budget is None or thinking.config is None:
        return limit
    if limit <= budget:
        limit = budget + max(1, limit)
    if ceiling is not None and limit > ceiling:
        limit = ceiling
        budget = min(budget, max(MIN_BUDGET, limit // 2))
    if budget >= limit:
        thinking.turn_off(dropped)
    else:
        thinking.config = {**thinking.config, "budget_tokens": budget}
    return limit


def lacks_thinking(turns: list[Json]) -> bool:
    """Whether the model is in the middle of calling tools, in a turn that did not begin with thinking."""
    last = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if last is None or not any(block.get("type") == "tool_use" for block in last["content"]):
        return False
    return last["content"][0].get("type") not in ("thinking", "redacted_thinking")
