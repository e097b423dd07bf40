"""The security page names tests that exist, and the report's way is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def existing() -> set[str]:
    """The names of all tests there are."""
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))

    assert named - existing() == set()
    assert len(named) > 40


def test_every_rule_of_the_page_names_its_tests():
    section = PAGE.partition("## What holds")[2].partition("## What an operator")[0]
    rows = [line for line in section.splitlines() if re.match(r"\| [A-Z1-9`].*\.", line)]

    assert [row for row in rows if not re.search(r"\| `test_\w+`(, `test_\w+`)* \|$", row)] == []
    assert len(rows) > 30


def test_vulnerabilities_are_reported_in_private_and_to_no_invented_address():
    text = (ROOT / "SECURITY.md").read_text()

    assert "Report a vulnerability" in text
    assert "@" not in text
    assert "://" not in text
