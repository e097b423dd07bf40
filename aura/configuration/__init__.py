"""The configuration: found, read, laid over one another, checked, and handed on as one record.

In order of weight: the command line, the environment (``AURA_…`` before the Java service's variables), the files of the
profiles, the file, the vendors' own variables (``OPENAI_API_KEY``), the defaults.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..settings import Settings
from . import checks, old, sources
from .problems import ConfigurationError
from .serving import connection_count, is_loopback, may_serve, who_answers, worker_count

__all__ = ["ConfigurationError", "connection_count", "is_loopback", "load", "may_serve", "who_answers", "worker_count"]


def load(
    path: str | None = None, environ: Mapping[str, str] = os.environ, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read the configuration.

    Args:
        path: the file; None: ``AURA_CONFIG``, else the first of the usual places that is there.
        environ: the environment.
        overrides: ``host``, ``port`` and ``workers`` of the command line; None values say nothing.

    Raises:
        ConfigurationError: with all problems at once, never showing a secret.
    """
    said = sources.gather(path, environ, overrides or {})
    ignored = old.translate(said.tree, said.problems)
    settings = checks.settings(said.tree, said.problems)
    return replace(settings, notes=(*said.notes, *ignored, *settings.notes), files=tuple(said.files))
