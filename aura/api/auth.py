"""Who may call: one hook, before the body is read, for every route but the public ones."""

from __future__ import annotations

import os
from hashlib import blake2b

from flask import Flask

from ..errors import Unauthorized
from ..fronts import grammar_of
from ..settings import AuthSettings, ClientKey
from .application import present


class Keys:
    """The clients' keys, held only as keyed hashes.

    A look-up takes the same time whatever is wrong with a key: the hash is keyed with a secret of the process, so what
    it is compared with, and how far, tells a caller nothing about any key. The secret stands before the key in one
    block: BLAKE2 allows that, unlike SHA-2, and its own parameter would hash a block of its own for it.
    """

    def __init__(self, keys: tuple[ClientKey, ...]) -> None:
        self._secret = os.urandom(32)
        self._by_digest = {self._digest(key.key.reveal()): (key.name, key.admin) for key in keys}

    def __bool__(self) -> bool:
        return bool(self._by_digest)

    def _digest(self, text: str) -> bytes:
        return blake2b(self._secret + text.encode("utf-8", "surrogateescape"), digest_size=32).digest()

    def find(self, text: str) -> tuple[str, bool] | None:
        """Name and admin flag of the key that a client sent, None if there is no such key."""
        return self._by_digest.get(self._digest(text))


def register(app: Flask, settings: AuthSettings, public: frozenset[str]) -> None:
    """Ask for a key before every view.

    Args:
        public: rules of the URL map that need none; one that comes with a valid key is known there too.
    """
    keys = Keys(settings.keys)
    needed = bool(keys)

    @app.before_request
    def authenticate() -> None:
        here, request = present()
        rule = request.url_rule
        key = keys.find(_sent(request.environ)) if needed and rule is not None else None
        here.known = key is not None or not needed
        here.caller, here.admin = key or ("", False)
        # An unknown path is 404 whoever asks.
        if not here.known and rule is not None and rule.rule not in public:
            raise Unauthorized("A valid API key is needed: send it as 'Authorization: Bearer KEY'.")


def _sent(environ: dict[str, str]) -> str:
    """The key of a request, in the header of its client's kind; a query string is no place for one."""
    scheme, _, key = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    if grammar_of(environ) == "anthropic":
        return environ.get("HTTP_X_API_KEY", "").strip()
    return environ.get("HTTP_API_KEY", "").strip() if environ.get("PATH_INFO", "").startswith("/openai/") else ""
