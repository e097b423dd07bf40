"""Each door at a provider of each grammar, whatever becomes of the call: it ends as the client's grammar says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .matrix import CELLS, Cell, Seen, kept, run, shown, table
from .scripted import REFUSED, SAID, SEEN, THOUGHT

pytestmark = pytest.mark.xdist_group("matrix")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "compatibility.md"
STOPS = {"openai": "stop", "anthropic": "end_turn", "ollama": "stop", "responses": "completed"}
CALLED = {"openai": "tool_calls", "anthropic": "tool_use", "ollama": "stop", "responses": "completed"}
CUT = {"openai": "length", "anthropic": "max_tokens", "ollama": "length", "responses": "max_output_tokens"}
FILTERED = {"openai": "content_filter", "anthropic": "refusal", "ollama": "content_filter"}
FILTERED |= {"responses": "content_filter"}
# Of grammars that tell a refusal of the model's apart from a text.
APART = ("openai", "responses")


@pytest.fixture(scope="module")
def found() -> dict[Cell, Seen]:
    """What clients see; all at once, so that it takes seconds."""
    return run()


def name_of(cell: Cell) -> str:
    return f"{cell[0]} at {cell[1]}: {cell[2]}, {'streamed' if cell[3] else 'whole'}"


def cells(*cases: str) -> Any:
    return pytest.mark.parametrize("cell", [cell for cell in CELLS if cell[2] in cases], ids=name_of)


def is_whole(seen: Seen) -> bool:
    return seen.status == 200 and seen.over and not seen.errors


@cells("text", "image", "truncation")
def test_a_text_is_said_and_its_end_told(found, cell):
    grammar, _, case, _ = cell
    seen = found[cell]

    assert is_whole(seen)
    assert seen.text == (SEEN if case == "image" else SAID)
    assert seen.end == (CUT if case == "truncation" else STOPS)[grammar]
    assert (seen.calls, seen.refusal) == ([], "")


@cells("tools")
def test_parallel_calls_come_whole_and_in_their_order(found, cell):
    seen = found[cell]

    assert is_whole(seen)
    assert seen.calls == [("weather", {"asked": "weather"}), ("time", {"asked": "time"})]
    assert seen.end == CALLED[cell[0]]


@cells("schema")
def test_an_answer_keeps_to_its_schema(found, cell):
    seen = found[cell]

    assert is_whole(seen)
    assert json.loads(seen.text).keys() == {"asked"}
    assert (seen.calls, seen.end) == ([], STOPS[cell[0]])


@cells("reasoning")
def test_thoughts_are_told_apart_from_the_answer(found, cell):
    seen = found[cell]

    assert is_whole(seen)
    assert (seen.thoughts, seen.text, seen.end) == (THOUGHT, SAID, STOPS[cell[0]])


@cells("refusal")
def test_a_refusal_is_told_as_far_as_both_grammars_know_it(found, cell):
    """Azure filters what was said, Anthropic's model ends so, OpenAI's says it apart, Ollama's just says it."""
    grammar, provider, _, _ = cell
    seen = found[cell]

    assert is_whole(seen)
    assert seen.end == (FILTERED if provider in ("azure", "anthropic") else STOPS)[grammar]
    apart = provider == "openai" and grammar in APART
    said = SAID if provider == "azure" else REFUSED
    assert (seen.text, seen.refusal) == ("", said) if apart else said in (seen.text, seen.refusal)


@cells("error")
def test_an_error_before_content_is_told_with_its_status(found, cell):
    seen = found[cell]

    assert seen.status == 503
    assert_errors_form(cell[0], seen)


@cells("cut")
def test_an_answer_that_breaks_off_is_never_told_as_a_whole_one(found, cell):
    seen = found[cell]

    assert not is_whole(seen)
    if cell[3]:
        assert seen.status == 200
        assert SAID.startswith(seen.text)
        assert seen.text
        assert (seen.end, seen.over) == ("", False)
    else:
        assert seen.status == 502
    assert_errors_form(cell[0], seen)


def assert_errors_form(grammar: str, seen: Seen) -> None:
    [error] = seen.errors
    if grammar == "anthropic":
        assert error["type"] == "error"
        assert error["error"].keys() == {"type", "message"}
    elif grammar == "ollama":
        assert error.keys() == {"error"}
    else:
        assert {"message", "code"} <= error.get("error", error).keys()


def test_the_page_holds_the_table_of_what_was_run(found):
    """``python -m tests.matrix docs/compatibility.md`` writes it anew."""
    print(table(found))

    assert kept(PAGE.read_text()) == table(found)
    assert len(found) == len(CELLS)
    assert not [cell for cell in CELLS if shown(found[cell]) == ""]
