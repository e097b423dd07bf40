"""The documents hold what the code holds: settings, metrics, routes, errors, commands, log lines, links, shell blocks.

A block of ``bash`` is run as it stands, against a gateway that a test has started. One that cannot be run here has
``<!-- not run: the reason -->`` in the line above it.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aura import errors
from aura.app import create_app
from aura.cli import parser
from aura.cli.completion import described
from aura.configuration import load
from aura.settings import SECTIONS, declared
from tests.server import ROOT, gateway

pytestmark = pytest.mark.xdist_group("docs")

KEY = "key-of-root-0001"
FILES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "training" / "README.md"])
DOCS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in FILES}
EVERYTHING = "\n".join(DOCS.values())
COMMANDS = {command.name: command for command in described(parser())}
SECONDS = 60


def sources() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted((ROOT / "aura").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield path, node


def constant(node: ast.AST | None) -> str:
    """The text of a literal; empty if it is none."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


# ---- what the code has, the documents tell


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_listed(section):
    part = re.search(rf"<!-- begin aura\.{section} -->\n(.*?)<!-- end", DOCS["docs/configuration.md"], re.DOTALL)

    assert part is not None
    for _, setting in declared(SECTIONS[section]):
        assert f"| `{setting.key}` |" in part[1]


def test_every_metric_is_listed():
    names = {
        constant(node.args[0])
        for path, node in sources()
        if path.name == "metrics.py" and isinstance(node, ast.Call) and node.args
    }
    names = {name for name in names if re.fullmatch(r"aura_[a-z_]+", name)}

    assert len(names) > 20
    for name in names:
        assert re.search(rf"\| `{name}(_total)?` \|", DOCS["docs/metrics.md"]), name


def test_every_route_is_told():
    """Azure's addresses are those of the other doors behind a beginning of their own."""
    app = create_app(load(None, {"AURA_LOG_LEVEL": "ERROR"}))
    untold: list[str] = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"^/openai/(deployments/<path:deployment>|v1)/|^/openai/(?=models|responses)", "/v1/", rule.rule)
        pattern = re.sub(r"<[^>]+>", r"(\\{\\w+\\}|[A-Z]+|…|[\\w.]+)", re.sub(r"([.?])", r"\\\1", path))

        if not re.search(rf"(?<![\w/.]){pattern}(?![\w/])", EVERYTHING):
            untold.append(rule.rule)
    assert untold == []
    for beginning in ("/openai/deployments/", "/openai/v1/"):
        assert beginning in DOCS["docs/doors.md"]


def codes() -> set[str]:
    """The codes of all errors that a client may be told."""
    found = {rule.code for rule in errors.RULES.values()}
    for path, node in sources():
        if isinstance(node, ast.Call):
            given = [word.value for word in node.keywords if word.arg == "code"]
            for value in given:
                found |= {
                    constant(one) for one in ([value.body, value.orelse] if isinstance(value, ast.IfExp) else [value])
                }
        elif isinstance(node, ast.ClassDef) and path.name == "errors.py":
            found |= {
                error.code
                for error in [getattr(errors, node.name, None)]
                if isinstance(error, type) and issubclass(error, errors.AuraError) and error.code
            }
    return {code for code in found if code}


def test_every_kind_of_error_is_told_and_no_other():
    rows = re.findall(r"(?m)^\| \d{3} \| `(\w+)` \|", DOCS["docs/errors.md"])

    assert len(codes()) > 30
    assert set(rows) == codes()


def test_every_reason_of_a_failure_is_told():
    assert [reason.value for reason in errors.Reason if f"`{reason.value}`" not in EVERYTHING] == []


def test_every_line_of_the_log_is_told():
    names = {
        constant(node.args[0])
        for _, node in sources()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("info", "warning", "error", "exception")
        and node.args
    }
    names = {name for name in names if re.fullmatch(r"[a-z]+\.[a-z_]+", name)}
    gates = {
        f"{constant(node.args[1])}.changed"
        for _, node in sources()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Gate"
    }
    names |= gates

    assert gates
    assert len(names) > 10
    assert {name for name in names if f"`{name}`" not in EVERYTHING} == set()


