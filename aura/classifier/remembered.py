"""Verdicts of late, so that a repeated call is not judged again before its answer is found in the cache."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b

import orjson

from ..call import Json, Verdict

MAX_VERDICTS = 2048
_LONGEST = 16_384  # bytes of a body


class Remembered:
    """A judge that remembers its newest verdicts, by a hash of the whole body: a body is all that a judge looks at.

    A look takes about 5 µs for a short body, judging several times as long. A judge that has a ``remembering`` judges
    new bodies from what it remembers of their parts; long ones it judges so at once, which is sooner than hashing them.
    """

    def __init__(self, judge: Callable[[Json], Verdict], size: int = MAX_VERDICTS) -> None:
        remembering = getattr(judge, "remembering", None)
        self._judge: Callable[[Json], Verdict] = remembering() if remembering else judge
        self._longest = _LONGEST if remembering else sys.maxsize
        self._size = size
        self._verdicts: OrderedDict[bytes, Verdict] = OrderedDict()

    def __call__(self, body: Json) -> Verdict:
        """Judge a chat body."""
        data = orjson.dumps(body)
        if len(data) > self._longest:
            return self._judge(body)
        key = blake2b(data, digest_size=16).digest()
        known = self._verdicts.get(key)
        if known is None:
            known = self._verdicts[key] = self._judge(body)
            if len(self._verdicts) > self._size:
                self._verdicts.popitem(last=False)
        return known
