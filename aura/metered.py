"""A stream under a ceiling: it ends by itself when the call's money is spent, whatever its provider does."""

from __future__ import annotations

from .call import Call, Chunk, Json, Translation, Usage
from .ceiling import Meter, ceiling
from .errors import Failure
from .exchange import Incoming, Opened


class Metered:
    """An incoming stream that is cut off where ``max_cost_usd`` is reached, with ``finish_reason: "length"``."""

    def __init__(self, incoming: Incoming, meter: Meter) -> None:
        self.dialect = incoming.dialect
        self._incoming, self._meter = incoming, meter
        self._over = False

    @property
    def translation(self) -> Translation:
        """Of the stream itself."""
        return self._incoming.translation

    @property
    def complete(self) -> bool:
        """Whether the terminal event was seen, or the answer cut."""
        return self._over or self._incoming.complete

    def pull(self, deadline: float) -> list[Chunk] | None:
        """The next chunks; see :class:`aura.exchange.Incoming`. A failure carries what the attempt has cost."""
        if self._over:
            return None
        try:
            chunks = self._incoming.pull(deadline)
        except Failure as failure:
            if failure.rule.next and not self._incoming.complete and not self._meter.pays_another():
                return self._end()
            failure.usage = self._meter.usage
            raise
        return None if chunks is None else self.paid(chunks)

    def paid(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks that are paid for, and the end behind them where the money ends."""
        kept, over = self._meter.within(chunks)
        return [*kept, *self._end()] if over else kept

    def _end(self) -> list[Chunk]:
        self._over = True
        self._incoming.close()
        end, usage = self._meter.end(), self._meter.usage
        return [end, Chunk(_told(end.body or {}, usage), usage=usage, last=True)]

    def close(self) -> None:
        """Let go of the connection."""
        self._incoming.close()


def _told(end: Json, usage: Usage) -> Json:
    told = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    return {**end, "choices": [], "usage": told}


def put_in_place(opened: Opened, call: Call) -> None:
    """Put a stream that has begun under its call's ceiling, if there is one."""
    if ceiling(call) is None:
        return
    meter = Meter(call, opened.step.planned)
    if meter.limited:
        metered = Metered(opened.incoming, meter)
        opened.incoming = metered
        opened.held = metered.paid(opened.held)
