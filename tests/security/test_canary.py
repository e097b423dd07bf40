"""Canaries: keys that must never be seen, and an address that must never be asked, whatever comes from either side."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

from tests.calls import chat
from tests.faulty import Faulty, closed_port
from tests.server import ROOT, Server, gateway

from . import hostile, hostile_bytes
from .hostile import CHAT, Request, encoded
from .mutations import SEEDS, mutated
from .test_hostile import exchanged
from .watched import Watched, malformed

# Beginnings and ends are unlike everything else, and eight characters long.
SECRETS = {
    "the client's": "Zk4vQx8w-client-canary-p9TfWm3y",
    "the other client's": "Hq2LdB7n-second-canary-c5RjVs6e",
    "the provider's": "Jx6tNc3k-provider-canary-w8YgPz4b",
    "the header's": "Mb9sRk5f-header-canary-u2XhQd7v",
    "Anthropic's": "Wd3gTn8c-anthropic-canary-k6BqFz9r",
    "Azure's": "Ty7jCv4m-azure-canary-s3NwGx5h",
    "the application's": "Fp5bZq9t-entra-canary-x7KmLc2d",
    "Redis'": "Rn8wGd2x-redis-canary-b4VtHj6q",
}
ENDS = sorted({part.encode() for secret in SECRETS.values() for part in (secret, secret[:8], secret[-8:])})
PROVIDER_FAULTS = [
    "silence", "hangup", "half-head", "garbage", "long-header", "many-headers", "redirect", "html", "truncated",
    "shape", "bomb", "cut:after:2", "broken", "event",
    *(f"status:code:{code}:message:echo" for code in (400, 401, 403, 404, 429, 500, 503)),
]  # fmt: skip


def config(url: str, redis_port: int) -> str:
    s = SECRETS
    return f"""
