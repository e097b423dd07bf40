"""``${VAR}`` and ``${VAR:default}`` inside values; a default may hold placeholders again."""

from __future__ import annotations

from collections.abc import Mapping

_DEEPEST = 32


class Unresolved(ValueError):
    """A placeholder that is not closed, or whose variable is not set."""


def resolve(text: str, environ: Mapping[str, str]) -> str:
    r"""Fill in the placeholders of a text; ``\${`` stands for itself.

    A variable that is set but empty takes the default, where one is given: that is how an unset variable arrives
    through a compose file. What comes from a variable is not searched for placeholders.

    Raises:
        Unresolved: names the variable that is missing.
    """
    out, _ = _text(text, 0, environ, 0)
    return out


def _text(text: str, at: int, environ: Mapping[str, str], depth: int) -> tuple[str, int]:
    """The text from ``at`` on, to its end or, inside a placeholder, to the closing brace."""
    out: list[str] = []
    while at < len(text):
        if text.startswith("\\${", at):
            out.append("${")
            at += 3
        elif text.startswith("${", at):
            value, at = _placeholder(text, at + 2, environ, depth + 1)
            out.append(value)
        elif depth and text[at] == "}":
            return "".join(out), at + 1
        else:
            out.append(text[at])
            at += 1
    if depth:
        raise Unresolved("a placeholder is not closed: '}' is missing")
    return "".join(out), at


def _placeholder(text: str, at: int, environ: Mapping[str, str], depth: int) -> tuple[str, int]:
    """What stands for the placeholder whose name begins at ``at``, and where the text goes on."""
    if depth > _DEEPEST:
        raise Unresolved("placeholders are nested too deeply")
    end = at
    while end < len(text) and text[end] not in ":}":
        end += 1
    name = text[at:end].strip()
    if end == len(text):
        raise Unresolved("a placeholder is not closed: '}' is missing")
    if not name:
        raise Unresolved("a placeholder names no variable")
    if text[end] == "}":
        if name not in environ:
            raise Unresolved(f"the environment variable {name} is not set; write ${{{name}:default}} to have a default")
        return environ[name], end + 1
    if environ.get(name):
        return environ[name], _closing(text, end + 1)
    return _text(text, end + 1, environ, depth)


def _closing(text: str, at: int) -> int:
    """Where the text goes on after a default that is not used, whatever its own placeholders name."""
    depth = 1
    while at < len(text):
        if text.startswith("\\${", at):
            at += 3
            continue
        if text.startswith("${", at):
            depth += 1
            at += 2
            continue
        at += 1
        if text[at - 1] == "}":
            depth -= 1
            if not depth:
                return at
    raise Unresolved("a placeholder is not closed: '}' is missing")
