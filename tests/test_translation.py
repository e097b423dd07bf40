"""docs/translation.md tells of every case, and every case that it tells of has its tests."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

from .server import ROOT

DOCUMENT = (ROOT / "docs" / "translation.md").read_text()
TESTS = {
    name
    for file in Path(__file__).parent.rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
}
ROWS = re.findall(r"^\| ([AZOXR]\d+)(?:–([AZOXR]?\d+))? \| .* \| (.*) \|$", DOCUMENT, re.MULTILINE)
CASES = [
    *(f"A{n}" for n in range(1, 115)),
    *(f"Z{n}" for n in range(1, 36)),
    *(f"O{n}" for n in range(1, 30)),
    *(f"X{n}" for n in range(1, 7)),
    *(f"R{n}" for n in range(1, 23)),
]


def covered() -> set[str]:
    """The cases that have a row in a table."""
    found = set()
    for first, last, _ in ROWS:
        start, end = int(first[1:]), int((last or first).lstrip("AZOXR"))
        found |= {f"{first[0]}{n}" for n in range(start, end + 1)}
    return found


def decided_otherwise() -> set[str]:
    """The cases that the document names outside the tables, with a reason."""
    return set(re.findall(r"^- ([AZOX]\d+)\b", DOCUMENT, re.MULTILINE))


def test_every_case_is_covered_or_decided_otherwise_with_a_reason():
    missing = set(CASES) - covered() - decided_otherwise()
    print(f"{len(covered())} of {len(CASES)} cases have a row and tests; the others stand there with their reasons")

    assert not missing


@pytest.mark.parametrize(("case", "last", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_the_tests_that_a_row_names_exist(case, last, tests):
    names = re.findall(r"`[^`]*?(test_[a-z0-9_]+\*?)`", tests)

    assert names or "every dialect" in tests or ".py`" in tests
    for name in names:
        assert fnmatch.filter(TESTS, name) or (Path(__file__).parent / f"{name}.py").exists(), name