aura:
  server: {{max-body: {hostile.MAX_BODY}, keep-alive: 1s}}
  router: {{total-timeout: 2s, long-timeout: 1s}}
  cache: {{type: redis, redis-url: "redis://:{s["Redis'"]}@127.0.0.1:{redis_port}/0"}}
  auth:
    keys: [{{name: tester, key: {s["the client's"]}, admin: true}}, {{name: other, key: {s["the other client's"]}}}]
  providers:
    only:
      type: openai
      base-url: "{url}/v1"
      api-key: {s["the provider's"]}
      headers: {{x-extra-key: {s["the header's"]}}}
      timeout: 1s
      models: {{eco: [gpt-4o-mini]}}
      extra-models: "*"
    anthropic: {{base-url: "{url}", api-key: {s["Anthropic's"]}, timeout: 1s}}
    azure: {{endpoint: "{url}", api-key: {s["Azure's"]}, deployment-name: d, timeout: 1s}}
    entra: {{type: azure, endpoint: "{url}", tenant-id: t, client-id: c, client-secret: {s["the application's"]},
      authority: "{url}", deployment-name: d, timeout: 1s, models: {{eco: []}}, extra-models: "*"}}
"""


def seen(*texts: bytes) -> list[bytes]:
    """The canaries, or ends of them, that stand in texts."""
    whole = b"\n".join(texts)
    return [part for part in ENDS if part in whole]


def shown_by_the_system(server: Server) -> bytes:
    """What everyone on the host can see of the processes: command line and title."""
    found = b""
    for pid in (server.pid, *server.workers()):
        found += Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/comm").read_bytes()
    return found


@pytest.fixture(scope="module")
def watch() -> Iterator[Watched]:
    with Faulty() as behind, gateway(config(behind.url, closed_port())) as server:
        yield Watched(server, behind, SECRETS["the client's"])


def test_the_search_finds_a_canary_and_its_ends():
    assert seen(b"key: ...w8YgPz4b") == [b"w8YgPz4b"]
    assert len(seen(SECRETS["Redis'"].encode())) == 3
    assert len(ENDS) == 3 * len(SECRETS)


@pytest.mark.timeout(300)
def test_nothing_that_is_emitted_holds_a_key_or_its_ends(watch):
    """Hostile requests, mutated ones, every provider's faults, with and without a key, to start, reload and stop."""
    for cases in hostile.GROUPS.values():
        for case in cases[:: 3 if len(cases) > 60 else 1]:
            watch.send(case.request)
    for cases in hostile_bytes.GROUPS.values():
        for case in (case for case in cases if case.status >= 400):
            exchanged(watch, case)
    for request in mutated(7, 200):
        watch.send(request)
    emitted = [*watch.emitted, *faults(watch), *every_page(watch)]
    watch.server.signal(signal.SIGHUP)
    watch.server.wait_for("Hang up")
    emitted += [shown_by_the_system(watch.server), watch.metrics().encode()]
    watch.server.signal(signal.SIGTERM)
    watch.server.wait()

    assert seen(*emitted, watch.server.log().encode()) == []
    assert malformed(watch.lines()) == []
    assert len(emitted) > 800
    sent = {
        asked.headers.get(name) for asked in watch.provider.asked for name in ("authorization", "x-api-key", "api-key")
    }
    assert {"Bearer " + SECRETS["the provider's"], SECRETS["Anthropic's"], SECRETS["Azure's"]} <= sent
    assert watch.provider.asked[0].headers["x-extra-key"] == SECRETS["the header's"]


def faults(watch: Watched) -> Iterator[bytes]:
    """Answers of providers that fail and tell the keys they were sent, streamed and whole."""
    told = " ".join(SECRETS.values())
    headers = {"Authorization": f"Bearer {watch.key}"}
    models = ("only/m", "anthropic/claude-3-haiku-20240307", "azure/d", "entra/d")
    for fault in PROVIDER_FAULTS:
        watch.provider.always = fault
        asking = [
            gevent.spawn(chat, watch.server.port, model, f"nonce {told}", stream=stream, headers=headers, limit=20)
            for model in models
            for stream in (False, True)
        ]
        for outcome in (one.get() for one in gevent.joinall(asking, raise_error=True)):
            # What a model says may repeat its prompt: of an answer, the errors alone are looked at.
            yield f"{outcome.headers} {outcome.errors if outcome.status else ''}".encode()
    watch.provider.always = ""


def every_page(watch: Watched) -> Iterator[bytes]:
    """What the other doors say."""
    for path in ("/actuator/health", "/actuator/health/readiness", "/actuator/prometheus", "/v1/models", "/v1/cache"):
        for method in ("GET", "DELETE", "POST"):
            for key in (watch.key, "wrong"):
                answer = requests.request(
                    method, watch.server.url + path, headers={"Authorization": f"Bearer {key}"}, timeout=20
                )
                yield answer.content + str(answer.headers).encode()
    route = encoded({"model": "auto", "messages": [{"role": "user", "content": "hi"}]})
    yield watch.send(Request(route, path="/v1/route")).shown


@pytest.mark.parametrize("command", ["check", "models", "explain"])
def test_no_command_prints_a_key(command, tmp_path):
    (tmp_path / "aura.yml").write_text(config("http://127.0.0.1:9", 1))
    ran = subprocess.run(
        [sys.executable, "-m", "aura", command, *(["hi"] if command == "explain" else [])],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AURA_CONFIG": str(tmp_path / "aura.yml")},
        capture_output=True,
        check=False,
    )

    assert seen(ran.stdout, ran.stderr) == []
    assert b"only" in ran.stdout + ran.stderr


# ---- the address


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all texts of a tree."""
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, value in steps:
        if isinstance(value, str):
            yield (*path, step)
        yield from places(value, (*path, step))


def with_address(address: str) -> Iterator[dict[str, Any]]:
    """Good chats with an address in the place of each text in turn, and under every name that might be followed."""
    for seed in SEEDS:
        good = {"model": "only/gpt-4o-mini", **seed}
        for *way, last in places(good):
            tree = copy.deepcopy(good)
            holder = tree
            for step in way:
                holder = holder[step]
            holder[last] = address
            yield tree
    names = (
        "api_base", "base_url", "azure_endpoint", "endpoint", "url", "webhook", "callback_url", "proxy", "proxies",
        "image", "image_url", "file_url", "schema", "$schema", "$ref", "metadata", "user", "provider", "extra_headers",
    )  # fmt: skip
    for name in names:
        for value in (address, {"url": address}, [address]):
            yield {"model": "only/gpt-4o-mini", **SEEDS[0], name: value}


def test_an_address_in_a_request_is_never_asked():
    with Faulty() as behind, gateway(config(behind.url, closed_port())) as server:
        watch = Watched(server, behind, SECRETS["the client's"])
        address = behind.canary
        host = address.removeprefix("http://").partition("/")[0]
        for tree in with_address(address):
            for target in ("only/gpt-4o-mini", "anthropic/claude-3-haiku-20240307"):
                model = tree["model"] if tree["model"] == address else target
                watch.send(Request(encoded({**tree, "model": model})))
        for name in (
            "Host",
            "X-Forwarded-Host",
            "Referer",
            "Origin",
            "X-Portkey-Custom-Host",
            "Helicone-Target-Url",
            "Via",
        ):
            watch.send(Request(hostile.GOOD, {name: host if name == "Host" else address}))
        for path in (f"{CHAT}?api_base={address}", f"{CHAT}?url={address}", f"/v1/models/{address}", f"/{address}"):
            watch.send(Request(hostile.GOOD, path=path))
        behind.always = "redirect"
        watch.send(Request(hostile.GOOD))
        passed = [asked.body for asked in behind.asked if b"image_url" in asked.body and address.encode() in asked.body]

        assert behind.canary_connections == 0
        assert len(watch.emitted) > 200
        assert passed  # given to the provider, as it was written


def test_the_canary_would_notice():
    with Faulty() as behind:
        requests_made = 0
        try:
            requests.get(behind.canary, timeout=5)
        except requests.RequestException:
            requests_made += 1

        assert (behind.canary_connections, requests_made) == (1, 1)
