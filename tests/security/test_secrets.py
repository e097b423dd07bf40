"""The type of secrets: it shows nothing in any form that text, JSON or objects are written in."""

from __future__ import annotations

import copy
import json
import logging
import marshal
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from pprint import pformat
from typing import Any

import orjson
import pytest

from aura.log import JsonFormatter, TextFormatter
from aura.providers import openai
from aura.settings import ProviderSettings, Secret

CANARY = "sk-canary-0123456789-abcdefgh"
SECRET = Secret(CANARY)
HOLDER = ProviderSettings("p", "openai", api_key=SECRET, headers={"x-key": SECRET})


def logged(formatter: logging.Formatter, value: Any) -> str:
    record = logging.LogRecord("aura", logging.INFO, "", 0, "event %s", (value,), None)
    record.key = value
    return formatter.format(record)


SHOWN: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "format": "{}".format,
    "format of its repr": "{!r}".format,
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031
    "an f-string": lambda value: f"{value} {value!r} {value!s} {value!a}",
    "ascii": ascii,
    "pformat": pformat,
    "a list": lambda value: str([value, {"a": (value,)}]),
    "JSON with a default": lambda value: json.dumps(value, default=str),
    "orjson with a default": lambda value: orjson.dumps({"a": value}, default=str).decode(),
    "a log line": lambda value: logged(JsonFormatter(), value),
    "a log line for people": lambda value: logged(TextFormatter(), value),
    "an exception": lambda value: "".join(traceback.format_exception(ValueError(value))),
}


@pytest.mark.parametrize("held", [SECRET, HOLDER, openai.provider(HOLDER)], ids=["itself", "settings", "provider"])
@pytest.mark.parametrize("way", SHOWN)
def test_a_secret_prints_as_stars(way, held):
    shown = SHOWN[way](held)

    assert "***" in shown
    assert "canary" not in shown
    assert CANARY[:8] not in shown
    assert CANARY[-8:] not in shown


def test_a_secret_prints_as_stars_whatever_the_format_asks_for():
    assert [f"{SECRET:>80}", f"{SECRET:.40}", format(SECRET, "x")] == ["***"] * 3


def test_a_traceback_with_the_values_of_variables_shows_none():
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)

    assert "canary" not in "".join(told.format()).replace("CANARY", "")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("held", [SECRET, HOLDER], ids=["itself", "settings"])
def test_a_secret_is_not_pickled(protocol, held):
    with pytest.raises(TypeError):
        pickle.dumps(held, protocol)


@pytest.mark.parametrize(
    "write",
    [copy.deepcopy, copy.copy, json.dumps, orjson.dumps, marshal.dumps, vars, iter, len, bytes],
    ids=lambda write: write.__name__,
)
def test_a_secret_is_written_and_taken_apart_in_no_other_way(write):
    with pytest.raises((TypeError, ValueError)):
        write(SECRET)


def test_two_secrets_are_compared_and_a_text_is_none():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert (bool(Secret("")), bool(SECRET)) == (False, True)
    assert hash(Secret("a")) == hash(Secret("a"))


def test_settings_can_be_changed_without_a_secret_being_copied():
    assert replace(HOLDER, timeout=1.0).api_key is SECRET
    with pytest.raises(TypeError):
        asdict(HOLDER)
