"""Training: what ships is sound, and the same input gives the same bytes."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from aura import features
from aura.call import TIERS

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "aura" / "data" / "classifier.json"
OWN = sorted((ROOT / "training" / "conversations").glob("*.jsonl"))


def conversations():
    return [json.loads(line) for path in OWN for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_weights_are_small_and_made_for_these_features():
    assert WEIGHTS.stat().st_size < 2_000_000
    assert list(features.NAMES) == json.loads(WEIGHTS.read_bytes())["features"]


def test_the_weights_hold_no_sentence_of_a_prompt():
    """Phrases are single words and pairs of neighbours: nobody's prompt can be read from them."""
    phrases = json.loads(WEIGHTS.read_bytes())["phrases"]

    assert 2 >= max(len(phrase.split()) for phrase in phrases)


def test_every_step_has_its_edges_in_order():
    for name, step in json.loads(WEIGHTS.read_bytes())["steps"].items():
        assert sorted(set(step["edges"])) == step["edges"], name
        assert len(step["edges"]) == len(step["adds"]), name


def test_the_conversations_are_well_formed_and_of_many_kinds():
    rows = conversations()

    assert {*TIERS} == {row["tier"] for row in rows}
    assert all(any(message["role"] == "user" for message in row["messages"]) for row in rows)
    assert len({row["lang"] for row in rows}) >= 20
    assert min(Counter(row["tier"] for row in rows).values()) >= 100
    assert len(rows) == len({json.dumps(row, sort_keys=True) for row in rows})


@pytest.fixture(name="folder")
def data_folder(tmp_path):
    """A data folder of a few hundred made-up prompts, whose longer ones gain more."""
    rows = []
    for number in range(360):
        long = number % 3 == 0
        words = "Add these numbers and show each step: " if long else "Name the number: "
        rows.append(
            {
                "source": "made",
                "dataset": ("up", "down", "mbpp")[number % 4 % 3],
                "group": "made/up",
                "prompt": words + " ".join(str(number + step) for step in range(9 if long else 2)) + "?",
                "s": 1.0,
                "w": 0.0 if long or number % 5 == 0 else 1.0,
                "scores": {},
            }
        )
    with gzip.open(tmp_path / "dev.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    tiers = [{"tier": "ECO", "messages": [{"role": "user", "content": "hi there"}]}]
    (tmp_path / "tiers_dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tiers), encoding="utf-8")
    return tmp_path


def trained(folder, name):
    pytest.importorskip("lightgbm")
    pytest.importorskip("sklearn")
    command = [sys.executable, str(ROOT / "training" / "train.py"), str(folder), "--fast", "--output", folder / name]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / name).read_bytes()


def test_the_same_input_gives_the_same_bytes(folder):
    first = trained(folder, "first.json")

    assert first == trained(folder, "second.json")
    assert list(features.NAMES) == json.loads(first)["features"]


def test_what_was_trained_is_what_runs(folder):
    """The package computes from the file what training computed from the data."""
    from aura.classifier import model

    found = model.read(json.loads(trained(folder, "weights.json")))

    def score(prompt):
        return found.score(features.measure({"messages": [{"role": "user", "content": prompt}]}))[0]

    easy = score("Name the number: 7 8?")
    hard = score("Add these numbers and show each step: 1 2 3 4 5 6 7 8 9?")
    assert easy < hard


@pytest.mark.parametrize(
    ("score", "expected"),
    [([3, 2, 1, 0], 0.75), ([0, 1, 2, 3], 0.25), ([1, 1, 1, 1], 0.5)],
)
def test_the_gap_recovered_is_what_its_definition_says(score, expected, monkeypatch):
    """Half of the prompts gain: all of them first gives 3/4, last 1/4, ties a straight line."""
    numpy = pytest.importorskip("numpy")
    pytest.importorskip("lightgbm")
    monkeypatch.syspath_prepend(str(ROOT / "training"))
    import quality

    strong, weak = numpy.ones(4), numpy.array([0.0, 0.0, 1.0, 1.0])

    assert expected == pytest.approx(quality.apgr(numpy.array(score, float), strong, weak))
