"""Pieces of text are read without being parsed, and never otherwise than a parser reads them."""

import random

import orjson
import pytest

from aura.call import Call, Translation
from aura.dialects import anthropic, openai
from aura.dialects.assembly import plain_text
from aura.dialects.pieces import Alike, Piece
from aura.fronts import FRONTS
from aura.sse import Event

HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "system_fingerprint": "choices",
}
TEXTS = [
    " word",
    "Grüße",
    "日本",
    "\n",
    "\t",
    '"',
    "\\",
    'say "no"',
    "\\\\",
    "a\\",
    "{}",
    "}",
    "]}",
    "choices",
    "content",
    "0",
    "😀",
    "m",
]


def chunk(text, **others):
    return {**HEAD, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **others}


def reader(choices=1):
    return openai.reader(Translation(body={}, choices=choices))


def read(events, fresh=False):
    """What a reader says of events; where it is fresh for each, none is known from before."""
    one = reader()
    return [(reader() if fresh else one).feed(Event("", event))[0] for event in events]


def told(chunks):
    return [
        (each.body, each.data, each.name, each.content, each.finished, each.usage, each.last, each.text)
        for each in chunks
    ]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_say_what_a_parser_reads(seed):
    draw = random.Random(seed)
    events = []
    for _ in range(60):
        others = draw.choice([{}, {}, {"usage": None}, {"obfuscation": "aZ09"[: draw.randrange(5)]}, {"model": "n"}])
        written = orjson.dumps(chunk(draw.choice(TEXTS) + draw.choice(TEXTS), **others))
        if draw.random() < 0.2:
            written = written.replace(b"\xc3\xbc", b"\\u00fc").replace(b"/", b"\\/")
        if draw.random() < 0.2:
            written = written[:-1] + b" " * draw.randrange(9) + b"}"
        events.append(written)
    assert told(read(events)) == told(read(events, fresh=True))


def test_what_is_like_an_earlier_event_is_not_parsed_again():
    first, *others = read([orjson.dumps(chunk(text)) for text in (" one", " two", "\n", "drei €")])
    assert type(first) is not Piece
    assert [type(other) for other in others] == [Piece] * 3
    assert [other.text for other in others] == [" two", "\n", "drei €"]


def test_what_fills_events_up_makes_them_no_others():
    events = [orjson.dumps(chunk(f"w{length}", obfuscation="x" * length)) for length in range(1, 9)]
    assert [type(each) for each in read(events)[1:]] == [Piece] * 7
    assert [each.text for each in read(events)] == [f"w{length}" for length in range(1, 9)]


def test_so_do_blanks_before_the_end():
    one = Alike(lambda body: body["delta"]["text"])
    one.learn(b'{"delta":{"text":"a"}  }', "a")
    assert [one.text(b'{"delta":{"text":"b"}%b}' % (b" " * length)) for length in range(9)] == ["b"] * 9


BEFORE, BEHIND = orjson.dumps(chunk("\0")).split(b'"\\u0000"')


@pytest.mark.parametrize(
    "between",
    [b"", b'"', b'""', b"null", b"1", b'["a"]', b'"a"b"', b'"a","tool_calls":[]', b'"a\\"', b'"\xff"', b'"a\nb"',
     b'"\\q"', b'"a" ', b'{"a":"b"}', b'"a","content":"b"'],
)  # fmt: skip
def test_what_stands_in_the_texts_place_and_is_none_is_read_by_the_parser(between):
    def outcome(known):
        one = reader()
        if known:
            one.feed(Event("", orjson.dumps(chunk("first"))))
            assert type(one.feed(Event("", orjson.dumps(chunk("second"))))[0]) is Piece
        try:
            return told(one.feed(Event("", BEFORE + between + BEHIND)))
        except ValueError as error:
            return type(error)

    assert outcome(known=True) == outcome(known=False)


@pytest.mark.parametrize("behind", [BEHIND[:-1], BEHIND + b"}", BEHIND[:-2], b"", BEHIND[:-1] + b',"obfuscation":""'])
def test_what_ends_otherwise_is_no_piece(behind):
    one = Alike(lambda body: plain_text(body["choices"][0]))
    one.learn(BEFORE + b'"a"' + BEHIND, "a")
    assert one.text(BEFORE + b'"b"' + BEHIND) == "b"
    assert one.text(BEFORE + b'"b"' + behind) == ""


