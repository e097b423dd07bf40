"""The few records that travel through Aura. Plain data: no behaviour beyond reading itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .errors import Failure

Json = dict[str, Any]


class Tier(StrEnum):
    """How capable a model a prompt needs; the order of the members is the order of the tiers."""

    ECO = "ECO"
    BALANCED = "BALANCED"
    PREMIUM = "PREMIUM"


TIERS = tuple(Tier)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; None: not known."""

    input: float
    output: float
    cached_read: float | None = None
    cached_write: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """What the catalogue knows of a model.

    ``known`` is False for a model that is nowhere listed: it is then an ordinary model that can do everything,
    of unknown window (``context_window`` and ``max_output`` None, ``price`` None).

    ``capabilities`` is a closed set of words, see :mod:`aura.catalogue`.
    """

    name: str
    known: bool = False
    tier: Tier | None = None
    context_window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[str] = frozenset()
    price: Price | None = None
    created: int = 0

    def can(self, capability: str) -> bool:
        """Whether the model has a capability."""
        return capability in self.capabilities


@dataclass(frozen=True, slots=True)
class Target:
    """A provider and a model of it: what an attempt is made at."""

    provider: str
    model: str

    @property
    def name(self) -> str:
        """``provider/model``, as clients pin it and logs name it."""
        return f"{self.provider}/{self.model}"


@dataclass(slots=True)
class Usage:
    """Tokens of one answer, the parts priced apart.

    ``input`` counts all prompt tokens, ``cached_read`` and ``cached_write`` among them; ``output`` counts all
    completion tokens, ``reasoning`` among them.
    """

    input: int = 0
    output: int = 0
    cached_read: int = 0
    cached_write: int = 0
    reasoning: int = 0


@dataclass(slots=True)
class HttpRequest:
    """One outbound request, ready to be sent. Always a POST with a JSON body unless ``method`` says otherwise."""

    url: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


@dataclass(slots=True)
class Translation:
    """A request in a provider's grammar, and what reading its answer needs to know.

    Args:
        body: the provider's own body, made anew for every attempt from the client's untouched one.
        dropped: names of the client's parameters that this grammar or model cannot take (``x-aura-dropped``).
        headers: headers that the dialect itself asks for (``anthropic-beta``).
        model: the model asked for, used where the provider's answer names none.
        created: Unix seconds, for grammars whose answers carry no time.
        choices: how many choices the client asked for (``n``).
        memo: what undoing the translation needs, the dialect's own (renamed tools, a schema sent as a tool).
    """

    body: Json
    dropped: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    model: str = ""
    created: int = 0
    choices: int = 1
    memo: Json = field(default_factory=dict)


@dataclass(slots=True)
class Chunk:
    """One step of a streamed answer.

    Args:
        body: a canonical ``chat.completion.chunk``; None where the step says nothing in OpenAI's grammar.
        data: the provider's own event data, to be forwarded byte for byte to a client of the same grammar.
        name: the provider's own event name (``content_block_delta``), empty in OpenAI's grammar.
        content: carries content, reasoning or a tool call: what "first content" means.
        finished: number of choices that ended with this step (their ``finish_reason`` came).
        usage: the usage so far, where the step tells it.
        last: the grammar's terminal event: nothing follows.
    """

    body: Json | None
    data: bytes = b""
    name: str = ""
    content: bool = False
    finished: int = 0
    usage: Usage | None = None
    last: bool = False


@dataclass(slots=True)
class Attempt:
    """What became of one request to one target; kept for the log, the bill and the headers."""

    target: Target
    outcome: str = "ok"
    failure: Failure | None = None
    usage: Usage | None = None
    first_content_s: float | None = None
    duration_s: float = 0.0


@dataclass(slots=True)
class Call:
    """One client request, around the client's untouched body.

    Args:
        id: the request id, the client's own where it was well formed.
        body: the client's JSON, never changed.
        caller: the name of the key that the call came with (the tenant); empty without keys.
        headers: the few client headers that steer Aura, lower-case.
        started: monotonic seconds.
        created: Unix seconds.
    """

    id: str
    body: Json
    door: str = "chat"
    caller: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    started: float = 0.0
    created: int = 0
    stream: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    tier: Tier | None = None
    score: float | None = None
    cache: str = "bypass"
    dropped: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Answer:
    """What a door sends back: one body, or a stream of framed bytes that must be closed."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    stream: Iterator[bytes] | None = None
