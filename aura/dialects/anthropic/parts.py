"""Content parts of a message to content blocks.

Facts
  - A text block must hold more than white space.
  - Images are JPEG, PNG, GIF or WebP, by address or as base64; documents are PDF or plain text.
  - How large and how many they may be changes with model and account: Anthropic says it, with a status 400 or 413
    that is not tried again.
See https://platform.claude.com/docs/en/build-with-claude/vision
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any
from urllib.parse import unquote_to_bytes

from ...call import Json
from ...errors import BadRequest

FILES_BETA = "files-api-2025-04-14"
_IMAGES = {"image/jpeg", "image/png", "image/gif", "image/webp"}
_BY_ENDING = {"pdf": "application/pdf", "txt": "text/plain", "md": "text/plain", "csv": "text/plain"}
_BY_ENDING |= {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}
# Blocks of Anthropic's own grammar, which its clients put among the parts.
_NATIVE = {"image", "document", "search_result", "container_upload", "tool_reference"}


def text_block(text: str, part: Json | None = None) -> Json:
    """A text block, with what its part says beside the text."""
    block: Json = {"type": "text", "text": text}
    for key in ("cache_control", "citations"):
        if part and part.get(key):
            block[key] = part[key]
    return block


def blocks_out(content: Any, where: str) -> list[Json]:
    """The blocks of a message's ``content``, without empty ones.

    Raises:
        BadRequest: a part cannot be told to Anthropic; ``param`` names it.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    if not isinstance(content, list):
        raise BadRequest("content must be a string or a list of parts", param=where)
    blocks = (_block(part, f"{where}[{index}]") for index, part in enumerate(content))
    return [block for block in blocks if block is not None]


def _block(part: Any, where: str) -> Json | None:
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    if not isinstance(part, dict):
        raise BadRequest("a part must be an object", param=where)
    kind = str(part.get("type"))
    if kind in ("text", "refusal"):
        text = part.get(kind)
        if not isinstance(text, str):
            raise BadRequest(f"a part of type {kind} must hold its text", param=where)
        return text_block(text, part) if text.strip() else None
    if kind in _NATIVE:
        return dict(part)
    if kind == "image_url":
        block = _image(part.get("image_url"), where)
    elif kind == "file":
        block = _file(part.get("file"), where)
    elif kind == "input_audio":
        raise BadRequest("this provider does not take audio", param=where)
    else:
        raise BadRequest("this provider takes text, images and documents only", param=where)
    if part.get("cache_control"):
        block["cache_control"] = part["cache_control"]
    return block


def _image(image: Any, where: str) -> Json:
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        raise BadRequest("image_url must hold a url", param=where)
    if _is_address(url):
        return {"type": "image", "source": {"type": "url", "url": url}}
    media_type, data = _data_url(url, where)
    return _sourced(media_type, data, "", where)


def _file(file: Any, where: str) -> Json:
    if not isinstance(file, dict):
        raise BadRequest("a part of type file must hold a file", param=where)
    title = file["filename"] if isinstance(file.get("filename"), str) else ""
    data = next((file[key] for key in ("file_data", "file_url") if isinstance(file.get(key), str)), "")
    name = file.get("file_id")
    if not data and isinstance(name, str):
        if _is_address(name):
            data = name
        elif name.startswith("file_"):
            return _titled({"type": "document", "source": {"type": "file", "file_id": name}}, title)
        else:
            raise BadRequest("this provider cannot read another provider's file_id; send file_data", param=where)
    if _is_address(data):
        return _titled({"type": "document", "source": {"type": "url", "url": data}}, title)
    if data[:5].lower() == "data:":
        return _sourced(*_data_url(data, where), title, where)
    media_type = _BY_ENDING.get(title.lower().rpartition(".")[2], "application/pdf")
    if not data:
        raise BadRequest("a file must hold file_data", param=where)
    return _sourced(media_type, data, title, where)


def _sourced(media_type: str, data: str, title: str, where: str) -> Json:
    """The block for base64 data of a media type."""
    if media_type in _IMAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    if media_type == "application/pdf":
        return _titled(
            {"type": "document", "source": {"type": "base64", "media_type": media_type, "data": data}}, title
        )
    if media_type.startswith("text/") or media_type == "application/json":
        try:
            text = b64decode(data, validate=True).decode()
        except (binascii.Error, ValueError):
            raise BadRequest("a text file must be UTF-8, as base64", param=where) from None
        return _titled(
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}, title
        )
    raise BadRequest("this provider takes JPEG, PNG, GIF, WebP, PDF and plain text only", param=where)


def _titled(block: Json, title: str) -> Json:
    if title:
        block["title"] = title
    return block


def _data_url(url: str, where: str) -> tuple[str, str]:
    """Media type and base64 data of a data URL; parameters of the media type are left out."""
    head, comma, data = url.partition(",")
    scheme, _, described = head.partition(":")
    if scheme.lower() != "data" or not comma or not data:
        raise BadRequest("a url must be http, https or a data URL", param=where)
    media_type, *parameters = (piece.strip().lower() for piece in described.split(";"))
    if "base64" not in parameters:
        if not media_type.startswith("text/"):
            raise BadRequest("a data URL must be base64: data:image/png;base64,...", param=where)
        data = binascii.b2a_base64(unquote_to_bytes(data), newline=False).decode()
    return "image/jpeg" if media_type == "image/jpg" else media_type, data


def _is_address(url: str) -> bool:
    return url[:8].lower().startswith(("https://", "http://"))
