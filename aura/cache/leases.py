"""Which process is making the value of a key: a small table that the processes of an instance share.

A key has one place in it. Two keys that meet there cost one of them its lease, so that its value may be made twice;
nothing worse comes of it.
"""

from __future__ import annotations

import mmap
import os
import struct

_PLACES = 4096
_HOLDER = struct.Struct("<II")  # the process, and which of the keys of this place
SIZE = _PLACES * _HOLDER.size


class Leases:
    """The table. To be claimed from under the lock of the writers; to be released at any time.

    Args:
        table: ``SIZE`` bytes, shared.
    """

    def __init__(self, table: mmap.mmap) -> None:
        self._table = table

    def claim(self, key: str) -> bool:
        """Take the lease of a key, a hash in hexadecimal digits, unless another process that lives has it."""
        place, name = _place(key)
        process, held = _HOLDER.unpack_from(self._table, place)
        mine = os.getpid()
        if held == name and process not in (0, mine) and _lives(process):
            return False
        _HOLDER.pack_into(self._table, place, mine, name)
        return True

    def release(self, key: str) -> None:
        """Give the lease of a key back, if it is this process's still."""
        place, name = _place(key)
        if _HOLDER.unpack_from(self._table, place) == (os.getpid(), name):
            _HOLDER.pack_into(self._table, place, 0, 0)


def _place(key: str) -> tuple[int, int]:
    bits = int(key[-16:], 16)
    return bits % _PLACES * _HOLDER.size, bits >> 32


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
