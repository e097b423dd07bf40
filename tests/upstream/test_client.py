"""The HTTP client against a provider that fails in every way: what comes back, and what the provider saw."""

from __future__ import annotations

import time

import gevent
import pytest
import requests

from aura.errors import Failure, Reason
from aura.upstream import Upstream
from aura.upstream.adapter import Adapter
from tests.faulty import Faulty, blackhole, closed_port, text
from tests.faulty.client import LONG, chat, good_stream, said, stream, whole, within

SOON = 0.3


def test_an_answer_comes_back_whole(provider, upstream):
    status, body = whole(upstream, chat(provider.url))

    assert (200, text("n1")) == (status, said(body))


def test_a_request_goes_out_as_it_was_given(provider, upstream):
    request = chat(provider.url)
    request.url += "?api-version=2024-10-21"
    whole(upstream, request)

    (asked,) = provider.asked
    assert (asked.method, asked.path) == ("POST", "/v1/chat/completions?api-version=2024-10-21")
    assert request.body == asked.body
    assert asked.headers["authorization"] == "Bearer sk-secret"
    assert f"127.0.0.1:{provider.port}" == asked.headers["host"]
    assert asked.headers["accept-encoding"] == "identity"
    assert "cookie" not in asked.headers


def test_header_names_are_lower_case_and_repeated_ones_are_joined(provider, upstream):
    response = upstream.send(chat(provider.url, "status:code:429:retry:2:retry-ms:1500"), within(LONG))
    response.close()

    assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == ("2", "1500")


WHOLE = {
    "hangup": Reason.UNREACHABLE,
    "hangup:how:rst": Reason.UNREACHABLE,
    "half-head": Reason.UNREACHABLE,
    "half-head:how:rst": Reason.UNREACHABLE,
    "garbage": Reason.BAD_RESPONSE,
    "long-header": Reason.BAD_RESPONSE,
    "long-header:size:110000": Reason.BAD_RESPONSE,
    "many-headers": Reason.BAD_RESPONSE,
    "many-headers:count:201": Reason.BAD_RESPONSE,
    "trailers:count:10000": Reason.BAD_RESPONSE,
    "interim:code:101:count:1": Reason.BAD_RESPONSE,
    "interim:count:30000": Reason.BAD_RESPONSE,
    "length:by:10": Reason.BAD_RESPONSE,
    "length:by:-10": Reason.BAD_RESPONSE,
    "huge": Reason.BAD_RESPONSE,
    "huge:framing:chunked": Reason.BAD_RESPONSE,
    "huge:framing:close": Reason.BAD_RESPONSE,
    "bomb": Reason.BAD_RESPONSE,
    "bomb:times:5": Reason.BAD_RESPONSE,
    "packed:coding:br": Reason.BAD_RESPONSE,
    "packed:cut:5": Reason.BAD_RESPONSE,
    "cut:after:3:how:fin": Reason.BAD_RESPONSE,
    "cut:after:3:how:rst": Reason.BAD_RESPONSE,
    "cut:byte:700:how:rst": Reason.BAD_RESPONSE,
}


@pytest.mark.parametrize(("fault", "reason"), WHOLE.items())
def test_a_whole_answer_that_cannot_be_had_fails_by_its_reason(provider, upstream, fault, reason):
    with pytest.raises(Failure) as failed:
        whole(upstream, chat(provider.url, fault))

    assert reason is failed.value.reason
    assert len(provider.asked) == 1
    assert provider.end() in ("fin", "reset", "server")


@pytest.mark.parametrize("fault", ["silence", "interim:code:100", "interim:code:103", "late:by:5"])
def test_a_head_that_does_not_come_is_a_timeout(provider, upstream, fault):
    with pytest.raises(Failure) as failed:
        upstream.send(chat(provider.url, fault), within(SOON))

    assert Reason.TIMEOUT is failed.value.reason
    assert provider.end() == "fin"


@pytest.mark.parametrize("fault", ["drip:interval:0.05", "stall:after:3", "slow:first:5"])
def test_a_body_that_does_not_come_is_a_timeout(provider, upstream, fault):
    with pytest.raises(Failure) as failed:
        whole(upstream, chat(provider.url, fault), SOON)

    assert Reason.TIMEOUT is failed.value.reason
    assert provider.end() in ("fin", "reset")


@pytest.mark.parametrize(("accept", "reason"), [("reset", Reason.UNREACHABLE), ("close", Reason.UNREACHABLE)])
def test_a_connection_that_is_dropped_at_once_is_unreachable(upstream, accept, reason):
    with Faulty(accept=accept) as provider, pytest.raises(Failure) as failed:
        upstream.send(chat(provider.url), within(LONG))

    assert reason is failed.value.reason
    assert provider.connections == 1


def test_a_refused_connection_is_unreachable(upstream):
    with pytest.raises(Failure) as failed:
        upstream.send(chat(f"http://127.0.0.1:{closed_port()}"), within(LONG))

    assert Reason.UNREACHABLE is failed.value.reason


def test_a_connection_that_is_swallowed_is_unreachable():
    upstream = Upstream(connect_timeout=0.2)
    with blackhole() as port, pytest.raises(Failure) as failed:
        upstream.send(chat(f"http://127.0.0.1:{port}"), within(LONG))

    assert Reason.UNREACHABLE is failed.value.reason


def test_the_deadline_covers_connecting():
    upstream = Upstream(connect_timeout=LONG)
    with blackhole() as port, pytest.raises(Failure) as failed:
        upstream.send(chat(f"http://127.0.0.1:{port}"), within(SOON))

    assert Reason.TIMEOUT is failed.value.reason


