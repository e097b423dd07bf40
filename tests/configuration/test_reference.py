"""The documents of the configuration hold what the code holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from aura.configuration import load, reference
from aura.configuration.environment import variable
from aura.configuration.old import ROWS
from aura.settings import SECTIONS, VENDOR_VARIABLES, declared

ROOT = Path(__file__).resolve().parent.parent.parent
CONFIGURATION = ROOT / "docs" / "configuration.md"
MIGRATION = ROOT / "docs" / "migration.md"
EXAMPLE = ROOT / "aura.example.yml"


@pytest.mark.parametrize("path", [CONFIGURATION, MIGRATION], ids=lambda path: path.name)
def test_the_generated_parts_are_up_to_date(path):
    """If not: ``python -m aura.configuration.reference docs/configuration.md docs/migration.md``."""
    text = path.read_text("utf-8")

    assert reference.filled_in(text) == text


def test_the_command_fills_a_document_in(tmp_path):
    path = tmp_path / "part.md"
    path.write_text("before\n<!-- begin aura.cost -->\nold\n<!-- end aura.cost -->\nafter\n")

    reference.main([str(path)])

    lines = path.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert any("`baseline-model`" in line and "`AURA_COST_BASELINE_MODEL`" in line for line in lines)
    assert "old" not in lines


def test_every_setting_has_its_row():
    text = CONFIGURATION.read_text("utf-8")
    keys = [(name, one.key) for name, record in SECTIONS.items() for _, one in declared(record)]
    missing = [
        key
        for section, key in keys
        if f"`{variable(('aura', *((section, 'NAME') if section == 'providers' else (section,)), key))}`" not in text
    ]

    assert missing == []


def test_every_old_name_has_its_row():
    text = MIGRATION.read_text("utf-8")
    names = [".".join(row.path) for row in ROWS] + list(VENDOR_VARIABLES.values())

    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_documents_examples_load(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", CONFIGURATION.read_text("utf-8"), re.DOTALL)
    path = tmp_path / "aura.yml"
    for block in blocks:
        path.write_text(block)
        settings = load(str(path), {"GROQ_API_KEY": "gsk-1", "AZURE_EAST_KEY": "azure-1"})

        assert list(settings.providers) == ["groq", "local", "azure-east"]
    assert blocks


@pytest.mark.parametrize("written_out", [False, True], ids=["as it is", "with its commented keys"])
def test_the_example_loads(tmp_path, written_out):
    text = EXAMPLE.read_text("utf-8")
    if written_out:
        text = re.sub(r"^( +)# (?=[ -]*[a-z{-][a-z-]*:|[ -]+\{|auth:)", r"\1", text, flags=re.MULTILINE)
    path = tmp_path / "aura.yml"
    path.write_text(text.replace("enabled: false", "enabled: true"))
    settings = load(str(path), {"OPENAI_API_KEY": "sk-1", "ADA_KEY": "key-of-ada", "OPS_KEY": "key-of-ops"})

    assert list(settings.providers) == ["openai", "ollama", "vllm"]
    assert len(settings.auth.keys) == (2 if written_out else 0)
    assert settings.server.workers == (4 if written_out else 0)


def test_the_example_says_the_defaults(tmp_path):
    """What it says beside a provider of its own is what holds without it."""
    path = tmp_path / "aura.yml"
    path.write_text(EXAMPLE.read_text("utf-8"))
    env = {"OPENAI_API_KEY": "sk-1", "ANTHROPIC_API_KEY": "sk-2"}
    empty = tmp_path / "empty.yml"
    empty.write_text("{}")
    example, plain = load(str(path), env), load(str(empty), env)

    assert yaml.safe_load(path.read_text())["aura"]["providers"]["vllm"]["enabled"] is False
    assert (example.server, example.router, example.cache, example.log, example.classifier, example.providers) == (
        plain.server,
        plain.router,
        plain.cache,
        plain.log,
        plain.classifier,
        plain.providers,
    )
