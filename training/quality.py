"""How good it is on what was left out, as tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from data import MISGRADED, Conversations, Prompts
from fitting import Gain, Head, Tiers, families, temperature


@dataclass(frozen=True)
class HeldOut:
    """Scores and probabilities of rows that were not learned from."""

    within: np.ndarray
    across: np.ndarray
    apart: np.ndarray
    tier_scores: np.ndarray
    tier_logits: np.ndarray
    temperature: float


def apgr(score: np.ndarray, strong: np.ndarray, weak: np.ndarray) -> float:
    """Average performance gap recovered (arXiv 2406.18665), with a point of the curve at every distinct score."""
    if not len(score) or abs(strong.mean() - weak.mean()) < 1e-12:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    ordered, gains = score[order], np.cumsum((strong - weak)[order])
    last = np.r_[ordered[1:] != ordered[:-1], True]
    share = np.r_[0.0, (np.flatnonzero(last) + 1) / len(score)]
    recovered = np.r_[0.0, gains[last] / gains[-1]]
    return float(np.trapezoid(recovered, share))


def hold_out(prompts: Prompts, labelled: Conversations) -> HeldOut:
    """Score everything by models that did not see it: by random folds, kinds, sources; conversations by folds."""
    within, across = np.zeros(len(prompts.gain)), np.zeros(len(prompts.gain))
    for fold in range(5):
        out = prompts.fold == fold
        within[out] = _fit(prompts.take(~out), labelled)(prompts.take(out).measured)
    names = families(prompts)
    for name in sorted(set(names)):
        out = names == name
        kept = labelled.take(~np.isin(labelled.dataset, np.unique(prompts.dataset[out])))
        across[out] = _fit(prompts.take(~out), kept)(prompts.take(out).measured)
    apart = by_sources(prompts, labelled)
    scores, logits = _hold_out_tiers(prompts, labelled)
    real = labelled.kind != "plain"
    return HeldOut(within, across, apart, scores, logits, temperature(logits[real], labelled.tier[real]))


def by_sources(prompts: Prompts, labelled: Conversations) -> np.ndarray:
    """Score the prompts of each source by a model of the other sources' prompts: other makers, models and formats."""
    scores = np.zeros(len(prompts.gain))
    sources = np.array([name.partition("/")[0] for name in prompts.dataset])
    for source in sorted(set(sources)):
        out = sources == source
        kept = labelled.take(~np.isin(labelled.dataset, np.unique(prompts.dataset[out])))
        scores[out] = _fit(prompts.take(~out), kept)(prompts.take(out).measured)
    return scores


def _fit(prompts: Prompts, labelled: Conversations) -> Head:
    return Head(Gain(prompts), prompts, labelled)


def _hold_out_tiers(prompts: Prompts, labelled: Conversations) -> tuple[np.ndarray, np.ndarray]:
    gain = Gain(prompts)
    scores, logits = np.zeros(len(labelled.tier)), np.zeros((len(labelled.tier), 2))
    folds = np.arange(len(labelled.tier)) * 7 % 5
    for fold in range(5):
        out = (folds == fold) & (labelled.kind != "plain")
        kept = labelled.take(~out)
        scores[out] = Head(gain, prompts, kept)(labelled.take(out).measured)
        logits[out] = Tiers(kept).logits(labelled.take(out).measured)
    return scores, logits


def table(prompts: Prompts, held: HeldOut) -> list[tuple[str, int, float, float, float, float]]:
    """Set, size, APGR by random folds, with its kind left out, with its source left out, and of prompt length."""
    names = families(prompts)
    length = prompts.measured.values[:, 3]
    good = prompts.group != MISGRADED
    sets = {name: prompts.dataset == name for name in sorted(set(prompts.dataset))}
    for source in ("llmrouter", "zeroeval"):
        sets[f"{source} together"] = np.char.startswith(prompts.dataset, source)
    sets |= {f"MMLU {name}": (names == name) & good for name in sorted(set(names)) if name.startswith("subjects")}
    rows = []
    for name, mask in sets.items():
        outcome = prompts.strong[mask], prompts.weak[mask]
        figures = [apgr(one[mask], *outcome) for one in (held.within, held.across, held.apart, length)]
        rows.append((name, int(mask.sum()), *figures))
    return rows


def decide(scores: np.ndarray, logits: np.ndarray, margin: float) -> np.ndarray:
    """The package's decision, for arrays: the cut, one tier up where it is near and the tier head says so."""
    cut = (scores >= 0.4).astype(int) + (scores >= 0.7)
    said = np.c_[np.zeros(len(logits)), logits].argmax(1)
    near = ((cut == 0) & (scores >= 0.4 - margin)) | ((cut == 1) & (scores >= 0.7 - margin))
    return cut + (near & (said > cut))


def reliability(probabilities: np.ndarray, tier: np.ndarray) -> list[tuple[float, float, int]]:
    """Of ten bins of stated probability: the mean stated, the share that came true, and how many."""
    stated = probabilities.ravel()
    true = (np.arange(3)[None, :] == tier[:, None]).ravel()
    found = []
    for low in np.arange(0, 1, 0.1):
        inside = (stated >= low) & (stated < low + 0.1 + 1e-9 * (low > 0.85))
        if inside.any():
            found.append((float(stated[inside].mean()), float(true[inside].mean()), int(inside.sum())))
    return found


def expected_gain(score: np.ndarray, gain: np.ndarray, size: int = 12) -> list[tuple[float, float]]:
    """Mean gain by score, never falling: knots of equal numbers of prompts, neighbours pooled where they fall."""
    blocks = [[float(score[part].mean()), float(gain[part].mean()), len(part)]
              for part in np.array_split(np.argsort(score, kind="stable"), size)]  # fmt: skip
    place = 1
    while place < len(blocks):
        if blocks[place][1] >= blocks[place - 1][1]:
            place += 1
            continue
        left, right = blocks[place - 1], blocks.pop(place)
        count = left[2] + right[2]
        blocks[place - 1] = [(left[k] * left[2] + right[k] * right[2]) / count for k in (0, 1)] + [count]
        place = max(1, place - 1)
    return [(block[0], block[1]) for block in blocks]


def picture(points: list[tuple[float, float, int]]) -> str:
    """Reliability as SVG: what was stated across, what came true upwards; larger dots stand for more."""
    dots = "".join(
        f'<circle cx="{50 + 300 * stated:.1f}" cy="{330 - 300 * true:.1f}" r="{2 + count**0.5 / 5:.1f}"/>'
        for stated, true, count in points
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 380 380" font-family="sans-serif" font-size="13">'
        '<rect width="380" height="380" fill="#fff"/><path d="M50 30V330H350" fill="none" stroke="#444"/>'
        '<path d="M50 330L350 30" stroke="#bbb"/><text x="200" y="365" text-anchor="middle">stated probability</text>'
        '<text x="18" y="180" text-anchor="middle" transform="rotate(-90 18 180)">came true</text>'
        '<text x="50" y="346">0</text><text x="350" y="346" text-anchor="middle">1</text><text x="38" y="36">1</text>'
        f'<g fill="#26c">{dots}</g></svg>\n'
    )
