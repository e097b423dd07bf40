"""How gunicorn serves Aura: ``gunicorn -c python:aura.gunicorn_conf wsgi:app``.

Loaded in gunicorn's master before anything else, and anew at every SIGHUP; what the command line says (``-b``, ``-w``,
``-k``) goes before what is set here. The application itself is imported by the workers alone, so SIGHUP brings in new
code and a new configuration. A configuration that is wrong ends the start with status 78; at a SIGHUP the running one
stays.
"""

from gevent import monkey

monkey.patch_all()

import math  # noqa: E402  (nothing may be imported before the patch)
import os  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from dataclasses import replace  # noqa: E402
from typing import Any  # noqa: E402

import gunicorn  # noqa: E402

from aura import gunicorn_log, levels, log, runtime, slots  # noqa: E402
from aura.configuration import (  # noqa: E402
    ConfigurationError,
    connection_count,
    load,
    may_serve,
    who_answers,
    worker_count,
)
from aura.settings import Settings  # noqa: E402

_EX_CONFIG = 78


def _refuse(problem: str) -> None:
    print(f"aura: {problem}", file=sys.stderr)  # noqa: T201  (there is no logger yet)
    sys.exit(_EX_CONFIG)


def _told(error: ConfigurationError) -> str:
    return "; ".join(f"{where}: {problem}" for where, problem in error.problems)


def _loaded() -> Settings:
    try:
        return load()
    except ConfigurationError as error:
        _refuse(_told(error))
        raise


def _unwritable(settings: Settings) -> str | None:
    """Why the log cannot be written."""
    try:
        log.handler(settings.log).close()
    except OSError as error:
        return f"aura.log.file: {settings.log.file} cannot be opened: {error.strerror}"
    return None


def _raise_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _bind(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_raise_descriptors()
_settings = _loaded()
if _no_log := _unwritable(_settings):
    _refuse(_no_log)

proc_name = "aura"
worker_class = "aura.worker.GeventWorker"
bind = _bind(_settings.server.host, _settings.server.port)
workers = worker_count(_settings)
worker_connections = connection_count(_settings)
graceful_timeout = math.ceil(_settings.server.drain_delay + _settings.server.graceful_timeout)
keepalive = math.ceil(_settings.server.keep_alive)
timeout = 30
preload_app = False
control_socket_disable = True
# For -k gevent: its C parser accepts bare line feeds and folded lines, it believes what headers say of the request's
# way here, and it names itself in every answer.
http_parser = "python"
limit_request_line = 8190
forwarded_allow_ips = ""
gunicorn.SERVER = "aura"
accesslog = None
errorlog = "-"
logger_class = gunicorn_log.logger_class(_settings.log)
loglevel = _settings.log.level.lower()


def _problem(settings: Settings, listeners: list[Any]) -> str | None:
    """Why the settings may not be served on these sockets."""
    for listener in listeners:
        address = listener.getsockname()
        if isinstance(address, tuple):
            refusal = may_serve(replace(settings, server=replace(settings.server, host=address[0])))
            if refusal:
                return refusal
    return None


def on_starting(server: Any) -> None:
    """Prepare what all workers share, and keep a wrong configuration from ending a running server."""
    slots.prepare_folder()
    if _settings.cache.enabled and runtime.prepare_cache_folder(_settings.cache.max_bytes) is None:
        server.log.warning("There is no room for a cache that the workers share: each has its own.")
    server.slots = slots.Slots()
    reload = server.handle_hup

    def handle_hup() -> None:
        try:
            settings = load()
            problem = may_serve(settings) or _problem(settings, server.LISTENERS) or _unwritable(settings)
        except ConfigurationError as error:
            problem = _told(error)
        if problem:
            server.log.error("Not reloaded: %s", problem)
            return
        sys.modules.pop(__name__, None)  # gunicorn imports this module again, and would get the old one
        reload()

    server.handle_hup = handle_hup


def when_ready(server: Any) -> None:
    """Refuse to serve strangers; only now are the addresses known, whoever named them."""
    problem = _problem(_settings, server.LISTENERS)
    if problem:
        _refuse(problem)
    _tell(server)


def on_reload(server: Any) -> None:
    """Say what has come to hold; levels that were set at run time do not any more."""
    levels.forget(os.environ[slots.FOLDER])
    _tell(server)


def _tell(server: Any) -> None:
    for note in (*_settings.notes, *who_answers(_settings)):
        server.log.info("%s", note)


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker the lowest free slot for its metric files, and let the master count from here.

    gunicorn counts from a worker's first sign of life: one that hangs while it boots would never be replaced.
    """
    worker.slot = server.slots.take()
    worker.tmp.notify()


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001  (gunicorn's shape)
    """Tell the worker its slot, and let SIGTERM end it while it has no handler of its own.

    It has the master's until then, which would put the signal aside for a loop that the worker does not have: the
    master would wait for it until the graceful timeout.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ[slots.SLOT] = str(worker.slot)


def post_worker_init(worker: Any) -> None:
    """Tell the worker how to drain and how to count, and one of gunicorn's own classes all else that it lacks."""
    from aura import metrics
    from aura.worker import GeventWorker

    def note_refused(status: int) -> None:
        metrics.requests["none", str(status)].inc()

    if isinstance(worker, GeventWorker):
        worker.drain_delay = _settings.server.drain_delay
        worker.note_refused = note_refused
    else:
        from aura import fallback

        fallback.equip(worker, GeventWorker.limits, _settings.server.drain_delay, note_refused)


def child_exit(server: Any, worker: Any) -> None:
    """Free the dead worker's slot."""
    server.slots.give_back(worker.slot)


def on_exit(server: Any) -> None:  # noqa: ARG001  (gunicorn's shape)
    """Leave nothing behind."""
    slots.remove_folder()
    runtime.remove_cache_folder()