STATUSES = [
    (code, body) for code in (400, 401, 404, 429, 500, 502, 503, 504, 529) for body in ("json", "html", "empty")
]


@pytest.mark.parametrize(("code", "body"), STATUSES)
def test_an_error_is_an_answer_and_keeps_its_connection(provider, upstream, code, body):
    assert code == whole(upstream, chat(provider.url, f"status:code:{code}:body:{body}"))[0]
    assert whole(upstream, chat(provider.url))[0] == 200
    assert provider.connections == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(provider, upstream, code):
    assert code == whole(upstream, chat(provider.url, f"redirect:code:{code}"))[0]
    assert provider.canary_connections == 0


@pytest.mark.parametrize("code", [100, 102, 103])
def test_interim_answers_are_skipped(provider, upstream, code):
    status, body = whole(upstream, chat(provider.url, f"interim:code:{code}:count:20:then:ok"))

    assert (200, text("n1")) == (status, said(body))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw"])
def test_an_answer_that_is_compressed_uninvited_is_decoded(provider, upstream, coding):
    assert text("n1") == said(whole(upstream, chat(provider.url, f"packed:coding:{coding}"))[1])
    assert (good_stream(), None) == stream(upstream, chat(provider.url, f"packed:coding:{coding}", stream=True))


def test_an_answer_that_is_compressed_in_parts_is_one_answer(provider, upstream):
    assert text("n1") == said(whole(upstream, chat(provider.url, "packed:coding:members"))[1])


def test_a_trailer_is_not_a_header(provider, upstream):
    response = upstream.send(chat(provider.url, "trailers"), within(LONG))
    body = response.read(within(LONG))
    response.close()

    assert (text("n1"), "application/json") == (said(body), response.headers["content-type"])


def test_an_answer_without_a_length_ends_with_its_connection(provider, upstream):
    assert text("n1") == said(whole(upstream, chat(provider.url, "unframed"))[1])
    assert (good_stream(), None) == stream(upstream, chat(provider.url, "unframed", stream=True))


STREAMS = {
    "cut:after:0:how:fin": Reason.INTERRUPTED,
    "cut:after:0:how:rst": Reason.INTERRUPTED,
    "cut:after:5:how:fin": Reason.INTERRUPTED,
    "cut:after:5:how:rst": Reason.INTERRUPTED,
    "cut:byte:1000:how:fin": Reason.INTERRUPTED,
    "cut:byte:1000:how:rst": Reason.INTERRUPTED,
    "cut:after:5:how:end": None,
    "stall:after:5": Reason.TIMEOUT,
    "done:kind:open": Reason.TIMEOUT,
    "length:by:10": Reason.INTERRUPTED,
    "length:by:-10": Reason.BAD_RESPONSE,
    "done:kind:twice": None,
    "done:kind:missing": None,
}


@pytest.mark.parametrize(("fault", "reason"), STREAMS.items())
def test_a_stream_delivers_what_came_and_says_how_it_ended(provider, upstream, fault, reason):
    got, failed = stream(upstream, chat(provider.url, fault, stream=True), SOON)

    assert reason is failed
    assert len(got) > 100
    assert good_stream().startswith(got) or fault.startswith("done")


@pytest.mark.parametrize("ends", ["lf", "crlf", "cr"])
def test_a_stream_in_single_bytes_is_the_same_stream(provider, upstream, ends):
    got, failed = stream(upstream, chat(provider.url, f"split:by:1:ends:{ends}", stream=True))

    assert failed is None
    assert good_stream() == got.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def test_every_event_arrives_when_it_is_sent(provider, upstream):
    """The reader never waits for a second event before it sees the first."""
    response = upstream.send(chat(provider.url, "stall:after:1", stream=True), within(LONG))
    got = b""
    while b'"n1"' not in got:
        got += response.read_some(within(LONG))
    response.close()

    assert got.endswith(b"\n\n")


def test_a_read_that_timed_out_may_be_repeated(provider, upstream):
    response = upstream.send(chat(provider.url, "slow:first:0.2", stream=True), within(LONG))
    with pytest.raises(Failure) as failed:
        response.read_some(within(0.01))
    got = b""
    while piece := response.read_some(within(LONG)):
        got += piece
    response.close()

    assert Reason.TIMEOUT is failed.value.reason
    assert good_stream() == got


def test_what_came_while_nobody_read_is_there_after_the_deadline(provider, upstream):
    response = upstream.send(chat(provider.url, stream=True), within(LONG))
    gevent.sleep(0.05)

    assert response.read_some(time.monotonic() - 1)

    response.close()


def test_the_adapter_serves_a_session_of_requests(provider):
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Adapter())
    answers = [session.post(f"{provider.url}/ok/chat", data=chat("").body, timeout=5) for _ in range(2)]

    assert [text("n1")] * 2 == [answer.json()["choices"][0]["message"]["content"] for answer in answers]
    assert provider.connections == 1


@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_answer_in_pieces_is_the_same_answer(provider, upstream, size):
    response = upstream.send(chat(provider.url, f"trickle:by:{size}"), within(LONG))
    body = response.read(within(LONG))
    response.close()

    assert text("n1") == said(body)
    assert {name: response.headers[name] for name in ("x-a", "x-b")} == {"x-a": "", "x-b": "1, 2"}


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_stream_cut_at_any_byte_gives_exactly_what_came_before(provider, upstream, how):
    whole_stream = good_stream()
    for size in range(0, len(whole_stream), 5):
        got, failed = stream(upstream, chat(provider.url, f"cut:byte:{size}:how:{how}", stream=True))

        assert failed is Reason.INTERRUPTED
        assert got == whole_stream[:size]
