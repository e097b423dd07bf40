"""Where the tests of the configuration find and write their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura.configuration import files


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Searched in place of the working directory and /etc/aura."""
    here, etc = tmp_path / "here", tmp_path / "etc"
    here.mkdir()
    etc.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(files, "FOLDERS", (Path(), etc))
    return here, etc
