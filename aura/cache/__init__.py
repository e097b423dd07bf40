"""The cache: one store of answers for all workers of an instance, or of many instances.

``key`` says which calls are the same, ``semantic`` which ask the same in other words, ``control`` what a call asks of
the cache, ``entry`` what is stored; ``answers`` puts them together over a store: ``local`` (a file that the workers
share, else the process) or ``remote`` (Redis). ``sharing`` lets one process do the work that several are asked for,
by ``leases``. ``kept`` keeps in the store what clients come back to.
"""

from __future__ import annotations

from .answers import AnswerCache, Store, Stored
from .kept import KeptResponses
from .local import LocalCache
from .ring import Kind, Lost
from .semantic import Semantic
from .sharing import Followed, Sharing

# The store in Redis is imported where a configuration asks for it: its client takes 0.2 s and 6 MB.
__all__ = [
    "AnswerCache",
    "Followed",
    "KeptResponses",
    "Kind",
    "LocalCache",
    "Lost",
    "Semantic",
    "Sharing",
    "Store",
    "Stored",
]
