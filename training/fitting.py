"""How the numbers of ``classifier.json`` are found. Everything is deterministic: fixed seeds, one thread, rounded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import lightgbm
import numpy as np
from data import MISGRADED, Conversations, Measured, Prompts, incidence
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge

from aura import features

NAMES = list(features.NAMES)
WORDS, OPTIONS = NAMES.index("words"), NAMES.index("options")
EXAM = 3
EDGES = (0, 1, 2, 4, 7, 12, 20, 35, 60, 110, 220, 450, 1000, 2500)
FINE = {
    "word_length": (3.5, 4, 4.5, 5, 5.5, 6, 7),
    "common_share": (0.05, 0.15, 0.25, 0.35, 0.45, 0.55),
    "turns": EDGES[1:],
    "sentences": EDGES[1:],
    "words": EDGES[1:],
    "ask_words": EDGES[1:],
    "distinct_words": EDGES[1:],
    "sentence_words": EDGES[1:],
    "foreign_share": (0.02, 0.07, 0.15, 0.25),
    "code_density": (0.5, 1, 2, 4, 7, 12),
}
# What a conversation is about, and its language, must not decide its tier: too few are labelled to learn that.
NOT_FOR_TIERS = {"accents", "cyrillic", "dense_script", "foreign_share", "asks_foreign", "characters"}
PHRASES, PLAIN_LENGTH = 1.0, 0.3
GAIN, RIDGE, STILL = 1.3, 10.0, 600.0
# How far kinds of prompts are to lie apart in the score for a gain of one, and how much each source is heeded in that:
# one asked nine models, the other up to twenty.
APART, HEEDED = 10.0, {"llmrouter": 100.0, "zeroeval": 600.0}
STUMPS = {
    "n_estimators": 150, "learning_rate": 0.06, "num_leaves": 2, "min_child_samples": 60, "subsample": 0.7,
    "subsample_freq": 1, "colsample_bytree": 0.3, "reg_lambda": 20.0, "n_jobs": 1, "verbose": -1, "random_state": 0,
    "deterministic": True, "force_row_wise": True,
}  # fmt: skip


def centred(prompts: Prompts) -> np.ndarray:
    """Gains less their dataset's mean: what remains is about prompts, not about benchmarks."""
    target = prompts.gain.copy()
    good = prompts.group != MISGRADED
    for name in np.unique(prompts.dataset):
        inside = prompts.dataset == name
        if (inside & good).any():
            target[inside] -= prompts.gain[inside & good].mean()
    return target


def balance(dataset: np.ndarray, power: float) -> np.ndarray:
    """Weights that let a small dataset count for more than its size."""
    names, counts = np.unique(dataset, return_counts=True)
    size = dict(zip(names, counts, strict=True))
    weights = np.array([size[name] ** -power for name in dataset])
    return weights / weights.mean()


def steps(values: np.ndarray) -> tuple[np.ndarray, list[tuple[int, float]]]:
    """Every feature of the tier heads as steps: one column for each edge that a value may lie above."""
    columns, meaning = [], []
    for place, name in enumerate(NAMES):
        if name in NOT_FOR_TIERS or name.startswith("about_"):
            continue
        for edge in FINE.get(name, EDGES):
            columns.append(values[:, place] > edge)
            meaning.append((place, float(edge)))
    return np.array(columns, float).T, meaning


def vocabulary(terms: list[set], least: int = 40) -> dict:
    """Words and pairs that enough prompts have, in a fixed order."""
    counts: dict = {}
    for found in terms:
        for term in found:
            counts[term] = counts.get(term, 0) + 1
    kept = sorted((term for term, count in counts.items() if count >= least), key=str)
    return {term: place for place, term in enumerate(kept)}


def is_exam(measured: Measured) -> np.ndarray:
    """Which of them list answers by letter."""
    return measured.values[:, OPTIONS] >= EXAM


