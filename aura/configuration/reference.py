"""The generated parts of the documentation: ``python -m aura.configuration.reference docs/*.md`` fills them in.

A part stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; what is outside of them is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..settings import (
    BUILT_IN,
    SECTIONS,
    VENDOR_VARIABLES,
    ClientKey,
    ModelSettings,
    ModerationSettings,
    Secret,
    Setting,
    declared,
)
from .environment import variable
from .old import ROWS

_PART = re.compile(r"<!-- begin ([a-z.-]+) -->\n.*?<!-- end \1 -->", re.DOTALL)
_KINDS = {
    "models": "models per tier",
    "names": "list of names",
    "headers": "names to values",
    "targets": "names to lists of `provider/model`",
    "keys": "list of keys",
    "url": "URL",
    "level": "level",
}


Parts = Mapping[str, Callable[[], str]]


def filled_in(text: str, parts: Parts | None = None) -> str:
    """A document with its generated parts as the code has them now.

    Args:
        parts: what makes each; by default those of the configuration.
    """
    made = _parts() if parts is None else parts
    return _PART.sub(lambda match: f"<!-- begin {match[1]} -->\n{made[match[1]]()}\n<!-- end {match[1]} -->", text)


def main(paths: Sequence[str], parts: Parts | None = None) -> None:
    """Fill in the documents of these paths."""
    for path in map(Path, paths):
        path.write_text(filled_in(path.read_text("utf-8"), parts), "utf-8")


def _parts() -> Parts:
    sections = {f"aura.{name}": _section(name, record) for name, record in SECTIONS.items()}
    return {
        **sections,
        "models": lambda: table(("key", "value", "default", ""), (_plain(one) for _, one in declared(ModelSettings))),
        "keys": lambda: table(("key", "value", "default", ""), (_plain(one) for _, one in declared(ClientKey))),
        "moderation": lambda: table(
            ("key", "value", "default", ""), (_plain(one) for _, one in declared(ModerationSettings))
        ),
        "built-in": _built_in,
        "old-names": _old_names,
    }


def _section(name: str, record: type[Any]) -> Callable[[], str]:
    path = ("aura", name, "NAME") if name == "providers" else ("aura", name)

    def made() -> str:
        rows = ((*_plain(one), _variables((*path, one.key), one)) for _, one in declared(record))
        return table(("key", "value", "default", "", "environment"), rows)

    return made


def _plain(one: Setting) -> tuple[str, ...]:
    also = f" Also `{'`, `'.join(one.aliases)}`." if one.aliases else ""
    return f"`{one.key}`", _value(one), _default(one), one.sentence + also


def _value(one: Setting) -> str:
    if one.choices:
        return ", ".join(f"`{word}`" for word in one.choices)
    bounds = ""
    if one.most is not None:
        bounds = f", {one.least} to {one.most}"
    elif one.least:
        bounds = f", at least {one.least}"
    return _KINDS.get(one.kind, one.kind) + bounds


def _default(one: Setting) -> str:
    value = one.default
    if isinstance(value, Secret):
        value = value.reveal()
    if value in (None, "", (), {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if one.kind == "duration":
        return f"`{_duration(value)}`"
    if one.kind == "size":
        return f"`{value // 2**20}MiB`"
    return f"`{', '.join(value) if isinstance(value, tuple) else value}`"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g}h" if seconds and seconds % 3600 == 0 else f"{seconds:g}s"


def _variables(path: tuple[str, ...], one: Setting) -> str:
    return ", ".join(f"`{name}`" for name in (variable(path), *one.environment))


def _built_in() -> str:
    rows = []
    for name, values in BUILT_IN.items():
        models = values.get("models") or dict.fromkeys(("premium", "balanced", "eco"), values.get("deployment-name"))
        told = ", ".join(f"{tier} `{model}`" for tier, model in models.items())
        named = [f"`{what}` for `{key}`" for (entry, key), what in VENDOR_VARIABLES.items() if entry == name]
        rows.append((f"`{name}`", f"`{values['base-url']}`" if "base-url" in values else "", told, ", ".join(named)))
    return table(("entry", "`base-url`", "models", "variables of the vendor's"), rows)


def _old_names() -> str:
    rows = []
    for row in ROWS:
        words = ", ".join(f"`{old}` is `{now}`" for old, now in row.words)
        sentence = row.sentence or (f"{words}." if words else "")
        rows.append(
            (f"`{'.'.join(row.path)}`", _spring(row.path), f"`{'.'.join(row.now)}`" if row.now else "", sentence)
        )
    return table(("old key", "old variable", "now", ""), rows)


def _spring(path: tuple[str, ...]) -> str:
    return f"`{variable(path).replace('.', '_')}`"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
