"""The units: read by systemd's own tools, and run by a real service manager."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.server import ROOT

from .programs import free_port, needs

pytestmark = pytest.mark.xdist_group("systemd")

SERVICE, SOCKET = ROOT / "systemd" / "aura.service", ROOT / "systemd" / "aura.socket"
COMMAND = "/opt/aura/bin/aura"
# What a manager of a user's own cannot do; all else of the unit is as shipped.
BEYOND_A_USER = (
    r"^(DynamicUser|PrivateUsers|Protect\w+|Private\w+|ProcSubset|LoadCredential|SetCredential)=|network-online|^Wants"
)
KEY = "a-key-for-systemd"


def installed(folder: Path) -> list[Path]:
    """The units with a command that is there; this one is called by its module, so that any environment will do."""
    command = folder / "aura"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m aura "$@"\n')
    command.chmod(0o755)
    units = []
    for unit in (SERVICE, SOCKET):
        units.append(folder / unit.name)
        units[-1].write_text(unit.read_text().replace(COMMAND, str(command)))
    return units


@needs("systemd-analyze", "systemd")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    ran = subprocess.run(
        ["systemd-analyze", "verify", *installed(tmp_path)], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")


@needs("systemd-analyze", "systemd")
def test_the_service_is_locked_in():
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager", SERVICE]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    exposure = float(re.search(r"Overall exposure level for aura.service: ([\d.]+)", ran.stdout)[1])

    assert ran.returncode == 0
    assert exposure < 3.0


def test_secrets_are_not_in_the_unit():
    unit = SERVICE.read_text()

    assert "EnvironmentFile=-/etc/aura/aura.env" in unit
    assert "LoadCredential=clients:/etc/aura/clients" in unit
    assert "0600" in (ROOT / "systemd" / "aura.env.example").read_text()
    assert not re.search(r"(?m)^Environment=.*(API_KEY|AUTH_KEYS)=", unit)


# ---- a real manager


def may_manage() -> bool:
    """Whether a service manager can run apart from the machine's own: it wants root and namespaces."""
    manager = Path("/lib/systemd/systemd")
    if os.geteuid() or not (manager.exists() and shutil.which("unshare") and shutil.which("systemctl")):
        return False
    return not subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False
    ).returncode


# A manager wants to see that the machine was booted by systemd: in this namespace it was. It must not be the first
# process there, or it would take itself for the machine's own.
START = """
mount -t tmpfs tmpfs /run/systemd || { mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd; }
mkdir -p /run/systemd/system
umask 0
/lib/systemd/systemd --user --unit=aura.socket --log-target=null
:
"""


