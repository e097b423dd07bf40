"""aura.gunicorn_conf with short limits for clients, whichever worker class serves."""

from aura import gunicorn_conf
from aura.connection import Limits
from aura.gunicorn_conf import *  # noqa: F403
from aura.worker import GeventWorker

# Short enough to be waited for, long enough for a machine that is busy with other things.
QUICK = Limits(head=1.0, body=2.0, slack=1.0, send=1.0, linger=1.0)


def post_worker_init(worker):
    """Have the limits, then do what is always done."""
    GeventWorker.limits = QUICK
    gunicorn_conf.post_worker_init(worker)
