"""gunicorn's configuration for the tests of the worker class alone; what differs comes by the environment."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import os  # noqa: E402

from aura.disconnect import drain_on_sigterm  # noqa: E402
from aura.worker import GeventWorker, Limits  # noqa: E402


class Worker(GeventWorker):
    """The worker class with the limits of the test."""

    limits = Limits(**json.loads(os.environ.get("LIMITS", "{}")))
    drain_delay = float(os.environ.get("DRAIN_DELAY", "0"))


worker_class = os.environ.get("WORKER_CLASS", "tests.worker_conf.Worker")
control_socket_disable = True
keepalive = 1


def post_worker_init(worker):
    """As aura.gunicorn_conf does for gunicorn's own class."""
    if not isinstance(worker, GeventWorker):
        drain_on_sigterm(worker.cfg.graceful_timeout)
