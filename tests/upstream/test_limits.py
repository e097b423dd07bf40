"""What the HTTP client never does: hold more than its bounds, send what was not meant, read its environment."""

from __future__ import annotations

import json
import resource

import pytest

from aura.call import HttpRequest
from aura.errors import Failure, Reason
from tests.faulty import Faulty
from tests.faulty.client import LONG, chat, stream, whole, within

SOON = 0.3


def test_a_large_body_that_nobody_takes_is_a_timeout(provider, upstream):
    request = chat(provider.url, "silence", more="x" * (20 << 20))
    with Faulty(accept="stuck") as stuck:
        request.url = request.url.replace(provider.url, stuck.url)
        with pytest.raises(Failure) as failed:
            upstream.send(request, within(SOON))

    assert Reason.TIMEOUT is failed.value.reason


def test_a_large_body_arrives_whole(provider, upstream):
    request = chat(provider.url, "slow-reader:interval:0", more="x" * (20 << 20))
    status, _ = whole(upstream, request)

    assert status == 200
    assert request.body == provider.asked[0].body


@pytest.mark.parametrize("how", ["open", "fin"])
def test_an_answer_before_the_body_was_sent_is_read(provider, upstream, how):
    status, body = whole(upstream, chat(provider.url, f"early:how:{how}:open:60", more="x" * (20 << 20)))

    assert (status, json.loads(body)["error"]["message"]) == (413, "Too large.")
    assert whole(upstream, chat(provider.url))[0] == 200
    assert provider.connections == 2


@pytest.mark.parametrize("fault", ["huge", "huge:framing:chunked", "bomb", "bomb:times:5", "long-header"])
def test_memory_stays_flat_whatever_comes(provider, upstream, fault):
    with pytest.raises(Failure):
        whole(upstream, chat(provider.url, fault))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        with pytest.raises(Failure):
            whole(upstream, chat(provider.url, fault))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


def test_a_stream_may_be_long_but_not_large_in_memory(provider, upstream):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    response = upstream.send(chat(provider.url, f"huge:framing:chunked:size:{128 << 20}"), within(LONG))
    size = 0
    while piece := response.read_some(within(LONG)):
        assert len(piece) <= 1 << 20
        size += len(piece)
    response.close()

    assert size == 128 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


INJECTED = [
    ("x-a", "1\r\nx-b: 2"),
    ("x-a", "1\nx-b: 2"),
    ("x-a", "1\rx"),
    ("x-a", "1\0"),
    ("x-a\r\nx-b", "1"),
    ("x a", "1"),
]


@pytest.mark.parametrize(("name", "value"), INJECTED)
def test_a_header_cannot_carry_another(provider, upstream, name, value):
    request = chat(provider.url)
    request.headers[name] = value
    with pytest.raises(ValueError, match="header"):
        upstream.send(request, within(LONG))

    assert provider.connections == 0


@pytest.mark.parametrize("path", ["/a b", "/a\r\nx: y", "/é", "/a\0", "@evil.test/", ":x/", "\\@x/"], ids=ascii)
def test_a_url_is_asked_as_it_is_or_not_at_all(provider, upstream, path):
    with pytest.raises(ValueError, match=r"URL|Port|port"):
        upstream.send(HttpRequest(provider.url + path, {}, b""), within(LONG))

    assert provider.connections == 0


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "x", "", "http://", "http://user:pass@127.0.0.1/"])
def test_only_http_is_spoken(upstream, url):
    with pytest.raises(ValueError, match="URL"):
        upstream.send(HttpRequest(url, {}, b""), within(LONG))


def test_the_environments_proxies_and_netrc_are_not_read(provider, upstream, monkeypatch, tmp_path):
    with Faulty() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        request = chat(provider.url)
        del request.headers["authorization"]
        whole(upstream, request)

        assert proxy.connections == 0
    assert "authorization" not in provider.asked[0].headers


@pytest.mark.parametrize("name", ["User-Agent", "user-agent"])
def test_a_header_is_said_once(provider, upstream, name):
    request = chat(provider.url)
    request.headers |= {name: "ours", "Host": "evil.test", "Content-Length": "0", "Transfer-Encoding": "chunked"}
    whole(upstream, request)

    (asked,) = provider.asked
    assert asked.headers["user-agent"] == "ours"
    assert asked.headers["host"] == f"127.0.0.1:{provider.port}"
    assert asked.body == request.body


def test_a_header_without_end_is_given_up(provider, upstream):
    with pytest.raises(Failure) as failed:
        whole(upstream, chat(provider.url, f"long-header:size:{64 << 20}"))
    provider.end()

    assert Reason.BAD_RESPONSE is failed.value.reason
    assert provider.sent < 16 << 20


def test_an_answer_that_says_it_is_too_large_is_not_read(provider, upstream):
    with pytest.raises(Failure):
        whole(upstream, chat(provider.url, "huge"))
    provider.end()

    assert provider.sent < 16 << 20


def test_a_stream_that_grows_without_end_is_given_up(provider, upstream):
    got, failed = stream(upstream, chat(provider.url, "bomb", stream=True))

    assert failed is Reason.BAD_RESPONSE
    assert len(got) < 16 << 20
