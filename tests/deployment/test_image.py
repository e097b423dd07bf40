"""The image without Docker: its steps are replayed in a virtual environment, then it runs as a container would."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement

from tests.server import ROOT

from .programs import on_free_port

pytestmark = [pytest.mark.xdist_group("image"), pytest.mark.timeout(600)]

LOCK = (ROOT / "requirements.lock").read_text()
WITHOUT_INDEX = "the index of Python packages cannot be reached"


def steps() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with what they are given."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in text.splitlines() if line]


def given(name: str) -> str:
    """What the last of these instructions says, the image's own."""
    return next(said for instruction, said in reversed(steps()) if instruction == name)


def pinned() -> dict[str, list[str]]:
    """The versions of the lock; there may be several, for different versions of Python."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"(?m)^([a-z0-9.-]+)==([^ ;\\]+)", LOCK):
        versions.setdefault(name, []).append(version)
    return versions


# ---- the lock


def test_the_lock_has_every_dependency_in_a_version_that_fits():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = [Requirement(line) for line in setup["options"]["install_requires"].split("\n") if line]

    assert wanted
    for requirement in wanted:
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert all(requirement.specifier.contains(version) for version in pinned()[name]), requirement


def test_every_entry_of_the_lock_has_its_hashes():
    entries = re.split(r"(?m)^(?=[a-z0-9.-]+==)", LOCK)[1:]

    assert len(entries) == sum(map(len, pinned().values()))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_the_documentation_has_the_command_that_made_the_lock():
    command = re.search(r"uv pip compile .*", LOCK)[0]

    assert command in (ROOT / "docs" / "deployment.md").read_text()


def test_the_lock_names_no_index():
    assert "://" not in LOCK


# ---- what the Dockerfile says


def test_the_image_does_not_run_as_root():
    user = given("USER")

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "Kubernetes can tell from numbers alone that it is not root"


def test_the_builder_gets_only_what_it_copies():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for name, said in steps()
        if name == "COPY" and "--from" not in said
        for source in said.split()[:-1]
    }

    assert "*" in ignored
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


# ---- the image


@dataclass
class Image:
    """What the steps made: a folder that stands for the file system, and the environment of the last stage."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def path(self, text: str) -> str:
        """A text with the image's paths, in the folder."""
        return re.sub(r"(?<![\w.])/(opt/aura|src)\b", rf"{self.folder}/\1", text)

    def build(self) -> None:
        where = self.folder
        for name, said in steps():
            if name == "FROM":
                self.environ = {}
            elif name == "WORKDIR":
                where = Path(self.path(said))
                where.mkdir(parents=True, exist_ok=True)
            elif name == "ENV":
                self.environ |= dict(one.split("=", 1) for one in shlex.split(self.path(said)))
            elif name == "COPY" and "--from" not in said:
                *sources, target = said.split()
                for source in sources:
                    copy(ROOT / source, where / target)
            elif name == "RUN":
                self.run(self.path(said), where)

    def run(self, command: str, where: Path) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["sh", "-ec", command],
            cwd=where,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        said = ran.stdout + ran.stderr
        if ran.returncode and re.search("Max retries|NewConnectionError|Temporary failure in name resolution", said):
            pytest.skip(WITHOUT_INDEX)
        assert ran.returncode == 0, f"{command}\n{said}"

    def files(self) -> dict[str, int]:
        """Every file with its time of change."""
        found = (self.folder / "opt").rglob("*")
        return {str(path): path.lstat().st_mtime_ns for path in found}


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Image:
    made = Image(tmp_path_factory.mktemp("image"))
    made.build()
    return made


@dataclass
class Container:
    """A running image; its port, and what a command in it would see."""

    image: Image
    port: int
    environ: dict[str, str]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def healthcheck(self) -> int:
        """The status that Docker would get of the health check."""
        options, _, command = given("HEALTHCHECK").partition("CMD ")
        assert "--interval" in options
        return subprocess.run(
            inside(self.environ, command), env=self.environ, capture_output=True, check=False
        ).returncode


def inside(environ: dict[str, str], command: str) -> list[str]:
    """A command in JSON's form, looked up as the container would."""
    program, *arguments = json.loads(command)
    return [shutil.which(program, path=environ["PATH"]) or program, *arguments]


@pytest.fixture(scope="module")
def container(image, tmp_path_factory) -> Iterator[Container]:
    """``docker run`` without any variable: the demo answers."""
    tmp = tmp_path_factory.mktemp("tmp")
    environ = image.environ | {"TMPDIR": str(tmp)}
    environ["PATH"] = environ["PATH"].replace("$PATH", "/usr/bin:/bin")

    def command(port: int) -> list[str]:
        environ["AURA_SERVER_PORT"] = str(port)
        settings = [f"{name}={value}" for name, value in environ.items()]
        return ["env", "-i", "-C", str(tmp), *settings, *inside(environ, given("CMD"))]

    with on_free_port(command, tmp / "log") as port:
        yield Container(image, port, environ, tmp / "log")


def test_the_image_holds_the_versions_of_the_lock_and_no_installer(image):
    site = next((image.folder / "opt/aura/lib").glob("python*/site-packages"))
    there = dict(re.fullmatch(r"(.+)-([^-]+)\.dist-info", path.name).groups() for path in site.glob("*.dist-info"))
    there = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in there.items()}
    aura = there.pop("aura-gateway")

    assert aura
    assert {name: version for name, version in there.items() if version not in pinned().get(name, [])} == {}
    assert not {"pip", "setuptools"} & there.keys()


def test_a_container_answers_on_all_addresses_and_warns_until_keys_are_set(container):
    answer = requests.get(f"{container.url}/actuator/health", timeout=20)
    log = container.log.read_text()

    assert answer.json()["status"] == "UP"
    assert f"0.0.0.0:{container.port}" in log
    assert "No client keys are configured: everyone who reaches the address may call." in log


def test_the_health_check_tells_whether_the_container_answers(container):
    elsewhere = Container(container.image, 1, container.environ | {"AURA_SERVER_PORT": "1"}, container.log)

    assert container.healthcheck() == 0
    assert elsewhere.healthcheck() != 0


def test_a_container_writes_nowhere_but_in_its_temporary_folder(container, image):
    """So that its root may be read-only."""
    before = image.files()
    body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
    answer = requests.post(f"{container.url}/v1/chat/completions", json=body, timeout=60)

    assert answer.headers["x-aura-provider"] == "demo"
    assert container.healthcheck() == 0
    assert image.files() == before
    assert any(path.name.startswith("aura-metrics-") for path in container.log.parent.iterdir())


def test_the_same_command_stops_in_good_order(image, tmp_path):
    """As the first process of a container it gets SIGTERM from Docker."""
    environ = image.environ | {"TMPDIR": str(tmp_path), "AURA_SERVER_PORT": "0"}
    environ["PATH"] = environ["PATH"].replace("$PATH", "/usr/bin:/bin")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(inside(environ, given("CMD")), env=environ, cwd=tmp_path, stdout=log, stderr=log)
    while "Booting worker" not in (tmp_path / "log").read_text():
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 0
