"""A provider that fails on demand, and the client that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aura.upstream import Upstream
from tests.faulty import Faulty


@pytest.fixture
def provider() -> Iterator[Faulty]:
    with Faulty() as faulty:
        yield faulty


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    client = Upstream()
    yield client
    client.close()