class Gain:
    """What a strong model gains, on a scale of unit variance: steps of features, weights of phrases, length.

    It is learned inside datasets only. What makes an exam question hard is not what makes other prompts hard, and exams
    are most of the data: ``others`` are further steps, for all that is no exam question.
    """

    def __init__(self, prompts: Prompts) -> None:
        good = prompts.take(prompts.group != MISGRADED)
        values, target = good.measured.values, centred(good)
        self.stumps = lightgbm.LGBMRegressor(**STUMPS).fit(values, target)
        other = ~is_exam(good.measured)
        left = (target - self.stumps.predict(values))[other]
        self.others = lightgbm.LGBMRegressor(**STUMPS).fit(values[other], left)
        self.vocabulary = vocabulary(good.measured.terms)
        found = incidence(good.measured.terms, self.vocabulary)
        ridge = Ridge(alpha=12.0, solver="sparse_cg", tol=1e-4)
        self.phrases = ridge.fit(found, target, balance(good.dataset, 0.2)).coef_
        parts = self._parts(good.measured)
        self.factors = np.array([1.0, PHRASES, PLAIN_LENGTH]) / [part.std() for part in parts]
        whole = sum(factor * part for factor, part in zip(self.factors, parts, strict=True))
        self.factors /= whole.std()
        self.mean = whole.mean() / whole.std()

    def __call__(self, measured: Measured) -> np.ndarray:
        return sum(factor * part for factor, part in zip(self.factors, self._parts(measured), strict=True)) - self.mean

    def _parts(self, measured: Measured) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values = measured.values
        return (
            self.stumps.predict(values) + np.where(is_exam(measured), 0, self.others.predict(values)),
            incidence(measured.terms, self.vocabulary) @ self.phrases,
            np.log1p(values[:, WORDS]),
        )


