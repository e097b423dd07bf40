"""``aura completion``: what a shell needs to complete the command line, made from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .declaring import Commands

_FILES = ("FILE", "NEW")
_ABOUT = """\
  bash:  source <(aura completion bash)                         in ~/.bashrc
  zsh:   source <(aura completion zsh)                          in ~/.zshrc, behind compinit
  fish:  aura completion fish > ~/.config/fish/completions/aura.fish
"""


@dataclass(frozen=True, slots=True)
class Option:
    """An option, or an argument with a choice of words (``names`` is empty then)."""

    names: tuple[str, ...]
    about: str
    takes: bool
    file: bool
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand."""

    name: str
    about: str
    options: tuple[Option, ...]


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser(
        "completion",
        parents=[shared],
        help="print the completion of a shell",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("shell", choices=tuple(_SHELLS), help="the shell")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    from . import parser

    print(_SHELLS[options.shell](list(described(parser()))))
    return 0


def described(parser: argparse.ArgumentParser) -> Iterator[Command]:
    """The subcommands of a parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            about = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                yield Command(name, about.get(name, ""), tuple(_options(command)))


def _options(command: argparse.ArgumentParser) -> Iterator[Option]:
    for action in command._actions:
        words = tuple(str(word) for word in action.choices or ())
        if action.option_strings or words:
            yield Option(
                names=tuple(action.option_strings),
                about=(action.help or "").replace("%%", "%"),
                takes=action.nargs != 0,
                file=action.metavar in _FILES,
                words=words,
            )


def bash(commands: list[Command]) -> str:
    """The script for bash."""
    cases = "\n".join(_bash_case(command) for command in commands)
    return f"""\
# bash completion for aura
_aura() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} words= valued= files=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{" ".join(command.name for command in commands)} --help --version" -- "$current"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    case " $files " in *" $previous "*)
        local IFS=$'\\n'  # a name may hold a blank
        COMPREPLY=($(compgen -f -- "$current"))
        return;;
    esac
    case " $valued " in *" $previous "*) return;; esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o filenames -F _aura aura"""


def _bash_case(command: Command) -> str:
    named = [option for option in command.options if option.names]
    words = [name for option in named for name in option.names]
    words += [word for option in command.options if not option.names for word in option.words]
    files = [name for option in named if option.file for name in option.names]
    valued = [name for option in named if option.takes and not option.file for name in option.names]
    return f"        {command.name}) words='{' '.join(words)}' files='{' '.join(files)}' valued='{' '.join(valued)}';;"


def zsh(commands: list[Command]) -> str:
    """The script for zsh."""
    names = "\n".join(f"        {_quoted(f'{command.name}:{command.about}')}" for command in commands)
    cases = "\n".join(_zsh_case(command) for command in commands)
    return f"""\
#compdef aura
_aura() {{
    local -a commands
    commands=(
{names}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    shift words
    (( CURRENT-- ))
    case $words[1] in
{cases}
    esac
}}
if [ "$funcstack[1]" = _aura ]; then _aura "$@"; else compdef _aura aura; fi"""


def _zsh_case(command: Command) -> str:
    told = []
    for option in command.options:
        about = "".join(letter for letter in option.about if letter not in "[]:\\")
        value = f":value:{_zsh_values(option)}" if option.takes else ""
        told += [f"{name}[{about}]{value}" for name in option.names] or [f"1{value}"]
    return f"        {command.name}) _arguments {' '.join(map(_quoted, told))};;"


def _zsh_values(option: Option) -> str:
    return "_files" if option.file else f"({' '.join(option.words)})" if option.words else " "


def fish(commands: list[Command]) -> str:
    """The script for fish."""
    lines = ["# fish completion for aura", "complete -c aura -f"]
    lines += [
        f"complete -c aura -n __fish_use_subcommand -a {command.name} -d {_quoted(command.about)}"
        for command in commands
    ]
    for command in commands:
        seen = f"complete -c aura -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            flags = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
            value = ["-r -F"] if option.file else ["-x"] if option.takes and option.names else []
            words = [f"-a {_quoted(' '.join(option.words))}"] if option.words else []
            lines.append(" ".join([seen, *flags, *value, *words, f"-d {_quoted(option.about)}"]))
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A word in single quotes, for any of the shells."""
    return "'" + text.replace("\\", "").replace("'", "’") + "'"


_SHELLS: dict[str, Callable[[list[Command]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
