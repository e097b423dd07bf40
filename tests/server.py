"""A real gunicorn, started for a test: ``with gateway("aura: ...") as server: requests.get(server.url + ...)``."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPLICATION = "aura.app:create_app()"
CONF = "python:aura.gunicorn_conf"
# Nothing of the tester's own environment may decide a test: no keys, no proxies, no AURA_ variables.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV")
_POLL_SECONDS = 0.01


class Server:
    """A running gunicorn; ``pid`` is its master's."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.pid = process.pid
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        """Everything it has written, gunicorn's lines and Aura's."""
        return (self.folder / "log").read_text(errors="replace")

    def workers(self) -> list[int]:
        """The pids of its workers, oldest first."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def signal(self, number: int) -> None:
        """Send a signal to the master."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 20) -> int:
        """Wait for its end; returns the exit status."""
        return self.process.wait(seconds)

    def wait_for(self, pattern: str, seconds: float = 45) -> re.Match[str]:
        """Wait until the log matches."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.log())
            if found:
                return found
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no {pattern!r} in the log:\n{self.log()}")
            time.sleep(_POLL_SECONDS)

    def wait_until_ready(self) -> None:
        """Wait until a worker answers."""
        self.port = int(self.wait_for(r"Listening at: http://[^\s]*:(\d+)")[1])
        self.wait_for(r"Booting worker")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/actuator/health")
            connection.getresponse().read()
        except OSError as error:
            raise AssertionError(f"no worker answers: {error!r}\n{self.log()}") from error
        finally:
            connection.close()


@contextmanager
def gateway(
    config: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    workers: int = 1,
    args: Sequence[str] = (),
    *,
    app: str = APPLICATION,
    conf: str = CONF,
    wait: bool = True,
    pass_fds: Sequence[int] = (),
) -> Iterator[Server]:
    """Start gunicorn on a free port of 127.0.0.1, and kill all of it at the end.

    Args:
        config: YAML text, or the path of a file; None: no configuration file, the built-in defaults.
        env: added to an otherwise empty environment.
        args: further arguments for gunicorn; they go last, so ``-b`` and ``-w`` can be given again.
        app: what is served.
        conf: gunicorn's configuration.
        wait: until the first worker answers; False for servers that are to fail.
        pass_fds: descriptors that gunicorn inherits.
    """
    with tempfile.TemporaryDirectory(prefix="aura-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        environ = {key: os.environ[key] for key in _KEPT if key in os.environ}
        environ |= {"TMPDIR": name, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        if config is not None:
            path = folder / "aura.yml"
            path.write_text(config if isinstance(config, str) else config.read_text())
            environ["AURA_CONFIG"] = str(path)
        environ |= env or {}
        told = ["--log-level", "info"] if wait else []  # whatever the configuration says: the log has the address
        command = [sys.executable, "-m", "gunicorn", "-c", conf, "-b", "127.0.0.1:0", "-w", str(workers), *told, *args]
        command.append(app)
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        server = Server(process, folder)
        try:
            if wait:
                server.wait_until_ready()
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
