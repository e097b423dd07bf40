"""Who gets in where: every rule of the URL map, by the real worker; and that junk leaves no trace in the metrics."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import gevent
import pytest
import requests
from flask import Flask

from aura.api import actuator
from aura.app import create_app
from aura.configuration import load
from tests.faulty import Faulty
from tests.server import gateway
from tests.wire import CLOSE, everything, get, post, statuses

from .hostile import CHAT, GOOD, GROUPS, KEY, Request, body
from .watched import Watched, configured, told_wrongly, watched

PUBLIC = {"/actuator/health", "/actuator/health/x", *actuator.PROBES}
JUNK = 10_002


@pytest.fixture(scope="module")
def watch() -> Iterator[Watched]:
    with watched() as made:
        yield made


@pytest.fixture(scope="module")
def rules() -> list[tuple[str, str]]:
    """(method, path) of every rule, its variables filled in."""
    app: Flask = create_app(load(None, {}))
    return sorted(
        (method, re.sub(r"<[^>]*>", "x", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    )


def test_every_rule_but_health_wants_a_key(watch, rules):
    found = {}
    for method, path in rules:
        request = Request(b"", {"Authorization": None}, method, path)
        answer = watch.send(request)
        found[method, path] = answer.status
        if path not in PUBLIC:
            assert told_wrongly(answer, request, None, KEY) == []
            assert answer.headers["www-authenticate"] == 'Bearer realm="aura"'

    assert {rule for rule, status in found.items() if status != 401} == {
        (method, path) for method, path in rules if path in PUBLIC
    }
    assert len(found) > 12


def test_a_key_is_asked_for_before_the_body_is_read(watch, rules):
    """The body never comes: who waited for it would not answer."""
    for method, path in rules:
        if path in PUBLIC or method != "POST":
            continue
        with socket.create_connection(("127.0.0.1", watch.server.port), timeout=20) as link:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
            link.sendall(head.encode() + b"{")

            assert statuses(everything(link)) == [401]


def test_every_door_refuses_what_is_no_json_in_its_own_words(watch, rules):
    """Whatever stands behind a rule that takes a body, its body is read as a chat's is."""
    bodiless = ("/actuator/", "/cancel")
    doors = [
        path
        for method, path in rules
        if method == "POST" and not path.startswith(bodiless) and not path.endswith(bodiless)
    ]
    wrong = {}
    for path in doors:
        for case in (*GROUPS["texts"], *GROUPS["encodings"]):
            faults = watch.faults(case.request._replace(path=path), 400, 415)
            if faults:
                wrong[path, case.name] = faults

    assert wrong == {}
    assert {"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/moderations"} <= set(doors)


@pytest.mark.parametrize("key", [None, "Bearer wrong", f"Bearer {KEY}"])
def test_an_unknown_path_is_404_whoever_asks(watch, key):
    for path in ("/", "/nowhere", "/v1/nowhere", "/actuator/nowhere", "/actuator/env", "/actuator/heapdump"):
        assert watch.send(Request(GOOD, {"Authorization": key}, "POST", path)).status == 404


@pytest.mark.parametrize(("public", "status"), [("[health]", 401), ("[health, prometheus]", 200)])
def test_what_is_public_beside_health_is_the_operators_to_say(public, status):
    with Faulty() as behind, gateway(configured(behind.url, f"  actuator: {{public: {public}}}\n")) as server:
        assert requests.get(f"{server.url}/actuator/prometheus", timeout=20).status_code == status
        assert requests.get(f"{server.url}/actuator/health", timeout=20).status_code == 200
        assert requests.get(f"{server.url}/v1/models", timeout=20).status_code == 401


def test_health_tells_strangers_nothing_of_keys_addresses_and_the_environment(watch):
    told = requests.get(f"{watch.server.url}/actuator/health?show-details=always&debug=1", timeout=20).text

    for secret in (KEY, watch.provider.url, str(watch.provider.port), "127.0.0.1", "sk-test", str(watch.server.folder)):
        assert secret not in told


def sent_ahead(port: int, requests_: list[bytes]) -> int:
    """Send requests one behind the other over one connection; returns how many were answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        sender = gevent.spawn(link.sendall, b"".join(requests_) + get("/actuator/health", CLOSE))
        got = everything(link)
        sender.get()
    return len(statuses(got)) - 1


def test_ten_thousand_junk_models_paths_and_methods_add_no_series(watch):
    """What is counted, is counted under names that were there before."""
    authorized = f"Authorization: Bearer {KEY}"

    def model(number: int) -> bytes:
        name = f"only/junk-{number:x}" if number % 2 else f"junk-{number:x}"
        return post(CHAT, body(model=name), authorized, "Content-Type: application/json")

    def path(number: int) -> bytes:
        return get(f"/junk-{number:x}/{number}?junk{number}=x", authorized)

    def method(number: int) -> bytes:
        return get("/v1/models", authorized).replace(b"GET", f"JUNK{number:X}".encode())

    def all_of(numbers: range) -> int:
        ahead = [make(number) for number in numbers for make in (model, path)]
        answered = sum(sent_ahead(watch.server.port, ahead[start : start + 200]) for start in range(0, len(ahead), 200))
        ends = [sent_ahead(watch.server.port, [method(number)]) + 1 for number in numbers]
        return answered + sum(ends)

    all_of(range(10))
    watch.metrics()
    before = watch.series()

    assert all_of(range(10, 10 + JUNK // 3)) == JUNK // 3 * 3
    assert watch.series() == before
    assert not re.search("junk", watch.metrics(), re.IGNORECASE)
