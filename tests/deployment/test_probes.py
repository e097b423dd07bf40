"""The health groups, as load balancers and Kubernetes ask them: what is restarted, and what gets no calls."""

from __future__ import annotations

import signal

import pytest
import requests

from tests.calls import chat, provider
from tests.faulty import closed_port
from tests.server import Server, gateway

pytestmark = pytest.mark.xdist_group("probes")

KEYS = "  auth: {keys: [{name: tester, key: a-key-for-probes}]}\n"


def probe(server: Server, group: str) -> tuple[int, str]:
    answer = requests.get(f"{server.url}/actuator/health/{group}", headers={"Connection": "close"}, timeout=20)
    return answer.status_code, answer.json()["status"]


@pytest.mark.parametrize("group", ["liveness", "readiness"])
def test_probes_need_no_key(group):
    with gateway("aura:\n" + KEYS) as server:
        assert probe(server, group) == (200, "UP")


def test_what_waits_for_providers_gets_no_calls_but_is_not_restarted():
    with gateway("aura:\n  providers:\n" + provider("only", f"http://127.0.0.1:{closed_port()}")) as server:
        assert probe(server, "readiness") == (200, "UP")
        while probe(server, "readiness") == (200, "UP"):
            assert chat(server.port, "auto", stream=False).status >= 500

        assert probe(server, "liveness") == (200, "UP")


def test_what_drains_gets_no_calls_but_is_not_restarted():
    with gateway("aura:\n  server: {drain-delay: 3s}\n" + KEYS) as server:
        server.signal(signal.SIGTERM)
        while (said := probe(server, "readiness")) == (200, "UP"):
            pass

        assert said == (503, "OUT_OF_SERVICE")
        assert probe(server, "liveness") == (200, "UP")
