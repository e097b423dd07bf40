"""Traces, as a collector gets them from a real worker."""

from __future__ import annotations

import http.server
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.event import Event
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from aura.configuration import ConfigurationError, checks, load
from tests.calls import chat, provider
from tests.faulty import Faulty, closed_port
from tests.server import ROOT, Server, gateway

pytestmark = pytest.mark.xdist_group("tracing")

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=some,other=thing"}


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.news = Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
                assert self.path == "/v1/traces"
                for group in message.resource_spans:
                    outer.resources.append(attributes(group.resource))
                    outer.spans += [span for scope in group.scope_spans for span in scope.spans]
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()
                outer.news.set()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Collector:
        self._thread = gevent.spawn(self._server.serve_forever)
        return self

    def __exit__(self, *error: object) -> None:
        gevent.spawn(self._server.shutdown).join(5)
        self._server.server_close()

    def wait_for(self, *names: str) -> list[Span]:
        """Wait until spans of these names have come; they, in this order."""
        deadline = time.monotonic() + 20
        while set(names) - {span.name for span in self.spans}:
            self.news.clear()
            assert self.news.wait(max(0.0, deadline - time.monotonic())), [span.name for span in self.spans]
        return [next(span for span in self.spans if span.name == name) for name in names]


def attributes(holder: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in holder.attributes}


@contextmanager
def traced(*urls: str, more: str = "") -> Iterator[tuple[Server, Collector]]:
    with Collector() as collector:
        config = f"aura:\n  tracing: {{enabled: true, endpoint: '{collector.url}'{more}}}\n  providers:\n"
        config += "".join(provider(f"p{number}", url, f"m{number}") for number, url in enumerate(urls))
        with gateway(config) as server:
            yield server, collector


def length(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


def test_a_call_is_a_span_with_its_attempt_below():
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        chat(server.port, "auto", stream=False, temperature=0.5, headers={"X-Request-Id": "mine"})
        call, attempt = collector.wait_for("POST /v1/chat/completions", "chat m0")

    assert call.kind == Span.SPAN_KIND_SERVER
    assert attempt.kind == Span.SPAN_KIND_CLIENT
    assert attempt.parent_span_id == call.span_id
    assert attempt.trace_id == call.trace_id
    assert attributes(call).items() >= {
        "http.request.method": "POST", "http.route": "/v1/chat/completions", "http.response.status_code": 200,
        "aura.request_id": "mine", "aura.cache": "miss", "aura.attempts": 1, "aura.outcome": "ok",
    }.items()  # fmt: skip
    told = attributes(attempt)
    assert told.items() >= {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m0",
        "gen_ai.request.temperature": 0.5, "gen_ai.response.model": "m0", "server.address": "127.0.0.1",
    }.items()  # fmt: skip
    assert told["gen_ai.usage.input_tokens"] > 0
    assert told["gen_ai.usage.output_tokens"] > 0
    assert collector.resources[0]["service.name"] == "aura-gateway"


def test_nothing_that_a_person_wrote_is_in_a_trace():
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        said = chat(server.port, "auto", "a-secret-word", user="a-user", stream=False).text
        collector.wait_for("POST /v1/chat/completions", "chat m0")
        everything = "".join(map(str, collector.spans))

    assert said
    for word in ("a-secret-word", "a-user", said, "sk-test"):
        assert word not in everything


def test_a_stream_is_as_long_as_it_was():
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        upstream.always = "ok:interval:0.05"
        answer = chat(server.port, "auto")
        call, attempt, stream = collector.wait_for("POST /v1/chat/completions", "chat m0", "stream m0")

    assert stream.parent_span_id == attempt.span_id
    lasted = answer.at[-1][0] - answer.at[0][0]
    assert lasted > 0.3
    assert length(call) >= length(attempt) >= length(stream) >= 0.9 * lasted
    assert attributes(attempt)["gen_ai.response.time_to_first_chunk"] == pytest.approx(
        (stream.start_time_unix_nano - attempt.start_time_unix_nano) / 1e9, abs=0.05
    )


def test_a_failed_attempt_is_an_error_the_call_is_none():
    with Faulty() as first, Faulty() as second, traced(first.url, second.url) as (server, collector):
        first.next.append("status:code:503")
        chat(server.port, "auto", stream=False)
        call, failed, well = collector.wait_for("POST /v1/chat/completions", "chat m0", "chat m1")

    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert attributes(failed)["http.response.status_code"] == 503
    assert attributes(failed)["error.type"]
    assert (well.status.code, call.status.code) == (Status.STATUS_CODE_UNSET, Status.STATUS_CODE_UNSET)
    assert attributes(call)["aura.attempts"] == 2


def test_a_call_that_fails_is_an_error():
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        upstream.always = "status:code:503"
        assert chat(server.port, "auto", stream=False).status == 503
        (call,) = collector.wait_for("POST /v1/chat/completions")

    assert call.status.code == Status.STATUS_CODE_ERROR
    assert attributes(call)["error.type"] == "503"


def test_a_call_that_is_refused_is_traced_and_no_error_of_ours():
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        assert chat(server.port, "auto", stream=False, temperature="hot").status == 400
        (call,) = collector.wait_for("POST /v1/chat/completions")

    assert attributes(call)["http.response.status_code"] == 400
    assert call.status.code == Status.STATUS_CODE_UNSET


def test_the_clients_trace_goes_on_to_the_provider():
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        chat(server.port, "auto", stream=False, headers=SAMPLED)
        call, attempt = collector.wait_for("POST /v1/chat/completions", "chat m0")
        sent = upstream.asked[0].headers

    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, PARENT)
    assert sent["traceparent"] == f"00-{TRACE}-{attempt.span_id.hex()}-01"
    assert sent["tracestate"] == SAMPLED["tracestate"]


