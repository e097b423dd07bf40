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


# The system's manager, in namespaces of its own, with no units but ours and what they name. It sees the environment and
# the checkout under /opt, where the service's locked file system still has them; what it writes lies in memory.
START = r"""
set -e
mount --make-rprivate /
for place in /run /opt /var/log /var/tmp; do mount -t tmpfs -o mode=755 tmpfs $place; done
mkdir -p /run/systemd/system /run/units /opt/aura/bin /opt/environment /opt/base /opt/checkout
cp -r $UNITS/* /run/units
for one in sysinit basic shutdown umount sockets network-online multi-user; do
    printf '[Unit]\nDefaultDependencies=no\n' > /run/units/$one.target
done
mkdir /run/etc /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc
mkdir /etc/aura
mount --bind $CONFIGURATION /etc/aura
mount --bind $ENVIRONMENT /opt/environment
mount --bind $BASE /opt/base
mount --bind $CHECKOUT /opt/checkout
cat > /opt/aura/bin/aura << END
#!/bin/sh
export LD_LIBRARY_PATH=/opt/base/lib PYTHONPATH=/opt/checkout:/opt/environment/lib/$PYTHON/site-packages
exec /opt/base/bin/$PYTHON -m aura "\$@"
END
chmod 755 /opt/aura/bin/aura
if [ -d /sys/fs/cgroup/systemd ]; then
    umount -R /sys/fs/cgroup
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
mount --make-rshared /
umask 022
export container=other SYSTEMD_UNIT_PATH=/run/units SYSTEMD_LOG_TARGET=null
exec /lib/systemd/systemd --system --unit=aura.socket
"""


class Manager:
    """A running service manager with the units loaded."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.configuration = folder / "etc"
        self.outer = 0  # the process that made the namespaces
        self.url = f"http://127.0.0.1:{port}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "UNITS": str(folder / "units"),
            "CONFIGURATION": str(self.configuration),
            "ENVIRONMENT": sys.prefix,
            "BASE": sys.base_prefix,  # below a home maybe, which the service does not see
            "PYTHON": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "CHECKOUT": str(ROOT),
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
        return self.run("systemctl", *arguments)

    def show(self, name: str) -> str:
        return self.control("show", "--property", name, "--value", "aura.service")

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file of ``/etc/aura``."""
        path = self.configuration / name
        path.write_text(text)
        path.chmod(mode)

    def process(self, name: str) -> str:
        """A file of the service's main process below ``/proc``."""
        return self.run("cat", f"/proc/{self.show('MainPID')}/{name}")

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_for(self, name: str, value: str) -> None:
        deadline = time.monotonic() + 60
        while self.show(name) != value:
            assert time.monotonic() < deadline, f"{name} is {self.show(name)}\n{self.log()}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def manager(tmp_path_factory) -> Iterator[Manager]:
    """The units as they are, but for the address and where the log goes."""
    if not may_manage():
        pytest.skip("a service manager of its own needs root, namespaces and Debian's package systemd")
    folder, port = tmp_path_factory.mktemp("systemd"), free_port()
    units = folder / "units"
    (units / "aura.service.d").mkdir(parents=True)
    (units / "aura.service").write_text(SERVICE.read_text())
    (units / "aura.socket").write_text(SOCKET.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    to_file = f"StandardOutput=append:{folder}/log\nStandardError=append:{folder}/log\n"
    (units / "aura.service.d" / "test.conf").write_text(f"[Service]\n{to_file}Environment=PYTHONPATH=/opt/checkout\n")
    running = Manager(folder, port)
    running.configuration.mkdir(mode=0o755)
    running.write("aura.env", "AURA_SERVER_WORKERS=1\n", 0o600)
    running.write("clients", f"# who may call\ntester:{KEY}\n", 0o600)
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", "--ipc", "--cgroup"]
    command += ["sh", "-c", START]
    with (folder / "manager").open("wb") as output:
        process = subprocess.Popen(command, env=running.environ, stdout=output, stderr=output)
    running.outer = process.pid
    try:
        deadline = time.monotonic() + 30
        while running.control("is-active", "aura.socket") != "active":
            if process.poll() is not None:
                pytest.skip(f"a service manager cannot run here: {(folder / 'manager').read_text()[-300:]}")
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


def test_the_service_runs_locked_in(manager):
    """All at once: a user of its own, no capability, system calls filtered, nothing to write."""
    ask(manager)
    manager.wait_for("ActiveState", "active")
    status = dict(re.findall(r"(?m)^(\w+):\t(.*)$", manager.process("status")))
    mounts = [line.split() for line in manager.process("mountinfo").splitlines()]

    assert {61184 <= int(one) <= 65519 for one in status["Uid"].split()} == {True}
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "ro" in next(one[5] for one in mounts if one[4] == "/").split(",")
    assert status["Umask"] == "0077"


def test_clients_keys_come_from_a_file_that_root_alone_reads(manager):
    assert ask(manager, "another-key") == 401
    assert "Permission denied" in manager.run(
        "setpriv", "--reuid=65534", "--clear-groups", "cat", "/run/credentials/aura.service/clients"
    )


def test_metrics_and_cache_lie_in_the_runtime_folder(manager):
    ask(manager)
    kinds = {name.rpartition("-")[0] for name in manager.run("ls", "/run/aura/").split()}

    assert {"aura-metrics", "aura-cache"} == kinds


def test_descriptors_are_as_many_as_the_unit_says(manager):
    ask(manager)
    manager.wait_for("ActiveState", "active")
    allowed = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    assert re.search(rf"(?m)^Max open files +{allowed} +{allowed} ", manager.process("limits"))


def test_a_reload_keeps_the_service_and_takes_the_new_configuration(manager):
    ask(manager)
    manager.wait_for("ActiveState", "active")
    before = manager.show("MainPID")
    manager.write("aura.yml", "aura:\n  providers:\n    added: {type: demo, models: {eco: [after-the-reload]}}\n")
    manager.control("reload", "aura.service")
    deadline = time.monotonic() + 60
    while "added/after-the-reload" not in models(manager):
        assert time.monotonic() < deadline, manager.log()[-2000:]

    assert manager.show("MainPID") == before


def models(manager: Manager) -> list[str]:
    answer = requests.get(f"{manager.url}/v1/models", headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
    return [model["id"] for model in answer.json()["data"]]


def test_a_restart_refuses_no_client(manager):
    """The address stays with systemd: whoever calls meanwhile waits."""
    ask(manager)
    manager.wait_for("ActiveState", "active")
    before = manager.show("MainPID")
    restart = subprocess.Popen(manager.inside("systemctl", "restart", "aura.service"), env=manager.environ)
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
    manager.write("clients", "no key at all\n")
    manager.control("restart", "aura.service")
    manager.wait_for("ActiveState", "failed")
    manager.write("clients", f"tester:{KEY}\n")

    assert manager.show("ExecMainStatus") == "78"
