"""What is learned from: prompts with the outcomes of a strong and a weak model, and conversations with a tier."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from aura import features

OWN = Path(__file__).parent / "conversations"
TIERS = {"ECO": 0, "BALANCED": 1, "PREMIUM": 2}
# Graded wrongly at its source: the strong model loses to the weak one by 0.27 because of answers that were not read.
MISGRADED = "mmlu/high_school_mathematics"
# Kinds of benchmark prompts whose tier is plain; they join the conversations with a small weight.
PLAIN = {"mbpp": "BALANCED", "natural_qa": "ECO", "trivia_qa": "ECO", "math-l5": "PREMIUM"}
PLAIN_EACH, PLAIN_WEIGHT = 60, 0.3
_LARGE = ("70B", "70b", "72B", "gpt-4o-2024", "opus", "sonnet", "Large", "1.5-pro", "nemotron")
_MIDDLE = ("o1", "mini", "flash")


@dataclass(frozen=True)
class Measured:
    """Bodies as the model sees them."""

    values: np.ndarray
    terms: list[set]

    def take(self, index) -> Measured:
        """Some of them, by position."""
        index = np.asarray(index)
        return Measured(self.values[index], [self.terms[place] for place in index])

    def __len__(self) -> int:
        return len(self.terms)


@dataclass(frozen=True)
class Prompts:
    """Benchmark prompts: strong and weak outcome, what is learned from them, and where each comes from."""

    measured: Measured
    strong: np.ndarray
    weak: np.ndarray
    gain: np.ndarray
    dataset: np.ndarray
    group: np.ndarray
    fold: np.ndarray

    def take(self, mask) -> Prompts:
        """Those of a mask."""
        index = np.flatnonzero(mask)
        parts = (self.strong, self.weak, self.gain, self.dataset, self.group, self.fold)
        return Prompts(self.measured.take(index), *(part[index] for part in parts))


@dataclass(frozen=True)
class Conversations:
    """Labelled conversations; ``dataset`` names the benchmark of those that come from one, else is empty."""

    measured: Measured
    tier: np.ndarray
    weight: np.ndarray
    dataset: np.ndarray
    kind: np.ndarray

    def take(self, mask) -> Conversations:
        """Those of a mask."""
        index = np.flatnonzero(mask)
        return Conversations(
            self.measured.take(index), self.tier[index], self.weight[index], self.dataset[index], self.kind[index]
        )


def measure(bodies: list[dict]) -> Measured:
    """Measure chat bodies with the package's own features."""
    found = [features.measure(body) for body in bodies]
    return Measured(np.array([one.values for one in found], float), [set(one.terms()) for one in found])


def prompts(folder: Path) -> Prompts:
    """Read the benchmark prompts of a data folder."""
    with gzip.open(folder / "dev.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return Prompts(
        measured=measure([body_of(row["prompt"]) for row in rows]),
        strong=np.array([row["s"] for row in rows], float),
        weak=np.array([row["w"] for row in rows], float),
        gain=np.array([_gain(row) for row in rows], float),
        dataset=np.array([f"{row['source']}/{row['dataset']}" for row in rows]),
        group=np.array([row["group"] for row in rows]),
        fold=np.array([_fold(row["prompt"]) for row in rows]),
    )


def conversations(folder: Path) -> Conversations:
    """Read the labelled conversations: the folder's, our own, and a few plain benchmark prompts."""
    rows = [("dev", row) for row in _lines(folder / "tiers_dev.jsonl")]
    for path in sorted(OWN.glob("*.jsonl")):
        rows += [("own", row) for row in _lines(path)]
    with gzip.open(folder / "dev.jsonl.gz", "rt", encoding="utf-8") as file:
        rows += _plain([json.loads(line) for line in file if line.strip()])
    bodies = [{"messages": row["messages"], **row.get("body", {})} for _, row in rows]
    return Conversations(
        measured=measure(bodies),
        tier=np.array([TIERS[row["tier"]] for _, row in rows]),
        weight=np.array([PLAIN_WEIGHT if "/" in origin else 1.0 for origin, _ in rows]),
        dataset=np.array([origin if "/" in origin else "" for origin, _ in rows]),
        kind=np.array(["plain" if "/" in origin else origin for origin, _ in rows]),
    )


def body_of(prompt: str) -> dict:
    """A chat body of one user turn."""
    return {"messages": [{"role": "user", "content": prompt}]}


def incidence(terms: list[set], vocabulary: dict) -> sparse.csr_matrix:
    """Which known terms each prompt has, each row scaled by the root of their number."""
    columns, starts = [], [0]
    for found in terms:
        columns += sorted(vocabulary[term] for term in found if term in vocabulary)
        starts.append(len(columns))
    counts = np.diff(starts)
    data = np.repeat(1 / np.sqrt(counts + 5.0), counts)
    return sparse.csr_matrix((data, np.array(columns, np.int32), np.array(starts)), (len(terms), len(vocabulary)))


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _plain(rows: list[dict]) -> list[tuple[str, dict]]:
    found = []
    for name, tier in PLAIN.items():
        chosen = sorted((row for row in rows if row["dataset"] == name), key=lambda row: _digest(row["prompt"]))
        for row in chosen[:PLAIN_EACH]:
            found.append((f"{row['source']}/{name}", {"tier": tier, **body_of(row["prompt"])}))
    return found


def _gain(row: dict) -> float:
    """Strong minus weak; where many models were asked, half of it is what large ones gain over small ones."""
    gain, scores = row["s"] - row["w"], row["scores"]
    large = [score for name, score in scores.items() if any(part in name for part in _LARGE)]
    small = [score for name, score in scores.items() if not any(part in name for part in _LARGE + _MIDDLE)]
    if len(large) < 2 or len(small) < 2:
        return gain
    return 0.5 * gain + 0.5 * (sum(large) / len(large) - sum(small) / len(small))


def _digest(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def _fold(prompt: str) -> int:
    """One of five; the same question in two sources falls into the same."""
    return _digest(re.sub(r"\W", "", prompt.lower())) % 5
