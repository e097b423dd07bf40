"""What every test stands on: gevent's patch, made before a test module is read."""

import _thread
import gc
import logging
import os
import time
from collections.abc import Iterator

import gevent
import pytest
from execnet.gateway_base import MainThreadOnlyExecModel
from gevent import monkey

from . import classes


class _Flag:
    """An event that an unpatched thread may set. Gevent's own misses one such call in some hundred thousand."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while not self._set and (end is None or time.monotonic() < end):
            gevent.sleep(0.005)
        return self._set


# A process of pytest-xdist is handed its tests by a thread that stands outside gevent.
if "PYTEST_XDIST_WORKER" in os.environ:
    MainThreadOnlyExecModel.RLock = lambda self, lock=_thread.RLock: lock()
    MainThreadOnlyExecModel.Event = lambda self: _Flag()
    # At its end it waits for that thread by what is patched by then: the loop must not take itself for stuck.
    _ALIVE = gevent.get_hub().loop.timer(1, 1)
    _ALIVE.start(lambda: None)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Patch the process that runs tests, and no other: what hands them out works with threads of its own."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        return
    monkey.patch_all()


@pytest.fixture(autouse=True)
def _heard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged reaches a test that listens, whatever an application set up before in the same process."""
    if "caplog" in request.fixturenames:
        own = logging.getLogger("aura")
        monkeypatch.setattr(own, "propagate", True)
        monkeypatch.setattr(own, "disabled", False)
        monkeypatch.setattr(own, "level", logging.NOTSET)
        own.manager._clear_cache()


# Files are handed out one by one: those that take longest (20 s to 80 s) come first, so that none is left at the end.
_LONGEST = (
    "cache_instances cache_shared_flights forward streams hardship cache_redis worker_drain hostile tracing image nginx"
    " swagger_page recorded recorded_responses systemd hedge failover_calls samples log recorded_messages"
).split()
_PLACES = {f"test_{name}": place for place, name in enumerate(_LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first. What gunicorn's own class cannot do must fail, so that the list of it stays true."""
    items.sort(key=lambda item: _PLACES.get(item.path.stem, len(_PLACES)))
    for item in items:
        reason = classes.TESTS.get(getattr(item, "originalname", ""))
        if reason and "gunicorn" in item.name:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError))


def pytest_collection_finish() -> None:
    """What collecting has made lasts as long as the process: no later collection need look through it."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """A file that leaves a socket open fails itself, and not the file that runs when the socket is collected."""
    yield
    gc.collect()
