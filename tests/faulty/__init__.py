"""A provider on loopback that fails in every way a provider can, and counts what was asked of it.

::

    with Faulty() as provider:
        requests.post(f"{provider.url}/cut:after:4:how:rst/v1/chat/completions", json={...})

A fault is a name and its options, all joined by colons. The first of these that names one decides: ``next`` of the
server (a script, one fault a request), ``always`` of the server, the header ``x-fault``, the first segment of the path,
the body's ``model``. Everything else is answered well. The text of an answer begins with a nonce taken from the
request, its last message.

On sockets before any request: :func:`closed_port`, :func:`blackhole`, and ``Faulty(accept="reset")``.
"""

from .grammar import GRAMMARS, TOKENS, Asked, pieces, text
from .server import Faulty
from .sockets import blackhole, closed_port, listener

__all__ = ["GRAMMARS", "TOKENS", "Asked", "Faulty", "blackhole", "closed_port", "listener", "pieces", "text"]
