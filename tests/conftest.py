"""What every test stands on. The patch comes first: nothing may hold an unpatched socket or lock."""

from gevent import get_hub, monkey

monkey.patch_all()

# pytest-xdist waits for work that an unpatched thread brings: the loop must not take itself for stuck meanwhile.
_ALIVE = get_hub().loop.timer(3600, 3600)
_ALIVE.start(lambda: None)
