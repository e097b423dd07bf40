"""How often keys are asked for, about: a count-min sketch that forgets (the one of TinyLFU)."""

from __future__ import annotations

import mmap

_ROWS = 4
_MOST = 15
_WIDTH_A_KEY = 4  # counters a row has for each key that the store holds
_SAMPLE_A_KEY = 10  # requests after which all counts are halved
_HALVED = bytes(count // 2 for count in range(256))
_HASH_DIGITS = 6 * _ROWS


class Sketch:
    """The counters; in a map that several processes share, they count together.

    A count that two processes raise at once rises by one: an estimate stays an estimate.

    Args:
        counters: of :meth:`size` bytes.
        keys: how many keys the store holds.
    """

    def __init__(self, counters: bytearray | mmap.mmap, keys: int) -> None:
        self._counters = counters
        self._width = self.size(keys) // _ROWS
        self._mask = self._width - 1
        self._sample, self._asked = _SAMPLE_A_KEY * max(1, keys), 0

    @staticmethod
    def size(keys: int) -> int:
        """Bytes that the counters for so many keys take."""
        width = 1024
        while width < min(keys, 2**22) * _WIDTH_A_KEY:
            width *= 2
        return width * _ROWS

    def asked(self, key: str) -> None:
        """Note that a key, a hash in hexadecimal digits, was asked for."""
        counters, mask, width = self._counters, self._mask, self._width
        bits = int(key[-_HASH_DIGITS:], 16)
        for row in range(0, _ROWS * width, width):
            place = row + (bits & mask)
            count = counters[place]
            if count < _MOST:
                counters[place] = count + 1
            bits >>= 24
        self._asked += 1
        if self._asked >= self._sample:
            self._asked = 0
            counters[:] = bytes(counters[:]).translate(_HALVED)

    def count(self, key: str) -> int:
        """How often a key was asked for lately, at least."""
        bits = int(key[-_HASH_DIGITS:], 16)
        places = (row * self._width + ((bits >> (24 * row)) & self._mask) for row in range(_ROWS))
        return min(self._counters[place] for place in places)