def test_the_body_of_a_piece_is_what_its_bytes_say():
    _, piece = read([orjson.dumps(chunk("a")), orjson.dumps(chunk("b", usage=None, obfuscation="x"))][:2])
    assert piece.body == chunk("b", usage=None, obfuscation="x")
    _, piece = read([orjson.dumps(chunk("a")), orjson.dumps(chunk("b"))])
    assert type(piece) is Piece
    assert piece.body == chunk("b")
    with pytest.raises(AttributeError):
        piece.something  # noqa: B018


def test_a_stream_of_several_choices_is_always_parsed():
    one = reader(choices=2)
    read = [one.feed(Event("", orjson.dumps(chunk(text))))[0] for text in "abc"]
    assert all(type(each) is not Piece for each in read)


def anthropics(draw):
    """The events of a stream, with whatever may come between pieces of text."""
    yield {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3}}}
    for index in range(draw.randrange(1, 5)):
        kind = draw.choice(["text", "text", "thinking", "tool_use"])
        begun = {"text": {"text": ""}, "thinking": {"thinking": ""}, "tool_use": {"id": "t", "name": "f", "input": {}}}
        if draw.random() < 0.8 or kind == "tool_use":
            yield {"type": "content_block_start", "index": index, "content_block": {"type": kind, **begun[kind]}}
        for _ in range(draw.randrange(12)):
            text = draw.choice(TEXTS) + draw.choice(TEXTS)
            delta = {
                "text": {"type": "text_delta", "text": text},
                "thinking": {"type": "thinking_delta", "thinking": text},
                "tool_use": {"type": "input_json_delta", "partial_json": text},
            }
            said = kind if draw.random() < 0.9 or kind == "tool_use" else draw.choice(["text", "thinking"])
            at = index if draw.random() < 0.9 else draw.randrange(5)
            yield {"type": "content_block_delta", "index": at, "delta": delta[said]}
            if draw.random() < 0.1:
                yield {"type": "ping"}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


def outcomes(events, client, parsed, monkeypatch):
    """What a client of a grammar gets of Anthropic's events, and what the chunks say."""
    if parsed:
        monkeypatch.setattr(Alike, "text", lambda *_: "")
    one = anthropic.reader(Translation(body={}, model="m", created=1))
    writer = FRONTS[client].writer(Call(id="r", body={"messages": []}, grammar=client, native={}))
    chunks, written = [], []
    for event in events:
        try:
            read = one.feed(event)
        except ValueError:
            written.append(b"skipped")
            continue
        chunks += read
        written.append(writer.write(read, verbatim=client == "anthropic"))
    return told(chunks), written, writer.end()


@pytest.mark.parametrize("client", ["openai", "anthropic", "ollama"])
@pytest.mark.parametrize("seed", range(20))
def test_anthropics_pieces_say_what_a_parser_reads(client, seed, monkeypatch):
    draw = random.Random(seed)
    events = []
    for body in anthropics(draw):
        data = orjson.dumps(body)[:-1] + b" " * draw.randrange(5) + b"}"
        events.append(Event(body["type"] if draw.random() < 0.9 else "", data))
    known = outcomes(events, client, False, monkeypatch)
    assert known == outcomes(events, client, True, monkeypatch)


def test_anthropics_pieces_are_not_parsed_again():
    events = [
        {"type": "message_start", "message": {"id": "msg_1", "model": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in "abc"),
    ]
    one = anthropic.reader(Translation(body={}))
    chunks = [chunk for event in events for chunk in one.feed(Event(event["type"], orjson.dumps(event)))]
    assert [type(each) for each in chunks[-2:]] == [Piece] * 2
    assert chunks[-1].body["choices"][0]["delta"] == {"content": "c"}


@pytest.mark.parametrize("client", ["anthropic", "responses", "ollama", "completions"])
def test_pieces_are_written_as_what_they_say(client):
    def written(fresh):
        writer = FRONTS[client].writer(Call(id="r", body={"messages": []}, grammar=client, native={}, clock=None))
        chunks = read([orjson.dumps(chunk(text)) for text in TEXTS], fresh)
        return [writer.write([each], verbatim=False) for each in chunks]

    assert written(fresh=False) == written(fresh=True)
