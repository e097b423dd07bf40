"""The few records that travel through Aura. Plain data: no behaviour beyond reading itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any, NamedTuple, Protocol

from .errors import Failure

Json = dict[str, Any]


class KnownBody(dict[str, Any]):
    """A body that was read and checked of late: all calls that send the same bytes share it, and nobody changes it.

    What was worked out of it for the last call is kept with it, behind what that depends on besides:

    Args:
        key: what the cache knows the call by.
        needs: what the call needs of a target.
        verdict: how demanding a judge found it.
    """

    __slots__ = ("key", "needs", "verdict")

    def __init__(self, body: Json) -> None:
        super().__init__(body)
        self.key: tuple[str, str, str, str, str | None] | None = None
        self.needs: tuple[str, str, Any] | None = None
        self.verdict: tuple[Any, Verdict] | None = None


# Beyond it JSON's numbers are not exact, and no provider counts so far.
MAX_COUNT = 2**53


class Tier(StrEnum):
    """How capable a model a prompt needs; the order of the members is the order of the tiers.

    A call's own path reads ``_value_``, which is ``value`` without two calls of Python's.
    """

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
    cached_write_1h: float | None = None


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


class Target(NamedTuple):
    """A provider and a model of it: what an attempt is made at. A key of many tables: a tuple's hash is C's own."""

    provider: str
    model: str

    @property
    def name(self) -> str:
        """``provider/model``, as clients pin it and logs name it."""
        return f"{self.provider}/{self.model}"


@dataclass(slots=True)
class Usage:
    """Tokens of one answer, the parts priced apart.

    ``input`` counts all prompt tokens, ``cached_read`` and ``cached_write`` among them; ``cached_write_1h`` is the part
    of ``cached_write`` that is kept for an hour. ``output`` counts all completion tokens, ``reasoning`` among them.
    """

    input: int = 0
    output: int = 0
    cached_read: int = 0
    cached_write: int = 0
    reasoning: int = 0
    cached_write_1h: int = 0


@dataclass(slots=True)
class HttpRequest:
    """One outbound request, ready to be sent. Always a POST with a JSON body unless ``method`` says otherwise.

    Args:
        upload: a file that is sent in the body's place, from its beginning.
    """

    url: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"
    upload: IO[bytes] | None = None


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
        text: a piece of the first choice's text, where the body says nothing else, as nine of ten do; empty elsewhere.
    """

    body: Json | None
    data: bytes = b""
    name: str = ""
    content: bool = False
    finished: int = 0
    usage: Usage | None = None
    last: bool = False
    text: str = ""

    def reworded(self, body: Json, content: bool) -> Chunk:
        """The same step, said otherwise than the provider did."""
        return Chunk(body, b"", self.name, content, self.finished, self.usage, self.last)


@dataclass(slots=True)
class Verdict:
    """How demanding a conversation was judged. Made for every call, so not frozen: that takes three times as long.

    Args:
        tier: the tier that should answer.
        score: 0..1, how much a strong model is expected to gain.
        reasons: what the judgement rests on, signed contributions by feature name, heaviest first.
        probabilities: of ECO, BALANCED, PREMIUM; empty where the classifier has none.
    """

    tier: Tier
    score: float
    reasons: tuple[tuple[str, float], ...] = ()
    probabilities: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A target of a plan, the model it stands for, and the tier that it was found in (None: named by the client).

    ``max_tokens`` is the longest answer that the call's ``max_cost_usd`` pays for here; None: it sets no limit.
    """

    target: Target
    model: Model
    tier: Tier | None = None
    max_tokens: int | None = None


@dataclass(slots=True)
class Plan:
    """The ordered targets of one call, and why they are these.

    Args:
        targets: never empty, the first is asked first.
        tier: the tier that was chosen; for a pinned target the tier that its model belongs to, if any.
        pinned: the client named the first target in ``model``.
        verdict: the classifier's, where it was asked.
        left_out: targets that could not serve the call, each with the reason as a short phrase.
        signature: text that is equal for plans that may share a cached answer.
        preferred: the target that would come first if every target were available.
        max_tokens: the least of the targets' own ``max_tokens``.
        goes_on: the call goes on with a conversation; not looked at where the client named its target.
    """

    targets: list[Planned]
    tier: Tier | None
    pinned: bool = False
    verdict: Verdict | None = None
    left_out: list[tuple[Target, str]] = field(default_factory=list)
    signature: str = ""
    preferred: Target | None = None
    max_tokens: int | None = None
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Hedge:
    """``aura.router.hedge``: a second call goes out when the first is late.

    Args:
        percentile: of the target's own recent times, 0..1; it is late beyond.
        seconds: it is late after so long, whatever its times are; None: the percentile decides.
        at_most: of all calls, 0..1, may have a second one.
    """

    percentile: float = 0.95
    seconds: float | None = None
    at_most: float = 0.05


@dataclass(slots=True)
class Attempt:
    """What became of one request to one target; kept for the log, the bill and the headers.

    ``cost_usd`` is None where the price is not known; ``hedge``: it was made beside another that was late.
    """

    target: Target
    outcome: str = "ok"
    failure: Failure | None = None
    usage: Usage | None = None
    first_content_s: float | None = None
    duration_s: float = 0.0
    cost_usd: float | None = 0.0
    hedge: bool = False


class Lease(Protocol):
    """What a call was let in under: its share of its caller's limits."""

    headers: dict[str, str]

    def end(self, call: Call) -> None:
        """Give back what the call did not use; idempotent."""


