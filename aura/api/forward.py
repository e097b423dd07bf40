"""OpenAI's routes that are no chats: embeddings, and what is passed on to the provider of its kind."""

from __future__ import annotations

import re
from tempfile import SpooledTemporaryFile
from typing import IO

import orjson
from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData, State

from ..call import Call, Json
from ..errors import BadRequest, UnsupportedMediaType
from ..forward import Forwarder
from . import door
from .reading import pieces, read_json
from .requests import check_embeddings, check_passed

blueprint = Blueprint("forward", __name__)

_IN_MEMORY = 1024 * 1024  # bytes of a file that are not worth a place on disk
_MAX_PARTS = 100
_MAX_FIELD = 1024  # bytes of a form's field that is looked at
# Bytes of a form between its parts: before the first, behind the last, and the headers of one, which are read at once.
_MAX_BETWEEN = 16 * 1024
_IN_PART = (State.DATA_START, State.DATA)
_OURS = ("aura", "fallbacks")
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")  # RFC 2046, 5.1.1, but for blanks


@blueprint.post("/v1/embeddings")
@blueprint.post("/openai/v1/embeddings")
@blueprint.post("/openai/deployments/<path:deployment>/embeddings")
def embeddings(deployment: str = "") -> Response:
    """Make embeddings; they are cached as chats are."""
    call = _call("embeddings")
    call.body = read_json(request, g.gateway.settings.server.max_body)
    if deployment:
        call.body["model"] = deployment
    check_embeddings(call.body)
    return door.answered(g.gateway, call, request)


@blueprint.post("/v1/moderations")
def moderations() -> Response:
    """Judge a text or an image by a provider's moderation model."""
    return _passed("moderations", "input")


@blueprint.post("/v1/images/generations")
@blueprint.post("/openai/v1/images/generations")
@blueprint.post("/openai/deployments/<path:deployment>/images/generations")
def images(deployment: str = "") -> Response:
    """Make images of a description."""
    return _passed("images", "prompt", deployment)


@blueprint.post("/v1/audio/speech")
@blueprint.post("/openai/v1/audio/speech")
@blueprint.post("/openai/deployments/<path:deployment>/audio/speech")
def speech(deployment: str = "") -> Response:
    """Speak a text; the sound comes as the provider makes it."""
    return _passed("speech", "input", deployment)


@blueprint.post("/v1/rerank")
def rerank() -> Response:
    """Order documents by how well they answer a query."""
    return _passed("rerank", "query")


@blueprint.post("/v1/audio/transcriptions")
@blueprint.post("/openai/v1/audio/transcriptions")
@blueprint.post("/openai/deployments/<path:deployment>/audio/transcriptions")
def transcriptions(deployment: str = "") -> Response:
    """Write down what is said in a sound file."""
    return _uploaded("transcriptions", deployment)


@blueprint.post("/v1/audio/translations")
@blueprint.post("/openai/v1/audio/translations")
@blueprint.post("/openai/deployments/<path:deployment>/audio/translations")
def translations(deployment: str = "") -> Response:
    """Write down in English what is said in a sound file."""
    return _uploaded("translations", deployment)


def _call(name: str) -> Call:
    return door.new_call(g, request, name)


def _passed(name: str, needed: str, deployment: str = "") -> Response:
    call = _call(name)
    body = call.body = read_json(request, g.gateway.settings.server.max_body)
    if deployment:
        body["model"] = deployment
    check_passed(body, needed)
    forwarder: Forwarder = current_app.extensions["aura.forward"]
    plan = forwarder.plan(call, body.get("model") or "")
    content = orjson.dumps(_outgoing(call, body, plan.targets[0].target.model))
    return door.watched(g.gateway, call, request, lambda: forwarder.passed_on(call, plan, content, "application/json"))


def _outgoing(call: Call, body: Json, model: str) -> Json:
    """What of a body goes to a provider: what is said to the gateway does not."""
    if body.get("fallbacks"):
        call.dropped = ["fallbacks"]
    out = {name: value for name, value in body.items() if name not in _OURS}
    if out.get("model") is not None:
        out["model"] = model
    return out


def _uploaded(name: str, deployment: str) -> Response:
    call = _call(name)
    kind, options = parse_options_header(request.environ.get("CONTENT_TYPE"))
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise UnsupportedMediaType("Send the file as 'Content-Type: multipart/form-data', with its boundary.")
    # Nothing else of the client's header goes on: it is written anew.
    media_type = f'multipart/form-data; boundary="{boundary}"'
    forwarder: Forwarder = current_app.extensions["aura.forward"]
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        fields = _received(file, boundary, g.gateway.settings.forward.max_upload)
        model = fields.get("model") or deployment
        if not model:
            raise BadRequest("'model' is missing.", param="model")
        check_passed({**fields, "model": model}, "model")
        plan = forwarder.plan(call, model)
        if plan.targets[0].target.model != model:
            raise BadRequest("Name the model alone: a form is passed on as it is.", param="model")
        return door.watched(g.gateway, call, request, lambda: forwarder.passed_on(call, plan, file, media_type))


def _received(file: IO[bytes], boundary: str, limit: int) -> dict[str, str]:
    """Take a form as it comes; returns the beginnings of its fields by name.

    Raises:
        TooLarge: it is larger than is allowed.
        BadRequest: it is no form.
    """
    decoder, form = MultipartDecoder(boundary.encode(), max_parts=_MAX_PARTS), _Form()
    try:
        for piece in pieces(request.environ, limit):
            file.write(piece)
            for at in range(0, len(piece), _MAX_BETWEEN):
                decoder.receive_data(piece[at : at + _MAX_BETWEEN])
                form.take(decoder)
                if decoder.state not in _IN_PART and len(decoder.buffer) > _MAX_BETWEEN:
                    raise ValueError("there is too much between the parts")
        decoder.receive_data(None)
        form.take(decoder)
    except (ValueError, KeyError, RequestEntityTooLarge):
        raise BadRequest("The body is no form of multipart/form-data.") from None
    return {name: value.decode("utf-8", "replace") for name, value in form.fields.items()}


class _Form:
    """The fields of a form that comes in pieces, their beginnings at least; files are not kept."""

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}
        self._name = ""

    def _begin(self, part: Field | File) -> None:
        # Whoever reads the form takes the first of two, or the last; a list's name ends in brackets.
        if part.name == "model" and ("model" in self.fields or isinstance(part, File)):
            raise BadRequest("'model' must be one field of text.", param="model")
        self._name = part.name if isinstance(part, Field) else ""
        if self._name:
            self.fields.setdefault(self._name, b"")

    def take(self, decoder: MultipartDecoder) -> None:
        """Read what has come."""
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            if isinstance(event, Field | File):
                self._begin(event)
            elif isinstance(event, Data) and self._name:
                have = self.fields[self._name]
                if len(have) < _MAX_FIELD:
                    self.fields[self._name] = have + event.data[:_MAX_FIELD]
