"""Values as people write them, and placeholders."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura.configuration import placeholders, spec, units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("500ms", 0.5),
        ("2m", 120),
        ("1h", 3600),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("90", 90),
        ("0.25", 0.25),
        ("0s", 0),
        ("PT60S", 60),
        ("PT1H30M", 5400),
        ("P1DT0.5S", 86400.5),
        (" 60S ", 60),
    ],
)
def test_a_duration_is_read_in_seconds(text, seconds):
    assert seconds == units.duration(text)


@pytest.mark.parametrize("text", ["", "s", "60 parsecs", "1h30", "P", "PT", "nan", "inf", "1e999", "60s60", "-", "١s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="must be a duration"):
        units.duration(text)


@settings(deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_duration_of_one_unit_is_its_number_times_the_unit(number, unit):
    factor = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[unit]

    assert number * factor == pytest.approx(units.duration(f"{number}{unit}") * 1000)


@settings(deadline=None)
@given(st.floats(0, 10**9))
def test_a_number_of_seconds_is_read_as_it_was_written(seconds):
    assert seconds == units.duration(repr(seconds))


@settings(deadline=None)
@given(st.text(max_size=30))
def test_a_value_is_read_or_refused_never_anything_else(text):
    for read in (units.duration, units.size, units.boolean, units.integer, units.number):
        told = "must be"
        try:
            read(text)
        except ValueError as error:
            told = str(error)

        assert told.startswith("must be")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20MiB", 20 * 1024 * 1024),
        ("1MB", 1024 * 1024),
        ("512KiB", 512 * 1024),
        ("512k", 512 * 1024),
        ("1.5 GiB", 1536 * 1024 * 1024),
        ("1000", 1000),
        ("1000B", 1000),
    ],
)
def test_a_size_is_read_in_bytes(text, expected):
    assert expected == units.size(text)


@pytest.mark.parametrize("text", ["", "20 miles", "-1", "MiB", "1" * 400])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="must be a size"):
        units.size(text)


@pytest.mark.parametrize(
    ("words", "expected"), [("true True yes on ON y 1", True), ("false FALSE no off Off n 0", False)]
)
def test_yes_and_no_are_yamls_words(words, expected):
    assert {expected} == {units.boolean(word) for word in words.split()}


ENVIRONMENT = {"HOST": "db", "PORT": "6379", "EMPTY": "", "ODD": "${HOST}", "BRACES": "a}b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${HOST}", "db"),
        ("${MISSING:db2}", "db2"),
        ("${MISSING:}", ""),
        ("${HOST:other}", "db"),
        ("redis://${HOST}:${PORT}/0", "redis://db:6379/0"),
        ("${MISSING:${HOST}}", "db"),
        ("${MISSING:${ABSENT:x}}", "x"),
        ("${MISSING:a${ABSENT:b}c}d", "abcd"),
        ("${MISSING:http://localhost:8080}", "http://localhost:8080"),
        ("${HOST:${NOBODY}}", "db"),
        ("${HOST:${NOBODY:${X}}}!", "db!"),
        ("${EMPTY}", ""),
        ("${EMPTY:default}", "default"),
        ("${ODD}", "${HOST}"),
        ("${BRACES:x}", "a}b"),
        (r"\${HOST}", "${HOST}"),
        ("$HOST {HOST} }", "$HOST {HOST} }"),
    ],
)
def test_a_placeholder_stands_for_its_variable_or_its_default(text, expected):
    assert expected == placeholders.resolve(text, ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("${MISSING}", "MISSING is not set"),
        ("${ABSENT:${MISSING}}", "MISSING is not set"),
        ("${HOST", "not closed"),
        ("${MISSING:x", "not closed"),
        ("${HOST:${X}", "not closed"),
        ("${}", "names no variable"),
        ("${A:" * 100, "nested too deeply"),
    ],
)
def test_a_placeholder_that_stands_for_nothing_is_named(text, told):
    with pytest.raises(placeholders.Unresolved, match=told):
        placeholders.resolve(text, ENVIRONMENT)


@settings(deadline=None)
@given(st.text(alphabet="${}:\\AB ", max_size=60))
def test_any_text_is_filled_in_or_refused(text):
    try:
        filled = placeholders.resolve(text, {"A": "1"})
    except placeholders.Unresolved:
        return

    # A default that ends in a dollar sign may meet a brace that follows it.
    assert ("${" in filled) <= ("\\${" in text or "$}" in text)


@settings(deadline=None)
@given(st.text(max_size=60).filter(lambda text: "${" not in text))
def test_a_text_without_placeholders_stays_as_it_is(text):
    assert text == placeholders.resolve(text, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("maximumSize=10000,expireAfterWrite=1h", (10_000, 3600.0, [])),
        ("maximumSize=500", (500, None, [])),
        ("expireAfterWrite = 90s , ", (None, 90.0, [])),
        ("", (None, None, [])),
        (
            "maximumSize=1,recordStats",
            (1, None, ["recordStats in the cache's spec has no counterpart and is ignored."]),
        ),
    ],
)
def test_a_caffeine_spec_is_read(text, expected):
    assert expected == spec.read(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("expireAfterAccess=1h", "expireAfterAccess is not supported"),
        ("refreshAfterWrite=1h", "refreshAfterWrite is not supported"),
        ("maximunSize=1", "did you mean 'maximumSize'"),
        ("maximumSize=many", "maximumSize must be a whole number"),
        ("maximumSize=-1", "maximumSize must be a whole number"),
        ("expireAfterWrite=soon", "expireAfterWrite must be a duration"),
    ],
)
def test_a_spec_that_would_mean_something_else_is_refused(text, told):
    with pytest.raises(ValueError, match=told):
        spec.read(text)
