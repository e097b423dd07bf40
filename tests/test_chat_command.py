"""``aura chat``, as a person and a script use it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from gevent.os import tp_read

from aura.cli.chat import Shown
from tests.calls import provider
from tests.faulty import Faulty, closed_port
from tests.server import ROOT, gateway
from tests.test_command import aura

pytestmark = pytest.mark.xdist_group("chat-command")

KEY = "key-of-a-0001"


@pytest.fixture(scope="module")
def server():
    with gateway(f"aura: {{auth: {{keys: [{{name: a, key: {KEY}}}]}}}}\n") as running:
        yield running


def chat(server, *arguments: str, folder: Path, stdin: str = "", **environ: str):
    return aura("chat", *arguments, folder=folder, stdin=stdin, **{"AURA_URL": server.url, "AURA_KEY": KEY, **environ})


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["Hello there"], ""),
        (["Hello", "there"], ""),
        ([], "Hello there\n"),
        (["Sum up:", "-"], "a text"),
        (["-"], "x"),
    ],
)
def test_the_answer_goes_to_the_output_and_nothing_else_does(server, tmp_path, arguments, stdin):
    told = chat(server, *arguments, folder=tmp_path, stdin=stdin)

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("This is Aura's demo provider")
    assert told.stdout.endswith("real answers.\n")


def test_prompt_input_model_and_system_are_what_the_gateway_is_asked(tmp_path):
    with Faulty() as behind, gateway("aura:\n  providers:\n" + provider("only", behind.url, "m")) as server:
        arguments = ("Sum up:", "-", "--model", "only/m", "--system", "Be brief.")
        told = chat(server, *arguments, folder=tmp_path, stdin="a text\n")
        asked = behind.asked[-1].json()

    assert told.returncode == 0, told.stderr
    assert asked["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Sum up:\n\na text"},
    ]
    assert (asked["model"], asked["stream"]) == ("m", True)


def test_verbose_says_beside_the_output_how_the_answer_came_about(server, tmp_path):
    told = chat(server, "-v", "--model", "premium", "Hello", folder=tmp_path)

    assert told.returncode == 0
    assert "req_" not in told.stdout
    for part in ("PREMIUM, demo/demo-premium", "tokens", " s, req_"):
        assert part in told.stderr
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["--url", "ftp://x", "Hi"], {}, "no address of a gateway"),
        (["Hi"], {"AURA_KEY": ""}, "wants a key"),
        (["Hi"], {"AURA_KEY": "wrong"}, "wants a key"),
        (["--model", "nobody/knows", "Hi"], {}, "nobody"),
        (["--model", "a model", "Hi"], {}, "'model' must be"),
        ([], {}, "no prompt"),
    ],
)
def test_what_fails_is_said_in_one_line_and_ends_in_1(server, tmp_path, arguments, environ, said):
    told = chat(server, *arguments, folder=tmp_path, **environ)

    assert told.returncode == 1
    assert told.stdout == ""
    assert said in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert KEY not in told.stderr


def test_a_gateway_that_is_not_there_is_named(tmp_path):
    told = aura("chat", "Hi", "--url", f"http://127.0.0.1:{closed_port()}", folder=tmp_path)

    assert told.returncode == 1
    assert "does not answer: Connection refused" in told.stderr


def test_an_option_that_there_is_none_of_ends_in_2(tmp_path):
    assert aura("chat", "--nothing", folder=tmp_path).returncode == 2


def start_in_terminal(server, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    """The command with a terminal of its own; returns the descriptor of the other side."""
    ours, its = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "aura", "chat", *arguments],
        env=environ | {"AURA_URL": server.url, "AURA_KEY": KEY},
        stdin=its,
        stdout=its,
        stderr=its,
        # One of a job that runs in the background would ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        start_new_session=True,
    )
    os.close(its)
    return process, ours


def shown(ours: int, until: str, seconds: float = 30) -> str:
    """What the terminal shows, until it matches."""
    told, deadline = "", time.monotonic() + seconds
    while not re.search(until, told, re.DOTALL) and time.monotonic() < deadline:
        try:
            told += tp_read(ours, 65536).decode()  # on a thread: the provider is served from here
        except OSError:
            break
    assert re.search(until, told, re.DOTALL), told
    return told


def test_in_a_terminal_it_is_a_conversation():
    with Faulty() as behind, gateway("aura:\n  providers:\n" + provider("only", behind.url, "m")) as server:
        process, ours = start_in_terminal(server, "--model", "only/m", "-v")
        shown(ours, "> ")
        for line in ("first", "second"):
            os.write(ours, f"{line}\n".encode())
            shown(ours, r" tokens, .*> ")  # what is typed before the next prompt may be lost
        os.write(ours, b"\x04")
        status = process.wait(20)
        os.close(ours)
        asked = behind.asked[-1].json()["messages"]

    assert status == 0
    assert [message["role"] for message in asked] == ["user", "assistant", "user"]
    assert [asked[0]["content"], asked[2]["content"]] == ["first", "second"]


def test_an_interrupt_ends_it_with_130(server):
    process, ours = start_in_terminal(server)
    shown(ours, "> ")
    status = None
    for _ in range(40):  # one that comes while readline gets ready is seen with the next key only
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(0.5)
            break
    os.close(ours)

    assert status == 130


def test_an_answer_that_breaks_off_is_no_success(tmp_path):
    with Faulty() as behind, gateway("aura:\n  providers:\n" + provider("only", behind.url, "m")) as server:
        behind.always = "cut:after:4"
        told = chat(server, "--model", "only/m", "Hi", folder=tmp_path)

    assert told.returncode == 1
    assert told.stdout.endswith("\n")
    assert "broke off" in told.stderr


@pytest.mark.parametrize(("terminal", "seen"), [(True, "a?[2Jb\n"), (False, "a\x1b[2Jb\n")])
def test_a_terminal_is_not_steered_by_an_answer(capsys, terminal, seen):
    output = Shown(terminal)
    output.add("a\x1b[2Jb")
    output.end()

    assert capsys.readouterr().out == seen
