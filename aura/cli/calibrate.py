"""``aura calibrate``: thresholds for one's own traffic. What it prints is YAML, the table in comments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .configured import CONFIGURATION_ERROR, FAILED, complain, loaded, warn_of_demo
from .declaring import Commands
from .traffic import bodies

if TYPE_CHECKING:
    from ..calibration import Point, Tiers, Traffic, Weighed
    from ..call import Json, Tier, Verdict
    from ..router import Router
    from ..settings import Settings

_NEAR = 0.01
_HEAD = f"# {'premium':>9} {'balanced':>9} {'ECO':>7} {'BALANCED':>9} {'PREMIUM':>8} {'USD/1k':>10} {'quality':>8}"


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser(
        "calibrate", parents=[shared], help="find the thresholds that meet a share or a budget on your own traffic"
    )
    command.add_argument(
        "--traffic", metavar="FILE", required=True, help="JSON lines of chat bodies; - reads the input"
    )
    goal = command.add_mutually_exclusive_group(required=True)
    goal.add_argument("--premium-share", type=_share, metavar="0..1", help="the share of calls that PREMIUM answers")
    goal.add_argument("--budget-usd-per-1k", type=_dollars, metavar="USD", help="what a thousand calls may cost")
    command.add_argument("--plot", type=_drawing, metavar="FILE", help="draw quality over cost as an SVG")
    command.set_defaults(run=run)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return value


def _drawing(text: str) -> Path:
    if not text.lower().endswith(".svg"):
        raise argparse.ArgumentTypeError("must end with .svg: that is what is drawn")
    return Path(text)


def _dollars(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of US dollars, not negative")
    return value


def run(options: argparse.Namespace) -> int:
    """Print a configuration block with the thresholds, above it the way from all ECO to all PREMIUM."""
    settings = loaded()
    if settings is None:
        return CONFIGURATION_ERROR
    warn_of_demo(settings)
    chats = bodies(options.traffic)
    if chats is None:
        return FAILED
    from ..calibration import OutOfReachError

    read = _read(settings, chats)
    if read is None:
        complain("no call of the traffic is left to the classifier: there is nothing to calibrate")
        return FAILED
    calls, summary = read
    try:
        if options.premium_share is not None:
            chosen = calls.for_share(options.premium_share)
        else:
            chosen = calls.for_budget(options.budget_usd_per_1k)
    except OutOfReachError as error:
        complain(str(error))
        return FAILED
    _check(options, chosen)
    current = calls.point(settings.classifier.premium_threshold, settings.classifier.balanced_threshold)
    curve = calls.curve()
    _print(summary, curve, current, chosen)
    if options.plot:
        from .plot import drawn

        try:
            options.plot.write_text(drawn(curve, current, chosen), "utf-8")
        except OSError as error:
            complain(f"{options.plot} cannot be written: {error.strerror}")
            return FAILED
    return 0


def _check(options: argparse.Namespace, chosen: Point) -> None:
    """Say so where thresholds do not reach a share: many equal scores, or a classifier that does not heed them."""
    asked, found = options.premium_share, chosen.shares[2]
    if asked is not None and abs(found - asked) > _NEAR:
        complain(f"no thresholds give a share of {asked:.1%}; the nearest is {found:.1%}")


def _read(settings: Settings, chats: list[Json]) -> tuple[Traffic, str] | None:
    """The traffic as the calibration wants it, and a sentence about it; None if nothing is left to the classifier."""
    from .. import catalogue, classifier
    from ..calibration import Traffic
    from ..errors import AuraError
    from ..router import Router
    from .gain import expected_gain

    router, judge = Router(settings, catalogue.load()), classifier.build(settings.classifier)
    gain = expected_gain()
    calls: list[Weighed] = []
    judged: list[tuple[Json, Verdict]] = []
    fixed, fixed_usd, refused = 0, 0.0, 0
    for body in chats:
        try:
            verdict = judge(body)
            weighed = _weighed(router, body, verdict.score, gain(body))
        except AuraError:
            refused += 1
            continue
        if isinstance(weighed, float):
            fixed, fixed_usd = fixed + 1, fixed_usd + weighed
        else:
            calls.append(weighed)
            judged.append((body, verdict))
    if not calls:
        return None
    summary = (
        f"{len(chats)} calls: {len(calls)} are left to the classifier ({settings.classifier.type}),"
        f" {fixed} name their tier or target, {refused} cannot be served."
    )
    tiers = _tiers(settings, judged)
    return Traffic(calls, tiers, settings.classifier.balanced_threshold, fixed, fixed_usd), summary


def _weighed(router: Router, body: Json, score: float, gain: float) -> Weighed | float:
    """A call with what it costs in each tier; only its cost if the classifier has no say."""
    from ..calibration import Weighed
    from ..call import TIERS, Call, Verdict
    from ..preview import Untouched, estimate
    from ..router.needs import needs_of

    call = Call("calibrate", body)
    needs = needs_of(call)
    answers, costs = [], []
    for tier in TIERS:
        verdict = Verdict(tier, score)
        plan = router.plan(call, lambda _, verdict=verdict: verdict, Untouched())  # type: ignore[misc]
        usd = estimate(needs, plan.targets[0], body).usd
        if plan.verdict is None or plan.tier is None:
            return usd
        answers.append(plan.tier)
        costs.append(usd)
    return Weighed(score, gain, (answers[0], answers[1], answers[2]), (costs[0], costs[1], costs[2]))


def _tiers(settings: Settings, judged: list[tuple[Json, Verdict]]) -> Tiers:
    """How the classifier's tiers follow from thresholds; one that does not say how is asked again each time."""
    from dataclasses import replace

    from .. import classifier
    from ..classifier.learned import decide

    def again(premium: float, balanced: float) -> list[Tier]:
        judge = classifier.build(replace(settings.classifier, premium_threshold=premium, balanced_threshold=balanced))
        return [judge(body).tier for body, _ in judged]

    def decided(premium: float, balanced: float) -> list[Tier]:
        return [decide(verdict.score, verdict.probabilities, balanced, premium) for _, verdict in judged]

    return decided if settings.classifier.type == "learned" else again


def _print(summary: str, curve: list[Point], current: Point, chosen: Point) -> None:
    print(f"# {summary}")
    print("# Quality is the part of the expected gain of always asking PREMIUM that is kept.")
    print(_HEAD)
    for point in curve:
        print(_row(point, ""))
    print(_row(current, "now"))
    print(_row(chosen, "chosen"))
    print("aura:")
    print("  classifier:")
    print(f"    premium-threshold: {chosen.premium}")
    print(f"    balanced-threshold: {chosen.balanced}")


def _row(point: Point, mark: str) -> str:
    eco, balanced, premium = point.shares
    row = (
        f"# {point.premium:9.4f} {point.balanced:9.4f} {eco:7.1%} {balanced:9.1%} {premium:8.1%}"
        f" {point.usd_per_1k:10.4f} {point.quality:8.1%}"
    )
    return f"{row}  {mark}".rstrip()
