"""The fake provider and the load generator: C where there is a compiler, else Python; both say the same."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .machine import cores, ended, started

HERE = Path(__file__).resolve().parent


class Tools:
    """The tools, and the core that they run on: the last, if there is more than one.

    Args:
        folder: for programs and requests.
        native: use C.
    """

    def __init__(self, folder: Path, native: bool) -> None:
        self.folder = folder
        self.core = cores()[-1:]
        self.native = native and self._compile()

    def _compile(self) -> bool:
        compiler = shutil.which("cc")
        if compiler is None:
            return False
        for name in ("provider", "load"):
            source, target = HERE / "native" / f"{name}.c", self.folder / name
            subprocess.run([compiler, "-O2", "-o", str(target), str(source)], check=True)
        return True

    @contextmanager
    def provider(self, python: bool = False, certificate: str = "") -> Iterator[Provider]:
        """A fake provider; with a certificate it speaks TLS, which the one in Python can."""
        plain = [sys.executable, "-m", "bench.plain_provider", "0", *([certificate] if certificate else [])]
        command = [str(self.folder / "provider"), "0"] if self.native and not python else plain
        process = started(command, self.core, cwd=HERE.parent, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            yield Provider(int(process.stdout.readline()), bool(certificate))
        finally:
            ended(process)

    def load(self, request: bytes, **words: object) -> dict[str, Any]:
        """Send a request as the words say (see ``native/load.c``)."""
        file = self.folder / "request"
        file.write_bytes(request)
        program = [str(self.folder / "load")] if self.native else [sys.executable, "-m", "bench.plain_load"]
        said = [f"{name}={value}" for name, value in {**words, "file": file}.items()]
        process = started([*program, *said], self.core, cwd=HERE.parent, stdout=subprocess.PIPE)
        answer: dict[str, Any] = json.loads(process.communicate()[0])
        return answer


class Provider:
    """A running fake provider."""

    def __init__(self, port: int, tls: bool) -> None:
        self.port = port
        self._scheme = "https" if tls else "http"

    def behave(self, **words: int) -> dict[str, int]:
        """Say how answers come from now on; returns what came since this was last said."""
        said = "&".join(f"{name}={value}" for name, value in words.items())
        trusting = ssl._create_unverified_context()
        url = f"{self._scheme}://127.0.0.1:{self.port}/behave?{said}"
        with urllib.request.urlopen(url, context=trusting) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def tools(native: bool = True) -> Iterator[Tools]:
    """The tools, in a folder that is removed."""
    folder = Path(tempfile.mkdtemp(prefix="aura-bench-", dir=os.environ.get("TMPDIR")))
    try:
        yield Tools(folder, native)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
