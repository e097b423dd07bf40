"""gunicorn's configuration for the tests of the worker class alone; what differs comes by the environment."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import os  # noqa: E402

from aura import fallback  # noqa: E402
from aura.worker import GeventWorker, Limits  # noqa: E402

LIMITS = Limits(**json.loads(os.environ.get("LIMITS", "{}")))
DRAIN_DELAY = float(os.environ.get("DRAIN_DELAY", "0"))


class Worker(GeventWorker):
    """The worker class with the limits of the test."""

    limits = LIMITS
    drain_delay = DRAIN_DELAY


worker_class = os.environ.get("WORKER_CLASS", "tests.worker_conf.Worker")
control_socket_disable = True
keepalive = 1


def post_worker_init(worker):
    """As aura.gunicorn_conf does for gunicorn's own class."""
    if not isinstance(worker, GeventWorker):
        fallback.equip(worker, LIMITS, DRAIN_DELAY, lambda _status: None)
