"""What is stored: bytes that are told from any others."""

from __future__ import annotations

import os
import pickle

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from aura.cache.entry import Codec, Head, Poisoned, head_of, well_formed
from aura.cache.key import SCHEMA
from aura.call import Target

BODY = {
    "id": "x",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}
DATA = orjson.dumps(BODY)
HEAD = Head(1000.5, 60.0, Target("openai", "gpt-4o"), 1.25, 0.002, len(DATA), ("seed",))
ENTRY = Codec().pack(HEAD, DATA)
MOST = 10_000


def made(head: list | bytes, body: bytes) -> bytes:
    return (head if isinstance(head, bytes) else orjson.dumps(head)) + b"\n" + body


def packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def head(**changes: object) -> list:
    return list(
        {
            "s": SCHEMA,
            "at": 1.0,
            "ttl": 1.0,
            "p": "p",
            "m": "m",
            "sec": 1.0,
            "usd": 0.0,
            "n": 5,
            "d": [],
            **changes,
        }.values()
    )


def unsized(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


class Trap:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return os.abort, ()


def test_an_entry_comes_back_as_it_was():
    assert Codec().unpack(ENTRY, MOST) == (HEAD, BODY, DATA)
    assert head_of(ENTRY)[0] == HEAD
    line = [SCHEMA, 1000.5, 60.0, "openai", "gpt-4o", 1.25, 0.002, len(DATA), ["seed"]]
    assert ENTRY.split(b"\n")[0] == orjson.dumps(line)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n\n\n", id="line ends"),
        pytest.param(b"x" * 5000, id="text"),
        pytest.param(pickle.dumps(Trap()), id="pickle"),
        pytest.param(b"!" + pickle.dumps(Trap()), id="a pickle of flask-caching's"),
        pytest.param(DATA, id="an answer alone"),
        pytest.param(ENTRY[:-3], id="cut"),
        pytest.param(ENTRY[:20], id="cut in its head"),
        pytest.param(ENTRY.replace(b"[%d," % SCHEMA, b"[%d," % (SCHEMA + 1), 1), id="another schema"),
        pytest.param(made(b"[" * 1000, packed(DATA)), id="deep head"),
        pytest.param(made({}, packed(DATA)), id="head of another kind"),
        pytest.param(made(head(p=1, n=len(DATA)), packed(DATA)), id="provider of another kind"),
        pytest.param(made(head(at="soon", n=len(DATA)), packed(DATA)), id="time of another kind"),
        pytest.param(made(head(n=len(DATA) + 1), packed(DATA)), id="another size"),
        pytest.param(made(head(n=len(DATA)), unsized(DATA)), id="no size"),
        pytest.param(made(head(n=2**40), packed(b"0" * 2**24)), id="bomb with its size"),
        pytest.param(made(head(n=5), packed(b"0" * 2**24)), id="bomb with another"),
        pytest.param(made(head(n=5), packed(b"{nope")), id="no JSON"),
        pytest.param(made(head(n=4), packed(b"null")), id="null"),
        pytest.param(made(head(n=9000), packed(b"[" * 9000)), id="deep"),
        pytest.param(made(head(n=15), packed(b'{"choices":[1]}')), id="another shape"),
    ],
)
def test_anything_else_is_poison(entry):
    with pytest.raises(Poisoned):
        Codec().unpack(entry, MOST)


@given(st.integers(0, len(ENTRY) - 1), st.integers(1, 255))
def test_no_changed_byte_makes_more_than_poison(at, change):
    changed = bytearray(ENTRY)
    changed[at] ^= change
    try:
        _, body, _ = Codec().unpack(bytes(changed), MOST)
    except Poisoned:
        return

    assert well_formed(body)


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (BODY, True),
        ({**BODY, "choices": [{**BODY["choices"][0], "finish_reason": None}]}, False),
        ({**BODY, "choices": [{**BODY["choices"][0], "message": {"tool_calls": ["f"]}}]}, False),
        ({**BODY, "choices": [{**BODY["choices"][0], "message": {"tool_calls": [{"id": "1"}]}}]}, True),
        ({**BODY, "choices": []}, False),
        ({**BODY, "choices": {}}, False),
        ({**BODY, "usage": []}, False),
        ({**BODY, "model": None}, False),
        ({"model": "m", "object": "list", "data": [{"embedding": [0.5]}]}, True),
        ({"model": "m", "data": []}, False),
        ({"error": {"message": "x"}, "model": "m"}, False),
    ],
)
def test_only_whole_answers_are_well_formed(body, whole):
    assert well_formed(body) is whole
