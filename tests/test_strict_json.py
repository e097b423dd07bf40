"""Strict JSON: what is refused and how it is said, and that nothing else is."""

import gc
import json
import random
import tracemalloc
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura import strict_json
from aura.errors import BadRequest


def refusal(data: bytes, **options) -> BadRequest:
    """The error of a text that must be refused."""
    with pytest.raises(BadRequest) as caught:
        strict_json.loads(data, **options)
    return caught.value


def accepted(data: bytes, explained: int = strict_json.MAX_EXPLAINED) -> object:
    """The value of a text, or the class that stands for a refusal."""
    with mock.patch.object(strict_json, "MAX_EXPLAINED", explained):
        try:
            return strict_json.loads(data)
        except BadRequest:
            return BadRequest


def reference(data: bytes, max_depth: int = 100) -> object:
    """Parse as plainly as can be: the standard library with everything forbidden that is forbidden."""
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_once, parse_int=_whole, parse_float=_real, parse_constant=_no_constant
        )
        if _depth(value) > max_depth:
            return BadRequest
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return BadRequest
    return value


def _once(pairs):
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _whole(literal):
    if len(literal) > 20 or not -(2**63) <= int(literal) < 2**64:
        raise ValueError
    return int(literal)


def _real(literal):
    if abs(float(literal)) == float("inf"):
        raise ValueError
    return float(literal)


def _no_constant(_literal):
    raise ValueError


def _depth(value):
    if isinstance(value, dict | list):
        return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def same(one: object, other: object) -> bool:
    """Equal also in kind: 1, 1.0 and True are three values."""
    return repr(one) == repr(other)


WRONG = [
    (b"", "empty", None),
    (b" \n\t", "empty", None),
    (b"\xef\xbb\xbf{}", "byte order mark", None),
    ('{"a": 1}'.encode("utf-16"), "UTF-16", None),
    ('{"a": 1}'.encode("utf-16-be"), "UTF-16", None),
    ('{"a": 1}'.encode("utf-32-le"), "UTF-16 or UTF-32", None),
    (b'{"a": "\xc3"}', "UTF-8, at byte 8", None),
    (b'{"a": "\xed\xa0\x80"}', "UTF-8", None),
    (b'{"a": "\xc0\x80"}', "UTF-8", None),
    (b'{"a": "\xf5\x80\x80\x80"}', "UTF-8", None),
    (b'{"a": 1,\n "b" 2}', "line 2, column 6", None),
    (b'{"a": 1} {"a": 1}', "column 10", None),
    (b"{'a': 1}", "column 2", None),
    (b'{"a": 1,}', "not valid JSON", None),
    (b'{"a": 01}', "not valid JSON", None),
    (b'{"a": "\x00"}', "control character", None),
    (b'{"a": nul', "not valid JSON", None),
    (b'{"top": NaN}', "NaN", "top"),
    (b'{"a": {"b": [0, -Infinity]}}', "-Infinity", "a.b[1]"),
    (b'{"a": [1e999]}', "too large", "a[0]"),
    (b'{"a": -1e999}', "too large", "a"),
    (b'{"seed": 18446744073709551616}', "64 bits", "seed"),
    (b'{"seed": -9223372036854775809}', "64 bits", "seed"),
    (b'{"a": "\\ud800"}', "surrogate", "a"),
    (b'{"a": ["\\udc00\\ud800"]}', "surrogate", "a[0]"),
    (b'{"a": {"\\ud800": 1}}', "surrogate pair in a name", "a"),
    (b'{"a": 1, "a": 1}', "twice", "a"),
    (b'{"a": 1, "\\u0061": 2}', "twice", "a"),
    (b'{"a" : 1, "a"\n:\r2}', "twice", "a"),
    (b'[{"b": {"c": 1, "d": 2, "c": {}}}]', "twice", "[0].b.c"),
    (b'{"": 1, "": 2}', "twice", None),
]


@pytest.mark.parametrize(("data", "says", "param"), WRONG)
def test_what_is_refused_says_what_and_where(data, says, param):
    error = refusal(data)

    assert says in error.message
    assert param == error.param
    assert error.status == 400


RIGHT = [
    b"{}",
    b" [1, -0, 0.5, 1e2, 1E-400, true, false, null] \r\n",
    b"18446744073709551615",
    b"-9223372036854775808",
    b"1e300",
    b"[1e20, 36893488147419103232.0]",
    b'"\\ud83d\\ude00 \\u0000 \\" \\\\ \xe2\x80\xa8"',
    b'{"a": "\\":", "b": " : \\" :", "c:": "{[", "d\\\\": "\\\\\\": "}',
    b'{"a": {"a": {"a": 1}}, "A": 2}',
    '{"é": "\x7f", "\u0661": "😀"}'.encode(),
]


