"""A provider that fails on demand, and the client that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from aura.upstream import Upstream
    from tests.faulty import Faulty


@pytest.fixture
def provider() -> Iterator[Faulty]:
    from tests.faulty import Faulty  # not before gevent's patch

    with Faulty() as faulty:
        yield faulty


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    from aura.upstream import Upstream  # not before gevent's patch

    client = Upstream()
    yield client
    client.close()
