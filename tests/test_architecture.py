"""The floors: a module imports only from lower ones."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "aura"
FLOORS = [
    ["__init__", "errors", "settings", "sse", "call", "estimate", "strict_json", "slots", "runtime", "sink", "header"],
    ["catalogue", "circuit", "dialects", "features", "guardrails"],
    ["ceiling", "samples", "memory", "meters"],
    ["providers", "classifier", "router", "failover", "hedge", "rescue", "limits", "calibration"],
    [
        "fronts",
        "chunks",
        "carrying",
        "upstream",
        "metrics",
        "log",
        "disconnect",
        "configuration",
        "recording",
        "preview",
        "gate",
    ],
    ["tokens", "redis_link", "levels", "gunicorn_log", "tracing", "metrics_reference", "request_id"],
    ["correlation", "cache", "fleet", "moderation", "replay", "embedding"],
    ["exchange"],
    ["ledger", "splice", "metered", "guarded", "quota"],
    ["race", "relay"],
    ["flight", "following"],
    ["gateway"],
    ["counting", "forward"],
    ["api"],
    ["app", "worker", "connection", "protocol", "answer", "body", "fallback", "cli"],
    ["gunicorn_conf", "__main__"],
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# Records need a failure's type, and settings need a price's: one floor, in this order.
WITHIN = {("call", "errors"), ("estimate", "call"), ("settings", "call"), ("strict_json", "errors")}
PURE = [
    name
    for names in FLOORS[:4]
    for name in names
    if name not in ("slots", "runtime", "sink", "memory", "providers", "samples")
] + [
    "chunks",
    "preview",
    "replay",
]
NO_IO = {"socket", "logging", "requests", "urllib3", "gevent", "flask", "time", "random", "subprocess"}


def room(path: Path) -> str:
    """The module or package below ``aura`` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """What a file imports, absolute."""
    package = ["aura", *path.relative_to(PACKAGE).parts[:-1]]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{module}.{alias.name}" for alias in node.names] if module == "aura" else [module]
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path):
    own = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "aura" or len(parts) < 2:
            continue
        other = parts[1]
        if other in (own, "__version__"):
            continue

        assert (own, other) in WITHIN or FLOOR[other] < FLOOR[own] or (FLOOR[own] == FLOOR["worker"] == FLOOR[other]), (
            f"{own} imports {other}"
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_with_effects_stays_on_its_floor(path):
    own, roots = room(path), {name.split(".")[0] for name in imports(path)}
    if own in PURE:
        assert not roots & NO_IO
    if own != "upstream":
        assert not roots & {"requests", "urllib3"}
    if own not in ("api", "app"):
        assert "flask" not in roots
