"""Answers for questions in other words: found by the form of a question, given where the wordings are alike, too.

Two conditions must hold, so the cheaper is looked at first. The form (:mod:`.wording`) is part of a key, under which
the store holds which text was answered and where its answer is: no index, and all who share the store share what is
found. Only then are the two texts compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from ..call import Call, Json, Plan
from .control import Control
from .entry import Poisoned
from .key import key_of
from .wording import form

Likeness = Callable[[str, str], float | None]
"""How alike two texts are, 0 to 1; None where that cannot be told now."""

# A call with any other parameter wants more than a text, or is not known well enough.
_PARAMETERS = frozenset(
    """
    messages model system temperature top_p top_k max_tokens max_completion_tokens seed stop stop_sequences
    frequency_penalty presence_penalty reasoning_effort stream stream_options user metadata store aura fallbacks
    safety_identifier prompt_cache_key
    """.split()
)
_PART = {"type", "text"}


@dataclass(frozen=True, slots=True)
class Question:
    """What a call asks.

    Args:
        key: equal for calls that differ in the wording of their question only.
        text: that wording.
    """

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Semantic:
    """How questions in other words are told.

    Args:
        threshold: the least likeness.
        apart: whether a call stays out of it, for what it holds.
    """

    likeness: Likeness
    threshold: float
    apart: Callable[[Call], bool] | None = None

    def question(self, call: Call, plan: Plan, control: Control) -> Question | None:
        """What a call asks, if others' answers to it and its own answer to others may be given."""
        found = question_of(call, plan, control)
        return None if found is None or (self.apart is not None and self.apart(call)) else found

    def alike(self, one: str, other: str) -> float | None:
        """How alike two texts of one form are; None if that is too little."""
        likeness = self.likeness(one, other)
        return likeness if likeness is not None and likeness >= self.threshold else None


def question_of(call: Call, plan: Plan, control: Control) -> Question | None:
    """What a call asks, if it is one question in plain text; None otherwise."""
    body = call.body if call.native is None else call.native
    messages = body.get("messages")
    if not control.alike or not _PARAMETERS.issuperset(body) or not isinstance(messages, list) or not messages:
        return None
    before, last = messages[:-1], messages[-1]
    if any(message.get("role") not in ("system", "developer") for message in before):
        return None
    text = _text(last)
    found = form(text) if text else None
    if not text or not found:
        return None
    asked = {**body, "messages": [*before, {**last, "content": list(found)}]}
    key = key_of(f"{call.door} by form", call.caller, control.namespace, plan.signature, asked)
    return Question(key, text) if key else None


def _text(message: Any) -> str | None:
    """The text of a user's message that has nothing else."""
    if not isinstance(message, dict) or message.keys() != {"role", "content"} or message["role"] != "user":
        return None
    content = message["content"]
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict) and content[0].keys() == _PART:
        content = content[0]["text"] if content[0]["type"] == "text" else None
    return content if isinstance(content, str) else None


def pointer(key: str, question: Question) -> bytes:
    """What is stored under a question's key: where its answer is, and the text that was answered."""
    return orjson.dumps({"key": key, "text": question.text})


def pointed(data: bytes) -> tuple[str, str]:
    """Read a pointer: the key of the answer, and the text.

    Raises:
        Poisoned: it is none.
    """
    try:
        found: Json = orjson.loads(data)
        key, text = found["key"], found["text"]
    except (ValueError, TypeError, KeyError) as error:
        raise Poisoned("no pointer") from error
    if not (isinstance(key, str) and isinstance(text, str)):
        raise Poisoned("no pointer")
    return key, text
