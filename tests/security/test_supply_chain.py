"""What is installed beside Aura: nothing of it runs by itself when Python starts, and all of it is in the lock.

A ``.pth`` file in ``site-packages`` may hold a line of code that every start of Python runs, whether the package is
imported or not: where a stolen package puts what it steals by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
OWN = "aura-gateway"
# What is known, and what it is for: distutils is taken from setuptools, editable installs find their sources.
KNOWN = {"setuptools": {"distutils-precedence.pth"}}
STARTED = ("sitecustomize.py", "usercustomize.py")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def ours() -> dict[str, Distribution]:
    """All that Aura needs at run time, by name: what its own dependencies need as well."""
    found: dict[str, Distribution] = {}
    waiting = [OWN]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # for another system, or an extra
            continue
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonical(requirement.name))
    return found


def started_by(files: Iterator[str]) -> set[str]:
    """Of the files of a distribution those that Python runs when it starts."""
    names = {Path(file).name for file in files if len(Path(file).parts) == 1}
    return {name for name in names if name.endswith(".pth") or name in STARTED}


@pytest.mark.parametrize("name", sorted(ours()))
def test_no_dependency_runs_by_itself_when_python_starts(name):
    shipped = started_by(str(file) for file in ours()[name].files or ())
    if name == OWN:
        shipped = {file for file in shipped if not file.startswith("__editable__.")}

    assert shipped <= KNOWN.get(name, set())


def test_nothing_that_runs_when_python_starts_is_of_unknown_origin():
    """What no distribution says it has put there is a tool's that made the environment, or nobody's."""
    everything = list(distributions())
    shipped = {name for one in everything for name in started_by(str(file) for file in one.files or ())}
    folders = {Path(str(one.locate_file(""))) for one in ours().values()}
    lying = {path.name for folder in folders for path in folder.iterdir() if started_by(iter([path.name]))}

    assert lying <= shipped | {"_virtualenv.pth"}


def test_the_lock_holds_every_dependency_with_its_hashes():
    entries = {entry.partition("==")[0]: entry for entry in re.split(r"(?m)^(?=[a-z0-9.-]+==)", LOCK)[1:]}

    assert ours().keys() - {OWN} <= entries.keys()
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries.values())


def test_the_image_installs_from_the_lock_by_hash_alone():
    assert re.search(
        r"pip install [^\n]*--require-hashes [^\n]*-r requirements.lock", (ROOT / "Dockerfile").read_text()
    )


def test_the_search_finds_what_would_run():
    files = ["evil.pth", "evil/__init__.py", "evil/inner.pth", "sitecustomize.py", "../../bin/evil"]

    assert started_by(iter(files)) == {"evil.pth", "sitecustomize.py"}
