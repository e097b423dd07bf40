"""What shells complete; ``apt-get install fish zsh`` brings the two that are not there anyway."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from aura.cli import parser
from aura.cli.completion import described
from tests.test_command import aura

COMMANDS = [command.name for command in described(parser())]


def missing(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is missing (apt-get install {shell})")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    """A folder with the three scripts and two files."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        told = aura("completion", shell, folder=folder)
        assert (told.returncode, told.stderr) == (0, "")
        (folder / shell).write_text(told.stdout)
    (folder / "my aura.yml").touch()
    (folder / "new.yml").touch()
    return folder


def run(*command: str, folder: Path) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"}
    told = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert told.stderr == ""
    return told.stdout


def bash(folder: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    script = (
        'source ./bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        "complete -p aura >/dev/null && { _aura; printf '%s\\n' \"${COMPREPLY[@]}\"; }"
    )
    return run("bash", "--norc", "-c", script, "bash", *words, folder=folder).split("\n")[:-1]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("aura", "cha"), ["chat"]),
        (("aura", "c"), ["check", "chat", "calibrate", "completion"]),
        (("aura", "top", "--in"), ["--interval"]),
        (("aura", "completion", "f"), ["fish"]),
        (("aura", "replay", "--config", "ne"), ["new.yml"]),
        (("aura", "check", "--config", "my"), ["my aura.yml"]),
        (("aura", "chat", "--model", "e"), [""]),
        (("aura", "nothing", "--"), [""]),
    ],
)
def test_bash_completes_commands_options_words_and_files(scripts, words, offered):
    assert bash(scripts, *words) == offered


def test_bash_knows_every_command_and_option(scripts):
    assert set(COMMANDS) <= set(bash(scripts, "aura", ""))
    for command in described(parser()):
        names = {name for option in command.options for name in option.names}

        assert names <= set(bash(scripts, "aura", command.name, "-"))


@missing("fish")
def test_fish_completes_commands_options_words_and_files(scripts):
    def offered(line: str) -> list[str]:
        told = run("fish", "--no-config", "-c", f"source ./fish; complete -C '{line}'", folder=scripts)
        return [one.partition("\t")[0] for one in told.splitlines()]

    assert set(COMMANDS) <= set(offered("aura "))
    assert offered("aura top --in") == ["--interval"]
    assert offered("aura completion z") == ["zsh"]
    assert "new.yml" in offered("aura replay --config ne")


@missing("zsh")
def test_zsh_takes_the_script(scripts):
    script = "autoload -U compinit; compinit -u -D; source ./zsh; echo $_comps[aura]; whence -w _aura"
    told = run("zsh", "-fc", script, folder=scripts)

    assert told == "_aura\n_aura: function\n"
    for command in COMMANDS:
        assert f"        {command}) _arguments " in (scripts / "zsh").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_what_it_does_and_every_option_what_it_is(command, tmp_path):
    told = aura(command, "--help", folder=tmp_path)

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"usage: aura {command}")
    found = next(one for one in described(parser()) if one.name == command)
    assert found.about
    assert [option.names for option in found.options if not option.about] == []
