"""The id of a request: what a client sends as ``x-request-id`` and reads in the answer, and what the log names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import getrandbits
from typing import Any

_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")


def new_request_id(environ: Mapping[str, Any]) -> str:
    """The client's own if it is well formed, else a new one."""
    sent = environ.get("HTTP_X_REQUEST_ID")
    return sent if sent and _WELL_FORMED.match(sent) else f"req_{getrandbits(128):032x}"