class Head:
    """The score: gain plus a correction by steps, which puts labelled conversations between two cuts.

    The correction is held still on benchmark prompts (its variance inside datasets is punished) and is nothing on
    exam questions, so that what the data say of gains inside a dataset stays. It also draws datasets apart by their
    mean gains, each against the others of its source, as these were won by the same models.
    """

    def __init__(self, gain: Gain, prompts: Prompts, labelled: Conversations) -> None:
        self.gain = gain
        columns, self.meaning = steps(labelled.measured.values)
        self.spread = columns.std(0) + 0.05
        found = steps(prompts.measured.values)[0] / self.spread
        root = self._root(prompts, found)
        kinds, wanted, weight = self._kinds(prompts, found)
        start = GAIN * gain(labelled.measured)
        drawn = Ordinal((columns / self.spread) @ root, labelled.tier, labelled.weight, start)
        weights, self.low, self.high = drawn.solve(kinds @ root, wanted, weight)
        self.weights = (root @ weights) / self.spread
        exam = is_exam(prompts.measured)
        known = gain(prompts.measured.take(np.flatnonzero(exam))).mean() if exam.any() else 0.0
        self.exam = (self.low + self.high) / 2 - GAIN * known

    def _root(self, prompts: Prompts, found: np.ndarray) -> np.ndarray:
        """The inverse root of the penalty."""
        columns = found.copy()
        columns[is_exam(prompts.measured)] = 0
        for name in np.unique(prompts.dataset):
            inside = prompts.dataset == name
            columns[inside] -= columns[inside].mean(0)
        share = balance(prompts.dataset, 0.5)
        covariance = (columns * (share / share.sum())[:, None]).T @ columns
        values, vectors = np.linalg.eigh(covariance)
        return vectors @ np.diag(1 / np.sqrt(RIDGE + STILL * np.maximum(values, 0))) @ vectors.T

    def _kinds(self, prompts: Prompts, found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each dataset: its mean step, what the correction is to add to its gain, and how much that is heeded."""
        gain = GAIN * self.gain(prompts.measured)
        means, wanted, weights = [np.zeros((0, found.shape[1]))], [np.zeros(0)], [np.zeros(0)]
        other = ~is_exam(prompts.measured)
        for source, heeded in HEEDED.items():
            mine = other & np.char.startswith(prompts.dataset, source + "/")
            sets = [mine & (prompts.dataset == name) for name in np.unique(prompts.dataset[mine])]
            if not sets:
                continue
            share = np.array([one.sum() for one in sets]) / mine.sum()
            step = np.array([found[one].mean(0) for one in sets])
            lacks = np.array([APART * prompts.gain[one].mean() - gain[one].mean() for one in sets])
            means.append(step - share @ step)
            wanted.append(lacks - share @ lacks)
            weights.append(heeded * share)
        return np.concatenate(means), np.concatenate(wanted), np.concatenate(weights)

    def __call__(self, measured: Measured) -> np.ndarray:
        correction = np.where(is_exam(measured), self.exam, steps(measured.values)[0] @ self.weights)
        raw = GAIN * self.gain(measured) + correction
        return 0.4 + 0.3 * (raw - self.low) / (self.high - self.low)


class Tiers:
    """Probabilities of the three tiers, by steps."""

    def __init__(self, labelled: Conversations, temperature: float = 1.0) -> None:
        columns = steps(labelled.measured.values)[0]
        spread = columns.std(0) + 0.05
        model = LogisticRegression(C=0.05, max_iter=3000, tol=1e-6)
        model.fit(columns / spread, labelled.tier, sample_weight=labelled.weight)
        self.weights = ((model.coef_[1:] - model.coef_[0]) / spread).T / temperature
        self.start = (model.intercept_[1:] - model.intercept_[0]) / temperature

    def logits(self, measured: Measured) -> np.ndarray:
        """Of BALANCED and PREMIUM against ECO."""
        return steps(measured.values)[0] @ self.weights + self.start

    def __call__(self, measured: Measured) -> np.ndarray:
        return softmax(self.logits(measured))


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of three tiers from the logits of two against the first."""
    whole = np.c_[np.zeros(len(logits)), logits] / temperature
    raised = np.exp(whole - whole.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def temperature(logits: np.ndarray, tier: np.ndarray) -> float:
    """The temperature at which held-out probabilities are the most likely."""
    choices = np.arange(0.5, 3.01, 0.05)
    rows = np.arange(len(tier))
    costs = [-np.log(softmax(logits, choice)[rows, tier] + 1e-9).mean() for choice in choices]
    return float(choices[int(np.argmin(costs))])


@dataclass(frozen=True)
class Ordinal:
    """Proportional odds with an offset and a unit ridge."""

    columns: np.ndarray
    tier: np.ndarray
    weight: np.ndarray
    start: np.ndarray

    def solve(self, kinds: np.ndarray, wanted: np.ndarray, heeded: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Weights and two cuts, the higher above the lower; ``kinds`` times the weights come near to ``wanted``."""
        size = self.columns.shape[1]

        def cost(point: np.ndarray):
            value, slope = self._cost(point, size)
            missed = kinds @ point[:size] - wanted
            slope[:size] += kinds.T @ (heeded * missed) + point[:size]
            return value + 0.5 * (heeded @ missed**2 + point[:size] @ point[:size]), slope

        begin = np.r_[np.zeros(size), -1.0, 0.7]
        found = minimize(cost, begin, jac=True, method="L-BFGS-B", options={"maxiter": 500})
        low = found.x[size]
        return found.x[:size], float(low), float(low + np.exp(found.x[size + 1]))

    def _cost(self, point: np.ndarray, size: int) -> tuple[float, np.ndarray]:
        """How improbable the tiers are, and its slope."""
        level, low = self.columns @ point[:size] + self.start, point[size]
        gap = np.exp(point[size + 1])
        above_low, above_high = _logistic(level - low), _logistic(level - low - gap)
        chance = np.maximum(np.choose(self.tier, [1 - above_low, above_low - above_high, above_high]), 1e-12)
        slope_low, slope_high = above_low * (1 - above_low), above_high * (1 - above_high)
        pull = -self.weight / chance
        by_level = pull * np.choose(self.tier, [-slope_low, slope_low - slope_high, slope_high])
        by_high = pull * np.choose(self.tier, [np.zeros_like(level), slope_high, -slope_high])
        value = -(self.weight * np.log(chance)).sum()
        return value, np.r_[self.columns.T @ by_level, -by_level.sum(), by_high.sum() * gap]


def _logistic(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(value, -40, 40)))


def families(prompts: Prompts) -> np.ndarray:
    """What is held out together: one benchmark under all its sources, or a sixth of the MMLU subjects."""
    subjects = sorted(set(prompts.group[prompts.dataset == "routellm/mmlu"]))
    sixth = {name: f"subjects {place % 6 + 1}" for place, name in enumerate(sorted(subjects, key=_shuffled))}
    kinds = (("gsm", "gsm"), ("math", "math"), ("arc", "science"), ("openbook", "science"), ("_qa", "questions"),
             ("mbpp", "functions"), ("human_eval", "functions"))  # fmt: skip
    names = []
    for dataset, group in zip(prompts.dataset, prompts.group, strict=True):
        if dataset == "routellm/mmlu":
            names.append(sixth[group])
        else:
            names.append(next((kind for part, kind in kinds if part in dataset), dataset))
    return np.array(names)


def _shuffled(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