class Traced(Protocol):
    """What belongs to a call that is traced; see :mod:`aura.tracing`."""

    headers: dict[str, str]
    """What the provider is told of the trace."""

    def begun(self, call: Call, planned: Planned) -> None:
        """An attempt begins."""

    def first_content(self, call: Call, seconds: float) -> None:
        """The first content of its stream has come, so many seconds after it began."""

    def ended(self, call: Call, attempt: Attempt) -> None:
        """The attempt has ended."""

    def finish(self, call: Call) -> None:
        """The call has ended."""


@dataclass(slots=True)
class Call:
    """One client request, around the client's untouched body.

    Args:
        id: the request id, the client's own where it was well formed.
        body: the client's chat in canonical form, never changed.
        door: the kind of call: chat, messages, responses ...
        grammar: the grammar that the client speaks, by the name of its front in :mod:`aura.dialects`.
        native: the client's own JSON where its grammar is not the canonical one; who speaks it gets it forwarded.
        passed: headers of the client's that a target of its own grammar gets too, lower-case.
        lost: names of what the canonical form cannot hold of the client's parameters.
        mask: what stands for values in what goes out, a :class:`aura.guardrails.masking.Mask`; None: nothing is masked.
        kept: given the call and its streamed answer at the end, in the client's grammar, by grammars whose clients come
            back to it; it holds no call, which would hold it in turn.
        caller: the name of the key that the call came with (the tenant); empty without keys.
        headers: the few client headers that steer Aura, lower-case.
        started: monotonic seconds.
        created: Unix seconds.
        route: the rule of the path, for the log.
        wants_usage: whether a stream shows its usage to the client.
        target: who answered, or was asked last.
        usage: of the answer itself; failed attempts keep their own.
        cost_usd: of all attempts, in US dollars.
        saved_usd: what the answer had cost that it was given in an attempt's place.
        asked: how many attempts have begun; those that have ended are in ``attempts``.
        similarity: to the question whose stored answer was given; None where it was the same call's.
        upstream_s: seconds spent waiting for providers before the answer began.
        upstream_id: what the provider that was asked last calls its answer.
        trace: the call's spans, where it is traced.
        outcome: one word for the log: ok, error, cached, client_left, interrupted.
        lease: where the caller is limited.
        clock: monotonic seconds, for grammars whose answers tell how long they took; None: they tell nothing.
        limited: the limit that it was refused by, ``key.requests`` or the like.
    """

    id: str
    body: Json
    door: str = "chat"
    grammar: str = "openai"
    native: Json | None = None
    passed: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    mask: Any = None
    kept: Callable[[Call, Json], None] | None = None
    route: str = ""
    caller: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    started: float = 0.0
    created: int = 0
    stream: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    asked: int = 0
    tier: Tier | None = None
    score: float | None = None
    cache: str = "bypass"
    similarity: float | None = None
    dropped: list[str] = field(default_factory=list)
    wants_usage: bool = False
    target: Target | None = None
    usage: Usage | None = None
    cost_usd: float = 0.0
    saved_usd: float = 0.0
    upstream_s: float = 0.0
    first_content_s: float | None = None
    upstream_id: str = ""
    trace: Traced | None = None
    outcome: str = "ok"
    status: int = 0
    done: bool = False
    lease: Lease | None = None
    limited: str = ""
    clock: Callable[[], float] | None = None


@dataclass(slots=True)
class Answer:
    """What a door sends back: one body, or a stream of framed bytes that must be closed."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    stream: Iterator[bytes] | None = None
    media_type: str = "application/json"
