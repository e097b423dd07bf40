"""Client keys: where they come from, what they may do, and how they are changed while the gateway serves."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import requests

from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("keys")

BODY = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}


def ask(server: Server, key: str, scheme: str = "Bearer") -> requests.Response:
    headers = {"Authorization": f"{scheme} {key}"}
    return requests.post(f"{server.url}/v1/chat/completions", json=BODY, headers=headers, timeout=20)


def admin(server: Server, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.delete(f"{server.url}/v1/cache", headers=headers, timeout=20).status_code


def tenants(server: Server) -> set[str | None]:
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    return {line["tenant"] for line in lines if line["event"] == "request.done" and line["status"] == 200}


def test_keys_of_the_file_and_of_a_file_of_keys_are_let_in_under_their_names(tmp_path):
    (tmp_path / "keys").write_text(
        "# clients\nbob:key-of-bob-1\nops:key-of-ops-1 admin\neve:key-of-eve-1 concurrent=1\n"
    )
    config = f"aura: {{auth: {{keys: [{{name: ada, key: key-of-ada-1}}], keys-file: {tmp_path / 'keys'}}}}}\n"
    with gateway(config) as server:
        told = {name: ask(server, f"key-of-{name}-1").status_code for name in ("ada", "bob", "ops", "eve")}
        wrong = [ask(server, key).status_code for key in ("", "key-of-ada", "key-of-ada-11", "KEY-OF-ADA-1")]
        basic = ask(server, "key-of-ada-1", "Basic").status_code
        may = {name: admin(server, f"key-of-{name}-1") for name in ("ada", "bob", "ops")}

        assert told == dict.fromkeys(("ada", "bob", "ops", "eve"), 200)
        assert [*wrong, basic] == [401] * 5
        assert may == {"ada": 403, "bob": 403, "ops": 200}
        assert {"ada", "bob", "ops", "eve"} <= tenants(server)
        assert "key-of-" not in server.log()


def test_keys_of_the_environment_are_let_in():
    keys = "ada:key-of-ada-1,ops:key-of-ops-1 admin,eve:key-of-eve-1 requests-per-minute=1"
    with gateway("aura: {auth: {keys: [{name: file, key: key-of-file-1}]}}\n", {"AURA_AUTH_KEYS": keys}) as server:
        told = [ask(server, f"key-of-{name}-1").status_code for name in ("ada", "ops", "eve", "eve", "file")]

        assert told == [200, 200, 200, 429, 401]
        assert (admin(server, "key-of-ada-1"), admin(server, "key-of-ops-1")) == (403, 200)


@pytest.mark.parametrize("where", ["configuration", "file of keys"])
def test_a_key_is_rotated_without_a_call_lost(where, tmp_path):
    """First the new key beside the old one, under a name of its own; then the old one goes."""
    listed = tmp_path / "keys"

    def say(server: Server | None, **keys: str) -> str:
        listed.write_text("".join(f"{name}:{key}\n" for name, key in keys.items()))
        entries = ", ".join(f"{{name: {name}, key: {key}}}" for name, key in keys.items())
        inner = f"keys: [{entries}]" if where == "configuration" else f"keys-file: {listed}"
        text = f"aura: {{auth: {{{inner}}}}}\n"
        if server is not None:
            (server.folder / "aura.yml").write_text(text)
            server.signal(signal.SIGHUP)
        return text

    def asked_until(server: Server, key: str, status: int, always: str) -> list[int]:
        """Ask with a key until it gets a status, and meanwhile with one that holds all the time."""
        seen = [ask(server, always).status_code]
        while not all(ask(server, key).status_code == status for _ in range(4)):
            assert len(seen) < 2000
            seen.append(ask(server, always).status_code)
        return seen

    with gateway(say(None, ada="old-key-0001"), workers=2) as server:
        say(server, ada="old-key-0001", ada2="new-key-0002")
        seen = asked_until(server, "new-key-0002", 200, "old-key-0001")
        say(server, ada2="new-key-0002")
        seen += asked_until(server, "old-key-0001", 401, "new-key-0002")

        assert set(seen) == {200}


def test_a_file_of_keys_that_is_wrong_at_a_reload_leaves_the_keys_as_they_are(tmp_path):
    listed: Path = tmp_path / "keys"
    listed.write_text("ada:key-of-ada-1\n")
    with gateway(f"aura: {{auth: {{keys-file: {listed}}}}}\n") as server:
        listed.write_text("ada:key of ada\n")
        server.signal(signal.SIGHUP)
        told = server.wait_for(r"Not reloaded: [^\n]*")[0]

        assert "line 1" in told
        assert "key of ada" not in told
        assert ask(server, "key-of-ada-1").status_code == 200