@pytest.mark.parametrize("wrong", ["00-short-01", f"00-{'0' * 32}-{PARENT}-01", "x" * 5000])
def test_what_is_no_trace_begins_a_new_one(wrong):
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        assert chat(server.port, "auto", stream=False, headers={"traceparent": wrong}).status == 200
        (call,) = collector.wait_for("POST /v1/chat/completions")

    assert call.parent_span_id == b""


def test_a_trace_that_its_client_does_not_keep_is_not_kept_here_but_passed_on():
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        dropped = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
        chat(server.port, "auto", "dropped", stream=False, headers=dropped)
        chat(server.port, "auto", "kept", stream=False)
        collector.wait_for("POST /v1/chat/completions")

    assert TRACE not in {span.trace_id.hex() for span in collector.spans}
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", upstream.asked[0].headers["traceparent"])


def test_a_share_of_the_calls_can_be_traced():
    with Faulty() as upstream, traced(upstream.url, more=", sample: 0") as (server, collector):
        chat(server.port, "auto", "own", stream=False)
        chat(server.port, "auto", "client's", stream=False, headers=SAMPLED)
        (call,) = collector.wait_for("POST /v1/chat/completions")

    assert call.trace_id.hex() == TRACE


def test_a_collector_that_is_not_there_costs_no_call_anything():
    config = f"aura:\n  tracing: {{enabled: true, endpoint: 'http://127.0.0.1:{closed_port()}'}}\n"
    with gateway(config) as server:
        outcomes = [chat(server.port, "auto", str(number)) for number in range(20)]
        server.signal(15)

        assert server.wait() == 0
    assert [one.done for one in outcomes] == [1] * 20


def test_what_waits_is_exported_before_a_worker_ends():
    with Faulty() as upstream, traced(upstream.url) as (server, collector):
        chat(server.port, "auto", stream=False)
        server.signal(15)
        assert server.wait() == 0

        collector.wait_for("POST /v1/chat/completions", "chat m0")


def test_without_it_nothing_is_imported_and_nothing_passed_on():
    with Faulty() as upstream:
        config = "aura:\n  providers:\n" + provider("p0", upstream.url)
        with gateway(config) as server:
            chat(server.port, "auto", stream=False, headers=SAMPLED)
    code = "import sys; from aura.app import create_app; create_app(); print('opentelemetry' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert ran.stdout.splitlines()[-1] == "False"
    assert not {"traceparent", "tracestate"} & upstream.asked[0].headers.keys()


def test_a_configuration_that_wants_it_where_it_is_not_installed_is_wrong(tmp_path, monkeypatch):
    path = tmp_path / "aura.yml"
    path.write_text("aura: {tracing: {enabled: true}}\n")
    monkeypatch.setattr(checks, "_has_opentelemetry", lambda: False)

    with pytest.raises(ConfigurationError) as wrong:
        load(str(path))

    assert "otel" in str(wrong.value.problems)
