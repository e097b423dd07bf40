"""``gunicorn -c python:aura.gunicorn_conf``: what decides where and how it serves, and what ends or changes that."""

from __future__ import annotations

import signal
import socket
import urllib.request

import pytest

from tests.server import gateway
from tests.test_worker import APP
from tests.wire import CLOSE, everything, get, statuses

pytestmark = pytest.mark.xdist_group("conf")

KEYS = "aura: {auth: {keys: [{name: a, key: some-long-key-0001}]}}\n"


def status(server, path: str = "/echo") -> int:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        link.sendall(get(path, CLOSE))
        return statuses(everything(link))[0]


def test_what_the_operator_should_know_is_said_at_the_start():
    with gateway(app=APP) as server:
        assert "demo" in server.log()


def test_a_wrong_configuration_ends_the_start_with_one_line_and_78():
    with gateway("aura: {server: {prot: 1}}\n", app=APP, wait=False) as server:
        assert server.wait() == 78
        assert "prot" in server.log()
        assert "Traceback" not in server.log()


def test_strangers_are_not_served_without_keys():
    with gateway(app=APP, args=["-b", "0.0.0.0:0"], wait=False) as server:
        assert server.wait() == 78
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("config", [KEYS, "aura: {auth: {allow-anonymous: true}}\n"], ids=["keys", "on purpose"])
def test_other_addresses_are_served_with_keys_or_on_purpose(config):
    with gateway(config, app=APP, args=["-b", "0.0.0.0:0"]) as server:
        assert status(server) == 200


def test_the_command_line_goes_before_the_configuration():
    """The address and the number of workers of this test are the command line's."""
    with gateway("aura: {server: {port: 1, workers: 7}}\n", app=APP, workers=2) as server:
        server.wait_for("(?s)Booting worker.*Booting worker")

        assert len(server.workers()) == 2
        assert urllib.request.urlopen(server.url + "/echo", timeout=20).status == 200


def test_the_worker_may_open_as_many_descriptors_as_the_system_allows():
    with gateway(app=APP) as server, open(f"/proc/{server.workers()[0]}/limits") as limits:
        soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))

        assert soft == hard


def test_a_reload_takes_a_new_configuration():
    """What gunicorn itself is told changes too, not only what the application reads."""
    with gateway("aura: {server: {workers: 1}}\n", app=APP, args=["--log-level", "debug"]) as server:
        server.wait_for("graceful_timeout: 60")
        (server.folder / "aura.yml").write_text("aura: {server: {graceful-timeout: 7s}}\n")
        server.signal(signal.SIGHUP)
        server.wait_for("graceful_timeout: 7")

        assert status(server) == 200


@pytest.mark.parametrize(
    ("start", "broken"),
    [(KEYS, "aura: {server: {prot: 1}}\n"), (KEYS, "aura: [\n"), (KEYS, "aura: {}\n")],
    ids=["unknown key", "no YAML", "no keys for strangers"],
)
def test_a_reload_with_a_wrong_configuration_changes_nothing(start, broken):
    with gateway(start, app=APP, args=["-b", "0.0.0.0:0"]) as server:
        before = server.workers()
        (server.folder / "aura.yml").write_text(broken)
        server.signal(signal.SIGHUP)
        server.wait_for("Not reloaded: ")

        assert status(server) == 200
        assert server.workers() == before


def test_a_stopping_server_says_so_to_load_balancers_before_it_refuses():
    with gateway("aura: {server: {drain-delay: 1s}}\n", app=APP) as server:
        server.signal(signal.SIGTERM)
        while status(server, "/actuator/health") != 503:
            pass

        assert status(server, "/sleep?seconds=0.2") == 200
        assert server.wait() == 0


def test_an_idle_connection_is_kept_as_long_as_configured():
    config = "aura: {server: {keep-alive: 1s}}\n"
    with gateway(config, app=APP) as server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        link.sendall(get("/echo"))

        assert statuses(everything(link)) == [200]


def test_gunicorns_own_worker_class_can_be_used_instead():
    with gateway(app=APP, args=["-k", "gevent"]) as server:
        server.wait_for("Using worker: gevent")

        assert status(server) == 200


def test_nothing_is_left_behind():
    with gateway(app=APP) as server:
        server.signal(signal.SIGTERM)

        assert server.wait() == 0
        assert [path.name for path in server.folder.iterdir() if path.name != "log"] == []
