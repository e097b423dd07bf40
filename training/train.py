"""Make ``aura/data/classifier.json`` from a folder of routing data.

    python training/train.py DATA_FOLDER [--fast] [--output FILE] [--plot FILE]

The folder holds ``dev.jsonl.gz`` and ``tiers_dev.jsonl``. ``--fast`` leaves out the tables of what was held out, and
takes the temperature and the curve of gains from the present file. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import alone  # noqa: F401  (before anything that counts)
import data
import numpy as np
import quality
from fitting import GAIN, NAMES, Gain, Head, Tiers, softmax
from lightgbm import LGBMRegressor

TARGET = Path(__file__).parent.parent / "aura" / "data" / "classifier.json"
MARGIN = 0.1


def main() -> None:
    """Train, report, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--output", type=Path, default=TARGET)
    parser.add_argument("--plot", type=Path, help="where the reliability of the probabilities is drawn, as SVG")
    wanted = parser.parse_args()
    prompts, labelled = data.prompts(wanted.folder), data.conversations(wanted.folder)
    if wanted.fast:
        present = json.loads(TARGET.read_text())
        curve, temperature = present["gain_at"], present["temperature"]
    else:
        held = quality.hold_out(prompts, labelled)
        report(prompts, labelled, held)
        if wanted.plot:
            wanted.plot.write_text(quality.picture(reliability(labelled, held)))
        curve = quality.expected_gain(bounded(held.within), prompts.strong - prompts.weak)
        temperature = held.temperature
    gain = Gain(prompts)
    head = Head(gain, prompts, labelled)
    written = export(gain, head, Tiers(labelled, temperature), temperature, curve)
    wanted.output.write_text(json.dumps(written, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n")
    print(f"{wanted.output}: {wanted.output.stat().st_size} bytes, {len(gain.vocabulary)} phrases")


def report(prompts: data.Prompts, labelled: data.Conversations, held: quality.HeldOut) -> None:
    """Print what was held out."""
    print(f"{'set':28} {'n':>6} {'in folds':>9} {'left out':>9} {'apart':>7} {'length':>7}")
    for name, size, within, across, apart, length in quality.table(prompts, held):
        print(f"{name:28} {size:6d} {within:9.3f} {across:9.3f} {apart:7.3f} {length:7.3f}")
    for kind in ("dev", "own"):
        mask = labelled.kind == kind
        tier = labelled.tier[mask]
        for margin in (0.0, MARGIN, 9.0):
            found = quality.decide(held.tier_scores[mask], held.tier_logits[mask], margin)
            severe = int((np.abs(found - tier) == 2).sum())
            print(f"tiers {kind}, margin {margin}: {np.mean(found == tier):.3f} of {len(tier)}, {severe} severe")
    print(f"temperature {held.temperature:.2f}; stated, came true, number:")
    for row in reliability(labelled, held):
        print("  {:.2f} {:.2f} {}".format(*row))


def reliability(labelled: data.Conversations, held: quality.HeldOut) -> list[tuple[float, float, int]]:
    """Of the conversations that were held out, those of plain benchmark prompts apart."""
    real = labelled.kind != "plain"
    return quality.reliability(softmax(held.tier_logits[real], held.temperature), labelled.tier[real])


def bounded(score: np.ndarray) -> np.ndarray:
    """The package's bounds: the last tenth at both ends is bent so that it never reaches 0 or 1."""
    over, under = np.maximum(score - 0.9, 0), np.maximum(0.1 - score, 0)
    high, low = 0.9 + 0.1 * over / (over + 0.1), 0.1 - 0.1 * under / (under + 0.1)
    return np.where(score > 0.9, high, np.where(score < 0.1, low, score))


def export(gain: Gain, head: Head, tiers: Tiers, temperature: float, curve: list) -> dict:
    """Everything in units of the score, rounded."""
    unit = 0.3 / (head.high - head.low)
    of_stumps, of_phrases, of_words = (float(factor) * GAIN * unit for factor in gain.factors)
    jumps: dict[str, dict[float, np.ndarray]] = {}
    start = _stumps(gain.stumps, of_stumps, 0, jumps)
    other = _stumps(gain.others, of_stumps, 1, jumps)
    for (place, edge), score, logits in zip(head.meaning, head.weights, tiers.weights, strict=True):
        _add(jumps, NAMES[place], edge, np.array([0, score * unit, *logits]))
    return {
        "base": _round(0.4 - head.low * unit - gain.mean * GAIN * unit + start + other),
        "exam": _round(head.exam * unit - other),
        "features": NAMES,
        "gain_at": [[_round(score, 3), _round(value, 4)] for score, value in curve],
        "length": _round(of_words),
        "phrases": {
            " ".join(term) if isinstance(term, tuple) else term: _round(weight * of_phrases)
            for (term, _), weight in zip(gain.vocabulary.items(), gain.phrases, strict=True)
        },
        "probabilities": [_round(value) for value in tiers.start],
        "steps": {name: _summed(jumps[name]) for name in NAMES if name in jumps},
        "temperature": temperature,
    }


def _stumps(stumps: LGBMRegressor, factor: float, part: int, jumps: dict) -> float:
    """Note where each stump jumps and by how much, in a part of the step; return what all of them give at nought."""
    start = 0.0
    for tree in stumps.booster_.dump_model()["tree_info"]:
        node = tree["tree_structure"]
        if "leaf_value" in node:
            start += node["leaf_value"] * factor
            continue
        low, high = (node[side]["leaf_value"] * factor for side in ("left_child", "right_child"))
        edge = max(0.0, _round(node["threshold"], 6))
        start += low
        _add(jumps, NAMES[node["split_feature"]], edge, (high - low) * np.eye(4)[part])
    return start


def _add(jumps: dict, name: str, edge: float, jump: np.ndarray) -> None:
    inside = jumps.setdefault(name, {})
    inside[edge] = inside.get(edge, 0) + jump


def _summed(inside: dict[float, np.ndarray]) -> dict:
    """The edges of a feature, and what a value above each (and not above the next) adds in all."""
    edges = sorted(edge for edge, jump in inside.items() if np.abs(jump).max() > 1e-7)
    adds = np.cumsum([inside[edge] for edge in edges], axis=0)
    return {"edges": edges, "adds": [[_round(value) for value in row] for row in adds]}


def _round(value: float, digits: int = 5) -> float:
    return round(float(value), digits)


if __name__ == "__main__":
    main()
