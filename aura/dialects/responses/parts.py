"""Content of a Responses item to the parts of a chat message.

Facts
  - A picture is an address, a data URL or a file's id; a file is base64, an address or an id.
  - A chat takes pictures by address or data URL, and files as base64.
See https://platform.openai.com/docs/guides/images-vision and /pdf-files
"""

from __future__ import annotations

from typing import Any, NoReturn

from ...call import Json
from ...errors import BadRequest
from ..beyond import Beyond

_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "summary_text": "text", "refusal": "refusal"}
_SCHEMES = ("https://", "http://", "data:")


def refuse(message: str, where: str) -> NoReturn:
    """Refuse a request for the value at a path, in OpenAI's notation (``input[0].content``)."""
    raise BadRequest(f"'{where}' {message}.", param=where)


def object_in(value: Any, where: str) -> Json:
    """A value that must be an object."""
    if not isinstance(value, dict):
        refuse("must be an object", where)
    return value


def text_in(holder: Json, key: str, where: str) -> str:
    """A member that must be a string."""
    value = holder.get(key)
    if not isinstance(value, str):
        refuse("is missing" if value is None else "must be a string", f"{where}.{key}" if where else key)
    return value


def filled_in(holder: Json, key: str, where: str) -> str:
    """A member that must be a string with something in it."""
    value = text_in(holder, key, where)
    if not value:
        refuse("must not be empty", f"{where}.{key}" if where else key)
    return value


def parts_in(content: Any, where: str, beyond: Beyond) -> list[Json]:
    """The parts that an item's content becomes; a string is one of text.

    What no chat can carry is left out, and noted: then the body goes only to who speaks this grammar.

    Raises:
        BadRequest: a part is not what its type says; ``param`` is its path.
    """
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        refuse("must be a string or an array of parts", where)
    found = []
    for index, part in enumerate(content):
        made = _part(object_in(part, f"{where}[{index}]"), f"{where}[{index}]", beyond)
        if made is not None:
            found.append(made)
    return found


def _part(part: Json, where: str, beyond: Beyond) -> Json | None:
    kind = text_in(part, "type", where)
    if kind in _TEXTS:
        text = text_in(part, _TEXTS[kind], where)
        return {"type": "text", "text": text} if text else None
    if kind == "input_image":
        return _image(part, where, beyond)
    if kind == "input_file":
        return _file(part, where, beyond)
    if kind == "input_audio":
        audio = object_in(part.get("input_audio", part), f"{where}.input_audio")
        told = {key: filled_in(audio, key, where) for key in ("data", "format")}
        return {"type": "input_audio", "input_audio": told}
    beyond.needs(where)
    return None


def _image(part: Json, where: str, beyond: Beyond) -> Json | None:
    if part.get("image_url") is None and part.get("file_id") is not None:
        beyond.needs(f"{where}.file_id")
        return None
    url = filled_in(part, "image_url", where)
    if not url[:8].lower().startswith(_SCHEMES):
        refuse("must be an http, https or data URL", f"{where}.image_url")
    image: Json = {"url": url}
    if isinstance(part.get("detail"), str):
        image["detail"] = part["detail"] if part["detail"] != "original" else "high"
    return {"type": "image_url", "image_url": image}


def _file(part: Json, where: str, beyond: Beyond) -> Json | None:
    if part.get("file_data") is None:
        given = next((key for key in ("file_id", "file_url") if part.get(key) is not None), None)
        if given is None:
            refuse("is missing", f"{where}.file_data")
        beyond.needs(f"{where}.{given}")
        return None
    file = {"filename": part["filename"] if isinstance(part.get("filename"), str) else "document.pdf"}
    return {"type": "file", "file": {**file, "file_data": filled_in(part, "file_data", where)}}
