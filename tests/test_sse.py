"""Bytes to events, however they were split and whatever ended their lines."""

import pytest

from aura.sse import Decoder, Event, EventTooLarge, LineDecoder, comment, encode

# Written with LF; the tests say it with CR and CRLF too.
STREAMS = [
    pytest.param(b"data: one\n\ndata: two\n\n", [("", b"one"), ("", b"two")], id="two events"),
    pytest.param(b"event: ping\ndata: {}\n\n", [("ping", b"{}")], id="a named event"),
    pytest.param(b"data: a\ndata: b\n\n", [("", b"a\nb")], id="several data lines"),
    pytest.param(b"data:a\n\ndata:  b\n\n", [("", b"a"), ("", b" b")], id="one blank after the colon, or none"),
    pytest.param(b"data\n\n", [("", b"")], id="a field without a colon"),
    pytest.param(b": hello\n\ndata: a\n\n", [("", b"a")], id="a comment"),
    pytest.param(b"id: 7\nretry: 100\ndata: a\n\n", [("", b"a")], id="fields that do not matter"),
    pytest.param(b"event: nothing\n\ndata: a\n\n", [("", b"a")], id="a name without data"),
    pytest.param(b"\n\n\ndata: a\n\n\n\n", [("", b"a")], id="more blank lines than needed"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [("", b"a")], id="a byte order mark"),
    pytest.param(b"data: a", [("", b"a")], id="an end without a blank line"),
    pytest.param(
        'data: {"a":"x\u2028y\u2029z\x85"}\n\n'.encode(),
        [("", '{"a":"x\u2028y\u2029z\x85"}'.encode())],
        id="line separators of Unicode are text",
    ),
    pytest.param("data: Grüße 😀 中文\n\n".encode(), [("", "Grüße 😀 中文".encode())], id="UTF-8"),
]
LINE_ENDS = [pytest.param(b"\n", id="LF"), pytest.param(b"\r\n", id="CRLF"), pytest.param(b"\r", id="CR")]


def decoded(decoder, data, size):
    events = []
    for start in range(0, len(data), size):
        events += decoder.feed(data[start : start + size])
    return events + decoder.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize(("stream", "events"), STREAMS)
def test_events_are_the_same_however_the_stream_is_split(stream, events, line_end, size):
    data = stream.replace(b"\n", line_end)

    found = decoded(Decoder(), data, size)

    assert [Event(name, text) for name, text in events] == found


@pytest.mark.parametrize("cut", range(len(b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n")))
def test_a_read_may_end_between_cr_and_lf(cut):
    data = b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n"
    decoder = Decoder()

    found = decoder.feed(data[:cut]) + decoder.feed(b"") + decoder.feed(data[cut:]) + decoder.finish()

    assert [Event("", b"a\nb"), Event("", b"c")] == found


def test_line_ends_may_be_mixed_in_one_stream():
    found = decoded(Decoder(), b"data: a\r\n\ndata: b\r\rdata: c\n\r\n", 1)

    assert [Event("", b"a"), Event("", b"b"), Event("", b"c")] == found


def test_an_event_is_told_as_soon_as_its_blank_line_came():
    assert [Event("", b"a")] == Decoder().feed(b"data: a\r\r")
    assert [Event("", b"a")] == Decoder().feed(b"data: a\r\n\r")


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"data: " + b"x" * 100, id="a line without an end"),
        pytest.param(b"data: 0123456789\n" * 10, id="many data lines"),
        pytest.param(b":" + b"x" * 100, id="a comment without an end"),
    ],
)
def test_an_event_over_the_cap_is_refused(stream):
    with pytest.raises(EventTooLarge):
        decoded(Decoder(limit=64), stream, 16)


def test_many_events_below_the_cap_pass():
    assert len(decoded(Decoder(limit=64), b"data: 0123456789\n\n" * 100, 16)) == 100


@pytest.mark.parametrize("size", [1, 4, 1 << 20])
@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        pytest.param(b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], id="two lines"),
        pytest.param(b'{"a":1}\n\n \n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], id="blank lines"),
        pytest.param(b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}'], id="no line end at the end"),
        pytest.param('{"a":"\u2028"}\n'.encode(), ['{"a":"\u2028"}'.encode()], id="a line separator inside JSON"),
    ],
)
def test_ndjson_is_the_same_however_it_is_split(stream, lines, size):
    assert [Event("", line) for line in lines] == decoded(LineDecoder(), stream, size)


def test_an_ndjson_line_over_the_cap_is_refused():
    with pytest.raises(EventTooLarge):
        decoded(LineDecoder(limit=64), b"x" * 100, 16)


@pytest.mark.parametrize("event", [Event("", b'{"a":1}'), Event("message_stop", b"{}")])
def test_what_is_framed_here_is_read_here(event):
    framed = comment("keep-alive") + encode(event.data, event.name)

    assert [event] == decoded(Decoder(), framed, 1)