def test_every_command_is_told():
    assert {name for name in COMMANDS if not re.search(rf"\baura {name}\b", EVERYTHING)} == set()


# ---- what the documents tell, there is


def blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, text and the reason not to run it of every block of shell."""
    for match in re.finditer(r"(?ms)^(?:<!-- not run: ([^\n]+) -->\n)?```(?:bash|sh|console)\n(.*?)^```", text):
        yield text.count("\n", 0, match.start(2)), match[2], match[1] or ""


BLOCKS = [
    (f"{name}:{line}", text, reason) for name, document in DOCS.items() for line, text, reason in blocks(document)
]


@pytest.mark.parametrize("name", DOCS)
def test_every_aura_command_and_option_there_is(name):
    shown = [text for _, text, _ in blocks(DOCS[name])] + re.findall(r"`([^`\n]+)`", DOCS[name])
    for line in "\n".join(shown).replace("\\\n", " ").splitlines():
        found = re.search(r"(?:^|[\s/(])aura ([a-z]+)\b([^`|;&<>)]*)", line)
        if found and "aura-" not in line[: found.start()] and found[1] in COMMANDS | {"COMMAND": None}:
            known = {name for option in COMMANDS[found[1]].options for name in option.names}
            said = {word.partition("=")[0] for word in found[2].split() if re.match(r"--?[a-z]", word)}

            assert said <= known | {"--help"}, line


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    heads = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", DOCS)
def test_every_link_leads_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?ms)^```.*?^```", "", DOCS[name])):
        if re.match(r"[a-z]+://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name

        assert path.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(path.read_text("utf-8")), f"{name}: {target}"


def test_every_page_is_reached_from_another():
    linked = {
        ((ROOT / name).parent / target.partition("#")[0]).resolve()
        for name, text in DOCS.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
    }
    lost = {path.name for path in (ROOT / "docs").glob("*.md") if path.resolve() not in linked}

    assert lost == set()


# ---- what can be run, is run


@pytest.fixture(scope="module")
def server():
    config = f"aura: {{auth: {{keys: [{{name: root, key: {KEY}, admin: true}}]}}}}\n"
    with gateway(config) as running:
        running.wait_for("Booting worker")
        yield running


def run(text: str, server, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block beside the files that blocks name, with the address and key of the test's gateway."""
    for file in ("CHANGELOG.md", "aura.example.yml"):
        (folder / file).write_text((ROOT / file).read_text())
    text = text.replace("http://localhost:8080", server.url).replace("curl ", "curl --fail ")
    if "Authorization" not in text:
        text = text.replace("curl ", f"curl -H 'Authorization: Bearer {KEY}' ")
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KEY": KEY,
        "AURA_URL": server.url,
        "AURA_KEY": KEY,
        "TMPDIR": str(folder),
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("text", [pytest.param(text, id=where) for where, text, reason in BLOCKS if not reason])
def test_a_block_of_shell_does_what_it_says(text, server, tmp_path):
    done = run(text, server, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "error" not in done.stdout[:20]


def test_most_blocks_say_why_they_are_not_run_or_are_run():
    assert len([where for where, _, reason in BLOCKS if not reason]) >= 12
    assert all(len(reason) > 8 for _, _, reason in BLOCKS if reason)


@pytest.mark.parametrize("text", [pytest.param(text, id=where) for where, text, _ in BLOCKS])
def test_a_block_of_shell_can_be_read_by_a_shell(text):
    assert subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False).stderr == b""


def test_the_quick_start_serves_and_the_second_command_tests():
    """The commands install from a registry and run everything, so they are looked at here and run by ``.ci/run``."""
    first, second = [text for _, text, _ in blocks(DOCS["README.md"])][:2]
    made = shlex.split(first.replace("&&", " "))

    assert made[-2:] == [".venv/bin/aura", "serve"]
    assert second.strip().endswith(".venv/bin/pytest")
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize(
    "path", re.findall(r"`((?:tests|bench|aura|docs|training|systemd|nginx|k8s)/[\w./-]+\.\w+)`", EVERYTHING)
)
def test_every_file_that_is_named_is_there(path):
    assert (ROOT / path).exists()
