"""How a setting is declared: its type, its default, and a sentence about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, NoReturn

# What a model can do, as a configuration may say it; see :mod:`aura.catalogue` for the meaning.
CAPABILITIES = (
    "adaptive_thinking",
    "audio",
    "developer_role",
    "documents",
    "effort_xhigh",
    "embeddings",
    "json_object",
    "json_schema",
    "max_completion_tokens",
    "prefill",
    "reasoning",
    "sampling",
    "streaming",
    "system_anywhere",
    "temperature_and_top_p",
    "thinks_when_asked",
    "tools",
    "vision",
)


MOST = 10**12  # that a limit may be


class Secret:
    """A text that does not print: not in a log, a traceback, JSON or a pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Setting:
    """One declaration.

    Args:
        key: its name in a file, the last word of its path.
        kind: what its value is: text, secret, url, host, integer, number, duration, size, boolean, names, choice,
            level, or one of the shapes models, headers, keys, price, moderation, hedge.
        default: the value where nothing is said; None where that depends on something else.
        sentence: what it does, for the documentation.
        environment: names in the environment beside the one made of its path.
        aliases: further names in a file.
        choices: the words allowed.
        least: the smallest value allowed.
        most: the largest value allowed.
    """

    key: str
    kind: str
    default: Any
    sentence: str
    environment: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


def setting(default: Any, kind: str, sentence: str, **more: Any) -> Any:
    """Declare a field of a settings record; ``more`` as in :class:`Setting`."""
    metadata = {"kind": kind, "sentence": sentence, **more}
    return (
        field(default_factory=dict, metadata=metadata) if default is dict else field(default=default, metadata=metadata)
    )


def declared(record: type[Any]) -> Iterator[tuple[str, Setting]]:
    """The declarations of a settings record, each with its field's name."""
    for one in fields(record):
        if one.metadata:
            more = {"key": one.name.replace("_", "-"), **one.metadata}
            yield one.name, Setting(default=_default(one), **more)


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return None if one.default is MISSING else one.default