class Manager:
    """A running service manager with the units loaded."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.outer = 0  # the process that made the namespaces
        self.url = f"http://127.0.0.1:{port}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }

    def inside(self, *command: str) -> list[str]:
        """A command in the manager's namespaces, the only ones that it listens to."""
        inner = Path(f"/proc/{self.outer}/task/{self.outer}/children").read_text().split()
        return ["nsenter", f"--target={inner[0]}", "--mount", "--pid", "--", *command] if inner else ["false"]

    def run(self, *command: str) -> str:
        """What a command says."""
        command = tuple(self.inside(*command))
        ran = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False, timeout=100)
        return (ran.stdout + ran.stderr).strip()

    def control(self, *arguments: str) -> str:
        return self.run("systemctl", "--user", *arguments)

    def show(self, name: str) -> str:
        return self.control("show", "--property", name, "--value", "aura.service")

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_for(self, name: str, value: str) -> None:
        deadline = time.monotonic() + 60
        while self.show(name) != value:
            assert time.monotonic() < deadline, f"{name} is {self.show(name)}\n{self.log()}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def manager(tmp_path_factory) -> Iterator[Manager]:
    """The units as they are, but for the address and what a user's manager cannot do."""
    if not may_manage():
        pytest.skip("a service manager of its own needs root, namespaces and Debian's package systemd")
    folder, port = tmp_path_factory.mktemp("systemd"), free_port()
    units = folder / "config" / "systemd" / "user"
    units.mkdir(parents=True)
    (folder / "run").mkdir(mode=0o700)
    service, address = installed(folder)
    lines = [line for line in service.read_text().splitlines() if not re.search(BEYOND_A_USER, line)]
    text = "\n".join(lines).replace("/etc/aura", str(folder)).replace("%d/clients", f"{folder}/clients")
    output = f"StandardOutput=append:{folder}/log\nStandardError=append:{folder}/log\nEnvironment=PYTHONPATH={ROOT}\n"
    (units / "aura.service").write_text(text.replace("[Service]\n", f"[Service]\n{output}"))
    (units / "aura.socket").write_text(address.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    (folder / "aura.env").write_text("AURA_SERVER_WORKERS=1\n")
    (folder / "clients").write_text(f"# who may call\ntester:{KEY}\n")
    running = Manager(folder, port)
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", START]
    process = subprocess.Popen(command, env=running.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running.outer = process.pid
    try:
        deadline = time.monotonic() + 30
        while running.control("is-active", "aura.socket") != "active":
            if process.poll() is not None:
                pytest.skip("a service manager cannot run here")
            assert time.monotonic() < deadline, running.control("status", "aura.socket")
            time.sleep(0.05)
        yield running
        running.control("stop", "aura.socket", "aura.service")
    finally:
        process.kill()
        process.wait()


def ask(manager: Manager, key: str = KEY) -> int:
    answer = requests.get(f"{manager.url}/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=60)
    return answer.status_code


def test_the_first_call_starts_the_service_and_waits_for_it(manager):
    assert manager.control("is-active", "aura.service") == "inactive"
    assert ask(manager) == 200
    manager.wait_for("ActiveState", "active")
    assert manager.show("StatusText") == "Gunicorn arbiter booted"


def test_clients_keys_come_from_a_file(manager):
    assert ask(manager, "another-key") == 401


def test_metrics_and_cache_lie_in_the_runtime_folder(manager):
    ask(manager)
    kinds = {path.name.rpartition("-")[0] for path in (manager.folder / "run" / "aura").iterdir()}

    assert {"aura-metrics", "aura-cache"} == kinds


def test_descriptors_are_as_many_as_the_unit_says(manager):
    ask(manager)
    manager.wait_for("ActiveState", "active")
    limits = manager.run("cat", f"/proc/{manager.show('MainPID')}/limits")

    allowed = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    assert re.search(rf"(?m)^Max open files +{allowed} +{allowed} ", limits), limits


def test_a_reload_keeps_the_service_and_takes_the_new_configuration(manager):
    ask(manager)
    manager.wait_for("ActiveState", "active")
    before = manager.show("MainPID")
    (manager.folder / "clients").write_text(f"tester:{KEY}\nanother:a-second-key\n")
    manager.control("reload", "aura.service")
    deadline = time.monotonic() + 60
    while ask(manager, "a-second-key") != 200:
        assert time.monotonic() < deadline, manager.log()

    assert manager.show("MainPID") == before


def test_a_restart_refuses_no_client(manager):
    """The address stays with systemd: whoever calls meanwhile waits."""
    ask(manager)
    manager.wait_for("ActiveState", "active")
    before = manager.show("MainPID")
    restart = subprocess.Popen(manager.inside("systemctl", "--user", "restart", "aura.service"), env=manager.environ)
    seen = []
    while restart.poll() is None:
        seen.append(ask(manager))

    assert restart.returncode == 0
    assert ask(manager) == 200
    assert manager.show("MainPID") != before
    assert set(seen) <= {200}


def test_a_service_that_dies_is_started_again(manager):
    ask(manager)
    manager.wait_for("ActiveState", "active")
    manager.control("kill", "--signal=SIGKILL", "aura.service")

    assert ask(manager) == 200
    manager.wait_for("ActiveState", "active")


def test_a_wrong_configuration_is_not_tried_again(manager):
    ask(manager)
    (manager.folder / "clients").write_text("no key at all\n")
    manager.control("restart", "aura.service")
    manager.wait_for("ActiveState", "failed")
    (manager.folder / "clients").write_text(f"tester:{KEY}\n")

    assert manager.show("ExecMainStatus") == "78"
