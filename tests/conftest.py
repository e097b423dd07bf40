"""What every test stands on. The patch comes first: nothing may hold an unpatched socket or lock."""

from gevent import get_hub, monkey

monkey.patch_all()

# pytest-xdist waits for work that an unpatched thread brings: the loop must not take itself for stuck meanwhile.
_ALIVE = get_hub().loop.timer(3600, 3600)
_ALIVE.start(lambda: None)

import logging  # noqa: E402

import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def _heard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged reaches a test that listens, whatever an application set up before in the same process."""
    if "caplog" in request.fixturenames:
        own = logging.getLogger("aura")
        monkeypatch.setattr(own, "propagate", True)
        monkeypatch.setattr(own, "disabled", False)
        monkeypatch.setattr(own, "level", logging.NOTSET)
        own.manager._clear_cache()
