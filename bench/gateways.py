"""How the gateways are started that a run measures: Aura, and those that it is compared with.

Each peer is installed from its own registry into an environment of its own below ``--peers`` (kept for the next run),
and started as its own documentation says, with one worker, without what would only slow it down: no database, no log
of each request. nginx, the yardstick, is the machine's own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .machine import cores, ended, started
from .phases import KEY

ROOT = Path(__file__).resolve().parent.parent
_BOOT_SECONDS = 120.0
_LAUNCH = "import certifi; certifi.where = lambda: {bundle!r}; from aura.__main__ import main; raise SystemExit(main())"


@dataclass(frozen=True)
class Command:
    """What starts a gateway, and how it is asked."""

    words: list[str]
    headers: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    path: str = "/v1/chat/completions"


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs."""

    pid: int
    port: int
    command: Command
    start_seconds: float


Starter = Callable[[Path, int, int, int], Command]
"""Where its files may go, its own port, the provider's, workers."""


def aura(folder: Path, port: int, provider: int, workers: int) -> Command:
    """Aura with all that it has switched on by itself, and a client key."""
    return _aura(folder, port, f"http://127.0.0.1:{provider}", workers, ["-m", "aura"])


def aura_tls(bundle: str) -> Starter:
    """Aura whose provider speaks TLS, with a certificate that only the given bundle vouches for."""

    def command(folder: Path, port: int, provider: int, workers: int) -> Command:
        words = ["-c", _LAUNCH.format(bundle=bundle)]
        return _aura(folder, port, f"https://localhost:{provider}", workers, words)

    return command


def _aura(folder: Path, port: int, url: str, workers: int, words: list[str]) -> Command:
    file = folder / "aura.json"  # JSON is YAML
    providers = {name: {"base-url": f"{url}/v1", "api-key": "sk-provider"} for name in ("openai", "anthropic")}
    keys = {"keys": [{"name": "bench", "key": KEY}]}
    file.write_text(json.dumps({"aura": {"providers": providers, "auth": keys}}))
    serve = ["serve", "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    return Command([sys.executable, *words, *serve], {"Authorization": f"Bearer {KEY}"}, {"AURA_CONFIG": str(file)})


def litellm(folder: Path) -> tuple[Starter, str]:
    """Install LiteLLM's proxy; returns how it is started, and its version."""
    python = folder / "litellm" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / "litellm")], check=True)
    with_pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "litellm[proxy]"]
    if subprocess.run([str(python), "-c", "import litellm.proxy"], check=False, capture_output=True).returncode:
        subprocess.run(with_pip, check=True)
    told = "import importlib.metadata as m; print(m.version('litellm'))"
    version = subprocess.run([str(python), "-c", told], check=True, capture_output=True, text=True).stdout.strip()

    def command(own: Path, port: int, provider: int, workers: int) -> Command:
        file = own / "litellm.json"
        known = {
            "gpt-4o-mini": "openai/gpt-4o-mini",
            "anthropic/claude-3-haiku-20240307": "anthropic/claude-3-haiku-20240307",
        }
        bases = {"openai": f"http://127.0.0.1:{provider}/v1", "anthropic": f"http://127.0.0.1:{provider}"}
        models = [
            {
                "model_name": name,
                "litellm_params": {"model": model, "api_key": "sk-provider", "api_base": bases[model.split("/")[0]]},
            }
            for name, model in known.items()
        ]
        file.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": KEY}}))
        listen = ["--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", str(workers)]
        program = str(python.with_name("litellm"))
        quiet = {"LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        return Command([program, *listen], {"Authorization": f"Bearer {KEY}"}, quiet)

    return command, version


def portkey(folder: Path) -> tuple[Starter, str]:
    """Install Portkey's gateway; returns how it is started, and its version."""
    place = folder / "portkey"
    package = place / "node_modules" / "@portkey-ai" / "gateway"
    if not package.exists():
        place.mkdir(parents=True, exist_ok=True)
        words = ["install", "--no-audit", "--no-fund", "--silent", "--prefix", str(place), "@portkey-ai/gateway"]
        subprocess.run(["npm", *words], check=True)
    version = json.loads((package / "package.json").read_text())["version"]

    def command(_: Path, port: int, provider: int, workers: int) -> Command:  # noqa: ARG001  (it has no workers)
        asked = {
            "provider": "openai",
            "custom_host": f"http://127.0.0.1:{provider}/v1",
            "api_key": "sk-provider",
            "strict_open_ai_compliance": False,
        }
        headers = {"x-portkey-config": json.dumps(asked)}
        words = ["node", str(package / "build" / "start-server.js"), f"--port={port}", "--headless"]
        return Command(words, headers, {"NODE_ENV": "production"})

    return command, version


_NGINX = """\
daemon off; worker_processes {workers}; pid {own}/nginx.pid; error_log {own}/nginx.log;
events {{ worker_connections 20000; }}
http {{
  access_log off; keepalive_requests 1000000000;
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port}; proxy_buffering off; proxy_http_version 1.1; proxy_set_header Connection "";
    location / {{ proxy_pass http://provider; }}
  }}
}}
"""


def nginx(_: Path) -> tuple[Starter, str]:
    """nginx as a plain proxy, which does none of a gateway's work: by what it takes, machines can be compared."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        raise SystemExit("nginx is not installed (Debian: nginx-light)")
    told = subprocess.run([program, "-v"], check=True, capture_output=True, text=True).stderr

    def command(own: Path, port: int, provider: int, workers: int) -> Command:
        file = own / "nginx.conf"
        file.write_text(_NGINX.format(own=own, port=port, provider=provider, workers=workers))
        return Command([program, "-c", str(file), "-e", str(own / "nginx.log")], {})

    return command, told.strip().rpartition("/")[2]


PEERS = {"litellm": litellm, "portkey": portkey, "nginx": nginx}


@contextmanager
def running(starter: Starter, folder: Path, provider: int, workers: int = 1) -> Iterator[Gateway]:
    """A gateway on the first cores, one for each worker; it is ended afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = starter(folder, port, provider, workers)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AURA_")}
    with (folder / "log").open("wb") as log:
        began = time.monotonic()
        process = started(
            command.words, cores()[:workers], cwd=ROOT, stdout=log, stderr=log, env={**kept, **command.environment}
        )
        try:
            _wait(process, command, port)
            yield Gateway(process.pid, port, command, time.monotonic() - began)
        except TimeoutError:
            raise SystemExit(f"no answer:\n{(folder / 'log').read_text(errors='replace')[-3000:]}") from None
        finally:
            ended(process)
            shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], command: Command, port: int) -> None:
    """Ask until there is an answer."""
    body = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'
    headers = {"Content-Type": "application/json", **command.headers}
    until = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError):
            asked = urllib.request.Request(f"http://127.0.0.1:{port}{command.path}", body, headers)
            with urllib.request.urlopen(asked) as answer:
                answer.read()
            return
        time.sleep(0.01)
    raise TimeoutError
