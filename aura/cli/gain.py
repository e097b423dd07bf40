"""The yardstick of ``calibrate`` and ``replay``: what the learned classifier expects a strong model to gain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..call import Json


def expected_gain() -> Callable[[Json], float]:
    """What measures chats; the same for every configuration, whichever classifier it names."""
    from .. import features
    from ..classifier import model

    known = model.load()

    def gain(body: Json) -> float:
        score, _ = known.score(features.measure(body))
        return max(0.0, known.gain(score))

    return gain
