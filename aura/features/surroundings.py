"""What stands around the last user turn of a chat body: other messages, attachments, tools, the form of the answer."""

from __future__ import annotations

from collections.abc import Iterable

from ..call import Json
from .text import HEAD

_EFFORTS = {"none": 0.0, "minimal": 1.0, "low": 2.0, "medium": 3.0, "high": 4.0, "xhigh": 5.0, "max": 5.0}
# The attachments that are told apart, by the types of a message's parts.
_IMAGES = ("image_url", "input_image", "image")
_DOCUMENTS = ("file", "input_file", "document")
_AUDIO = ("input_audio",)


def text_of(message: Json) -> str:
    """The text of a message, its parts joined by line ends."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def apart(body: Json) -> tuple[str, list[float]]:
    """The last user turn of a chat body, and the numbers of what surrounds it.

    The names of these are those of a conversation in :data:`aura.features.NAMES`. What is not as it should be counts as
    absent.
    """
    found = body.get("messages")
    prompt = ""
    system = history = code = turns = results = 0
    parts: list[object] = []
    for message in found if isinstance(found, list) else ():
        if not isinstance(message, dict):
            continue
        text, role = message.get("content"), message.get("role")
        if text.__class__ is not str:
            if isinstance(text, list):
                parts += [part.get("type") for part in text if isinstance(part, dict)]
            text = text_of(message)
        if role == "user":
            # The turn before is history: the last one is what is measured.
            text, prompt = prompt, text
            turns += 1
        elif role == "system" or role == "developer":  # noqa: PLR1714  (each message comes here)
            system += len(text)
            continue
        elif role == "tool":
            results += 1
        if text:
            history += len(text)
            code += text.count("```", 0, HEAD)
    form, effort = body.get("response_format"), body.get("reasoning_effort")
    kind = form.get("type") if isinstance(form, dict) else None
    return prompt, [
        system / 6,
        turns,
        history / 6,
        code,
        _length(body.get("tools")) + _length(body.get("functions")),
        results,
        *((_counted(parts, _IMAGES), _counted(parts, _DOCUMENTS), _counted(parts, _AUDIO)) if parts else (0, 0, 0)),
        kind == "json_object",
        kind == "json_schema",
        _EFFORTS.get(str(effort), 0.0) if effort else 0.0,
    ]


def _counted(parts: list[object], kinds: Iterable[str]) -> int:
    return sum(map(parts.count, kinds))


def _length(value: object) -> int:
    return len(value) if isinstance(value, list) else 0
