"""The WSGI entry point: ``gunicorn -c python:aura.gunicorn_conf wsgi:app``."""

from gevent import monkey

monkey.patch_all()

from aura.app import create_app  # noqa: E402  (nothing may be imported before the patch)

app = create_app()