@pytest.mark.parametrize("data", RIGHT)
def test_what_is_json_is_accepted_as_it_is(data):
    assert same(json.loads(data), strict_json.loads(data))


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":[', b"]}"), (b'{"[":', b"}")])
def test_a_hundred_levels_are_the_most(opening, closing):
    levels = 1 + opening.count(b":[")
    right = opening * (100 // levels) + b"1" + closing * (100 // levels)

    assert isinstance(strict_json.loads(right), list | dict)
    assert "nested too deeply" in refusal(b"[" + right + b"]").message


@pytest.mark.parametrize("unit", [b"[", b'{"a":', b'[{"a":', b"[1,[2],"])
@pytest.mark.parametrize("count", [101, 1_100, 100_000])
def test_depth_is_refused_however_deep(unit, count):
    assert "nested too deeply" in refusal(unit * count).message


def test_depth_counts_before_any_other_fault():
    """The slow reading that explains a fault must not meet thousands of levels."""
    deep = b'{"a": NaN, "b": ' + b"[" * 5000 + b"]" * 5000 + b"}"

    assert "nested too deeply" in refusal(deep).message


def test_brackets_in_strings_are_no_depth():
    text = "[{" * 5000 + '"\\'

    assert strict_json.loads(json.dumps({"a": text}).encode()) == {"a": text}


def test_a_long_number_is_refused_without_being_computed():
    assert refusal(b'{"n": ' + b"9" * 50_000 + b"}").param == "n"
    assert refusal(b'{"n": ' + b"9" * 500_000 + b"}").status == 400


LONG = b'{"a": "%s", ' % (b"x\\u00e9" * 20_000)


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (b'"b": 1, "b": 2}', "a name twice"),
        (b'"b": 18446744073709551616}', "64 bits"),
        (b'"b": [1e20, 1, -9223372036854775809]}', "64 bits"),
        (b'"b": NaN}', "line 1, column"),
        (b'"b": 1e999}', "line 1, column"),
        (b'"b": "\\ud800"}', "line 1, column"),
        (b'"b": %s}' % (b"[" * 99 + b"{}" + b"]" * 99), "nested too deeply"),
        (b'"b": %s' % (b"[" * 5000), "nested too deeply"),
    ],
)
def test_a_long_text_is_refused_in_fewer_words_and_without_a_second_reading(end, says, monkeypatch):
    """Finding the place takes many times as long as parsing, and every other client waits."""
    monkeypatch.setattr(strict_json, "_read_slowly", lambda text: pytest.fail("read slowly"))
    error = refusal(LONG + end)

    assert (says in error.message, error.param) == (True, None)


def test_a_long_text_with_large_numbers_and_what_looks_like_names_is_accepted():
    end = b'"b": [1e20, 36893488147419103232.5, 18446744073709551615, 99999999999999999999e1], "c": "\\":\\" :"}'

    assert same(json.loads(LONG + end), strict_json.loads(LONG + end))


@pytest.mark.parametrize(
    "data",
    [
        b'{"%s": NaN}' % (b"k" * 5000),
        b'{"a": {"%s": NaN}}' % (b"<script>" * 20),
        b'{"%s": 1, "%s": 2}' % (b"secret" * 30, b"secret" * 30),
        b'{"messages": "%s' % (b"my secret prompt " * 100),
        b'["my secret prompt", nope]',
        b'{"a": %s}' % (b'{"abcdefgh":' * 40 + b"NaN" + b"}" * 40),
    ],
)
def test_an_error_never_shows_more_than_a_short_path(data):
    error = refusal(data)

    assert len(error.param or "") <= 64
    assert "secret" not in error.message
    assert "<" not in error.message + (error.param or "")
    assert len(error.message) < 160


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=6)
    | st.sampled_from(['":', '" :', "a\\", '\\"', ":", "{[", "\u2028"])
)
names = st.sampled_from(["a", "b", "a ", 'a"', "a\\", ":", ""]) | st.text(max_size=3)
spaces = st.sampled_from(["", "", "", " ", "\n", "\t\r"])


@st.composite
def texts(draw, depth=3):
    """JSON texts with white space, escapes and equal names; now and then no JSON."""
    before, after = draw(spaces), draw(spaces)
    shape = draw(st.sampled_from(["scalar", "array", "object", "object"])) if depth else "scalar"
    if shape == "scalar":
        value = draw(scalars)
        made = json.dumps(value, ensure_ascii=draw(st.booleans()))
    elif shape == "array":
        made = "[" + ",".join(draw(st.lists(texts(depth - 1), max_size=3))) + "]"
    else:
        pairs = draw(st.lists(st.tuples(names, spaces, texts(depth - 1)), max_size=3))
        made = "{" + ",".join(f"{json.dumps(name)}{space}:{value}" for name, space, value in pairs) + "}"
    return before + made + after


@settings(max_examples=300, deadline=None)
@given(texts())
def test_it_accepts_exactly_what_the_reference_accepts(text):
    data = text.encode("utf-8", "surrogatepass")

    assert same(reference(data), accepted(data))
    assert same(reference(data), accepted(data, explained=0))


def test_mutated_bodies_are_judged_as_the_reference_judges_them():
    """A mutation lands where no grammar would: in escapes, between the bytes of a character, at both ends."""
    source = random.Random(20)
    valid = json.dumps(
        {
            "model": "a/b",
            "messages": [{"role": "user", "content": 'é "x": \\ 😀 {}'}, {"role": "tool", "a": [1.5, -2, 1e19, None]}],
            "metadata": {"k": {"k": "\ud83d\ude00"}, "n": 2**63},
        }
    ).encode()
    pieces = [
        b'"',
        b"\\",
        b":",
        b",",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\\u",
        b"\xc3",
        b"9" * 20,
        b"e999",
        b"NaN",
        b" ",
        b"\x00",
    ]
    refused = 0
    for _ in range(3000):
        at, cut = source.randrange(len(valid)), source.choice((0, 0, 1, 2, 9))
        data = valid[:at] + source.choice([*pieces, valid[at : at + 30], b""]) + valid[at + cut :]
        found = accepted(data)
        refused += found is BadRequest

        assert same(reference(data), found), data
        assert same(found, accepted(data, explained=0)), data
    assert 1000 < refused < 3000


def test_refusals_leave_no_memory_behind():
    bodies = [data for data, _, _ in WRONG] + [b"[" * 100_000, b'{"a": "%s' % (b"x" * 100_000)]
    assert [accepted(data) for data in bodies] == [BadRequest] * len(bodies)

    gc.disable()  # nothing may wait for it
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        for data in bodies:
            accepted(data)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    gc.enable()

    assert grown < 100_000
