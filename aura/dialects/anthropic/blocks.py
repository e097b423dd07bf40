"""Content blocks to the parts of a chat message: what a user's turn and a tool's result may hold.

Facts
  - A document or image is given as base64, by address or by a file's id; a document also as text, or as blocks.
  - What OpenAI's grammar takes of it: images by address or data URL, PDF as base64. Plain text is said as text.
See https://platform.claude.com/docs/en/build-with-claude/pdf-support and /search-results
"""

from __future__ import annotations

from typing import Any, NoReturn

from ...call import Json
from ...errors import BadRequest
from ..beyond import Beyond

PDF = "application/pdf"
_MEDIA = ("image", "document")


def refuse(message: str, where: str) -> NoReturn:
    """Refuse a request for the value at a path, in Anthropic's notation (``messages.0.content``)."""
    raise BadRequest(message, param=where)


def object_in(value: Any, where: str) -> Json:
    """A value that must be an object."""
    if not isinstance(value, dict):
        refuse("must be an object", where)
    return value


def text_in(holder: Json, key: str, where: str) -> str:
    """A member that must be a string."""
    value = holder.get(key)
    if not isinstance(value, str):
        refuse("must be a string", f"{where}.{key}")
    return value


def parts_in(content: Any, where: str, beyond: Beyond) -> list[Json]:
    """The parts that blocks become; a string is a block of text.

    What no other grammar can carry stays as it is, for Anthropic, and is noted.

    Raises:
        BadRequest: a block is not what its type says; ``param`` is its path.
    """
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        refuse("must be a string or an array of blocks", where)
    return [part for index, block in enumerate(content) for part in block_in(block, f"{where}.{index}", beyond)]


def block_in(block: Any, where: str, beyond: Beyond) -> list[Json]:
    """The parts that one block becomes; see :func:`parts_in`."""
    found = _parts(object_in(block, where), where, beyond)
    mark = block.get("cache_control")
    if mark and found:
        found[-1] = {**found[-1], "cache_control": mark}
    return found


def _parts(block: Json, where: str, beyond: Beyond) -> list[Json]:
    kind = text_in(block, "type", where)
    if kind == "text":
        text = text_in(block, "text", where)
        return [{"type": "text", "text": text}] if text else []
    if kind in _MEDIA:
        source = object_in(block.get("source"), f"{where}.source")
        found = _image(source, where) if kind == "image" else _document(block, source, where, beyond)
        if found is not None:
            return found
    elif kind == "search_result":
        return [{"type": "text", "text": _found(block, where)}]
    beyond.needs(where)
    return [block]


def _image(source: Json, where: str) -> list[Json] | None:
    """None where only Anthropic can read it."""
    kind = text_in(source, "type", f"{where}.source")
    if kind == "url":
        url = text_in(source, "url", f"{where}.source")
    elif kind == "base64":
        url = _data_url(source, where)
    else:
        return None
    return [{"type": "image_url", "image_url": {"url": url}}]


def _data_url(source: Json, where: str) -> str:
    media_type, data = (text_in(source, key, f"{where}.source") for key in ("media_type", "data"))
    return f"data:{media_type};base64,{data}"


def _document(block: Json, source: Json, where: str, beyond: Beyond) -> list[Json] | None:
    """None where only Anthropic can read it."""
    kind = text_in(source, "type", f"{where}.source")
    title = block["title"] if isinstance(block.get("title"), str) else ""
    cited = block.get("citations")
    if isinstance(cited, dict) and cited.get("enabled") and "citations" not in beyond.gone:
        beyond.gone.append("citations")
    if kind == "base64" and source.get("media_type") == PDF:
        file = {"filename": title or "document.pdf", "file_data": _data_url(source, where)}
        return [{"type": "file", "file": file}]
    if kind == "text":
        inner = [{"type": "text", "text": text_in(source, "data", f"{where}.source")}]
    elif kind == "content":
        inner = parts_in(source.get("content"), f"{where}.source.content", beyond)
    else:
        return None
    context = block["context"] if isinstance(block.get("context"), str) else ""
    begin = "\n".join(line for line in ("<document>", title, context) if line)
    return [{"type": "text", "text": begin}, *inner, {"type": "text", "text": "</document>"}]


def _found(block: Json, where: str) -> str:
    """A search result as text: its title, where it stands, what it says."""
    head = [text_in(block, key, where) for key in ("title", "source")]
    content = block.get("content")
    if not isinstance(content, list):
        refuse("must be an array of blocks of text", f"{where}.content")
    said = [text_in(object_in(part, f"{where}.content"), "text", f"{where}.content") for part in content]
    return "\n".join(("<search_result>", *head, *said, "</search_result>"))
