"""Who may call, and how many workers and connections there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura.configuration import ConfigurationError, connection_count, load, may_serve, worker_count

from .loading import loaded


@pytest.mark.parametrize(
    ("text", "env", "expected"),
    [
        ("aura: {auth: {keys: [{name: ada, key: key-of-ada, admin: true}]}}", {}, [("ada", "key-of-ada", True)]),
        (
            "",
            {"AURA_AUTH_KEYS": "ada:key-of-ada,bob:key:of:bob"},
            [("ada", "key-of-ada", False), ("bob", "key:of:bob", False)],
        ),
        ("", {"AURA_AUTH_KEYS": "ops:key-of-ops admin"}, [("ops", "key-of-ops", True)]),
        ("", {"AURA_AUTH_KEYS": '[{"name": "ada", "key": "key-of-ada"}]'}, [("ada", "key-of-ada", False)]),
        ("", {"AURA_AUTH_KEYS_FILE": "keys"}, [("eve", "key-of-eve", False), ("ops", "key-of-ops", True)]),
        (
            "aura: {auth: {keys: [{name: ada, key: key-of-ada}], keys-file: keys}}",
            {},
            [("ada", "key-of-ada", False), ("eve", "key-of-eve", False), ("ops", "key-of-ops", True)],
        ),
    ],
)
def test_client_keys_come_from_the_file_the_environment_and_a_file_of_keys(text, env, expected):
    Path("keys").write_text("# who may call\neve:key-of-eve\n\nops:key-of-ops admin\n")

    assert expected == [(key.name, key.key.reveal(), key.admin) for key in loaded(text, env).auth.keys]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("eve:key-of-eve requests-per-minute=60 tokens-per-minute=0", (60, 0, None, None, False)),
        ("eve:key-of-eve admin concurrent=3", (None, None, 3, None, True)),
        ("eve:key-of-eve  cache-ttl=1m", (None, None, None, 60.0, False)),
    ],
)
@pytest.mark.parametrize("place", ["file", "environment"])
def test_a_keys_settings_stand_behind_it(place, line, expected):
    Path("keys").write_text(f"{line}\n")
    env = {"AURA_AUTH_KEYS_FILE": "keys"} if place == "file" else {"AURA_AUTH_KEYS": line}
    (key,) = load(None, env).auth.keys

    assert (key.name, key.key.reveal()) == ("eve", "key-of-eve")
    assert expected == (key.requests_per_minute, key.tokens_per_minute, key.concurrent, key.cache_ttl, key.admin)


@pytest.mark.parametrize(
    "line",
    [
        "eve:pass word",
        "eve:pass word=x",
        "eve:pass key=word",
        "eve: pass",
        "eve:pass requests-per-minute",
        "eve:pass admin admin",
        "eve:pass concurrent=word",
        "eve:pass concurrent=-1",
        "eve",
    ],
)
def test_a_line_that_is_no_key_is_named_without_what_stands_in_it(line):
    Path("keys").write_text(f"ada:key-of-ada\n{line}\n")
    with pytest.raises(ConfigurationError) as wrong:
        load(None, {"AURA_AUTH_KEYS_FILE": "keys"})

    ((where, told),) = wrong.value.problems
    assert where == "keys, line 2"
    assert not any(part in told for part in ("word", "pass"))


@pytest.mark.parametrize(
    ("env", "serves"),
    [
        ({}, True),
        ({"AURA_SERVER_HOST": "localhost"}, True),
        ({"AURA_SERVER_HOST": "127.9.9.9"}, True),
        ({"AURA_SERVER_HOST": "::1"}, True),
        ({"AURA_SERVER_HOST": "::ffff:127.0.0.1"}, True),
        ({"AURA_SERVER_HOST": "0.0.0.0"}, False),
        ({"AURA_SERVER_HOST": "::"}, False),
        ({"AURA_SERVER_HOST": "192.168.1.5"}, False),
        ({"AURA_SERVER_HOST": "gateway.example"}, False),
        ({"AURA_SERVER_HOST": "0.0.0.0", "AURA_AUTH_KEYS": "ada:key-of-ada"}, True),
        ({"AURA_SERVER_HOST": "0.0.0.0", "AURA_ALLOW_ANONYMOUS": "true"}, True),
        ({"AURA_SERVER_HOST": "0.0.0.0", "AURA_ALLOW_ANONYMOUS": "false"}, False),
    ],
)
def test_strangers_are_served_on_loopback_only(env, serves):
    problem = may_serve(load(None, env))

    assert serves == (problem is None)
    assert serves or ("AURA_AUTH_KEYS" in problem and "\n" not in problem)


def test_workers_and_connections_follow_the_machine_unless_they_are_set():
    plain = load(None, {})
    fixed = load(None, {"AURA_SERVER_WORKER_CONNECTIONS": "77"}, {"workers": 3})

    assert (
        worker_count(plain, 8),
        connection_count(plain, 65_536),
        connection_count(fixed, 65_536),
        worker_count(fixed, 8),
    ) == (8, 32_668, 77, 3)
    assert worker_count(plain) >= 1
    assert connection_count(plain) >= 1
    assert connection_count(plain, 100) == 1
