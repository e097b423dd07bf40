"""TLS to a provider: who is trusted, who is not, and that nothing hangs."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import gevent
import pytest
import trustme

from aura.call import HttpRequest
from aura.errors import Failure, Reason
from aura.upstream import Upstream
from tests.faulty import Faulty, text
from tests.faulty.client import LONG, chat, good_stream, said, stream, whole, within

AUTHORITY = trustme.CA()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def upstream(bundle: str) -> Iterator[Upstream]:
    client = Upstream(ca_bundle=bundle)
    yield client
    client.close()


@pytest.fixture(scope="module")
def good() -> ssl.SSLContext:
    return server_context(AUTHORITY.issue_cert("127.0.0.1", "localhost"))


def test_a_trusted_provider_is_asked_over_one_connection(upstream, good):
    with Faulty(tls=good) as provider:
        for number in range(3):
            assert text(f"n{number}") == said(whole(upstream, chat(provider.url, nonce=f"n{number}"))[1])
            assert (good_stream(), None) == stream(upstream, chat(provider.url, stream=True))

        assert provider.connections == 1


def test_a_provider_is_found_by_its_name(upstream, good):
    with Faulty(tls=good) as provider:
        url = provider.url.replace("127.0.0.1", "localhost")

        assert whole(upstream, chat(url))[0] == 200


REFUSED = {
    "self-signed": lambda: trustme.CA().issue_cert("127.0.0.1"),
    "of another name": lambda: AUTHORITY.issue_cert("example.test"),
    "expired": lambda: AUTHORITY.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_certificate_that_proves_nothing_is_refused(upstream, kind):
    with Faulty(tls=server_context(REFUSED[kind]())) as provider:
        with pytest.raises(Failure) as failed:
            whole(upstream, chat(provider.url))
        provider.end()

    assert Reason.UNREACHABLE is failed.value.reason
    assert "certificate" in failed.value.message.lower() or "mismatch" in failed.value.message
    assert provider.asked == []


def test_nobody_is_trusted_who_is_not_in_the_bundle(good):
    upstream = Upstream()
    with Faulty(tls=good) as provider, pytest.raises(Failure) as failed:
        whole(upstream, chat(provider.url))

    assert Reason.UNREACHABLE is failed.value.reason
    assert provider.asked == []


@pytest.mark.parametrize("accept", ["", "close", "reset"])
def test_a_server_that_does_not_speak_tls_is_unreachable(upstream, accept):
    with Faulty(accept=accept) as provider, pytest.raises(Failure) as failed:
        whole(upstream, chat(provider.url.replace("http:", "https:"), "garbage"))

    assert Reason.UNREACHABLE is failed.value.reason


def test_plain_http_on_the_tls_port_is_unreachable(upstream):
    """A server that answers 400 to a handshake, as many do."""
    with Faulty(accept="plain") as provider, pytest.raises(Failure) as failed:
        whole(upstream, chat(provider.url.replace("http:", "https:")))

    assert Reason.UNREACHABLE is failed.value.reason


def test_a_handshake_that_stalls_ends_with_the_time_for_connecting(bundle):
    upstream = Upstream(connect_timeout=0.2, ca_bundle=bundle)
    with Faulty(accept="silence") as provider:
        with pytest.raises(Failure) as failed:
            whole(upstream, chat(provider.url.replace("http:", "https:")))

        assert provider.end() in ("fin", "reset")
    assert Reason.UNREACHABLE is failed.value.reason


STREAMS = {
    "cut:after:5:how:fin": Reason.INTERRUPTED,
    "cut:after:5:how:rst": Reason.INTERRUPTED,
    "stall:after:5": Reason.TIMEOUT,
    "done:kind:twice": None,
    "unframed": None,
}


@pytest.mark.parametrize(("fault", "reason"), STREAMS.items())
def test_a_stream_over_tls_ends_as_it_would_without(upstream, good, fault, reason):
    with Faulty(tls=good) as provider:
        got, failed = stream(upstream, chat(provider.url, fault, stream=True), 0.3)

    assert reason is failed
    assert len(got) > 100


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_the_end_of_a_reused_connection_is_stale(upstream, good, how):
    with Faulty(tls=good) as provider:
        whole(upstream, chat(provider.url))
        with pytest.raises(Failure) as failed:
            whole(upstream, chat(provider.url, f"stale:how:{how}"))

    assert Reason.STALE is failed.value.reason


def test_an_idle_connection_that_was_closed_is_not_used(upstream, good):
    with Faulty(tls=good) as provider:
        whole(upstream, chat(provider.url, "closing"))
        gevent.sleep(0.05)

        assert whole(upstream, chat(provider.url))[0] == 200
        assert provider.connections == 2


def test_a_large_body_arrives_whole_and_a_large_answer_too(upstream, good):
    with Faulty(tls=good) as provider:
        request = chat(provider.url, "slow-reader:interval:0", more="x" * (4 << 20))
        whole(upstream, request)
        _, body = whole(upstream, chat(provider.url, f"huge:size:{8 << 20}"))

        assert request.body == provider.asked[0].body
    assert len(body) == 8 << 20


def test_an_answer_before_the_body_was_sent_is_read(upstream, good):
    with Faulty(tls=good) as provider:
        status, body = whole(upstream, chat(provider.url, "early:open:60", more="x" * (20 << 20)))

    assert (status, json.loads(body)["error"]["message"]) == (413, "Too large.")


def test_who_leaves_takes_the_connection_along(upstream, good):
    with Faulty(tls=good) as provider:
        asking = gevent.spawn(upstream.send, chat(provider.url, "silence"), within(LONG))
        while not provider.asked:
            gevent.sleep(0.005)
        asking.kill()

        assert provider.end() in ("fin", "reset")


def test_a_url_without_tls_is_not_upgraded_and_one_with_it_not_downgraded(upstream, good):
    with Faulty(tls=good) as provider, pytest.raises(Failure):
        upstream.send(HttpRequest(provider.url.replace("https:", "http:"), {}, b""), within(LONG))

    assert provider.asked == []


def test_a_second_handshake_resumes_the_first(upstream):
    context = server_context(AUTHORITY.issue_cert("127.0.0.1"))
    with Faulty(tls=context) as provider:
        for _ in range(3):
            whole(upstream, chat(provider.url), fresh=True)

    assert context.session_stats()["hits"] == 2
