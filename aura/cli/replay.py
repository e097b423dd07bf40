"""``aura replay``: what a changed configuration would have done to recorded calls."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .configured import CONFIGURATION_ERROR, FAILED, loaded, warn_of_demo
from .declaring import Commands
from .traffic import bodies

if TYPE_CHECKING:
    from ..replay import Configured, Report
    from ..settings import Settings

_TARGETS = 10  # moves between targets that are told


def declare(commands: Commands, _shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand; its ``--config`` is the changed configuration."""
    command = commands.add_parser("replay", help="say what a changed configuration would have done to recorded calls")
    command.add_argument(
        "--traffic", metavar="FILE", required=True, help="JSON lines of chat bodies; - reads the input"
    )
    command.add_argument("--config", metavar="NEW", dest="changed", required=True, help="the changed configuration")
    command.add_argument(
        "--before",
        metavar="FILE",
        dest="config",
        help="the configuration to compare it with (default: AURA_CONFIG, ./aura.yml, …)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the tier migration matrix, and the differences in cost and expected quality."""
    settings = loaded()
    changed = loaded(options.changed)
    if settings is None or changed is None:
        return CONFIGURATION_ERROR
    warn_of_demo(settings)
    warn_of_demo(changed, options.changed)
    chats = bodies(options.traffic)
    if chats is None:
        return FAILED
    from ..replay import replay
    from .gain import expected_gain

    report = replay(chats, _configured(settings), _configured(changed), expected_gain())
    if options.json:
        import orjson

        print(orjson.dumps(_facts(report)).decode())
    else:
        _print(_facts(report))
    return 0


def _configured(settings: Settings) -> Configured:
    from .. import catalogue, classifier
    from ..replay import Configured
    from ..router import Router

    return Configured(Router(settings, catalogue.load()), classifier.build(settings.classifier))


def _facts(report: Report) -> dict[str, Any]:
    from ..replay import LABELS

    before, after = report.before, report.after
    moves = sorted(report.targets.items(), key=lambda item: (-item[1], item[0]))
    seen = [label for label in LABELS if any(label in pair for pair in report.moved)]
    return {
        "calls": report.calls,
        "served_by_both": report.served,
        "changed_tier": sum(count for (old, new), count in report.moved.items() if old != new),
        "matrix": {old: {new: report.moved[old, new] for new in seen} for old in seen},
        "cost_usd": _difference(before.usd, after.usd, 6),
        "quality": _difference(before.quality, after.quality, 4),
        "targets": [{"before": old, "after": new, "calls": count} for (old, new), count in moves],
    }


def _difference(before: float, after: float, digits: int) -> dict[str, float]:
    before, after = round(before, digits), round(after, digits)
    return {"before": before, "after": after, "difference": round(after - before, digits)}


def _print(told: dict[str, Any]) -> None:
    print(f"{told['calls']} calls; {told['changed_tier']} change their tier. Rows are before, columns after.")
    names = list(told["matrix"])
    print(" " * 10 + "".join(f"{name:>10}" for name in names))
    for name in names:
        print(f"{name:>10}" + "".join(f"{told['matrix'][name][other]:>10}" for other in names))
    cost, quality = told["cost_usd"], told["quality"]
    change = f" ({cost['difference'] / cost['before']:+.1%})" if cost["before"] else ""
    served = f"of the {told['served_by_both']} calls that both serve"
    print(f"cost {served}: {cost['before']:.6f} -> {cost['after']:.6f} USD, {cost['difference']:+.6f}{change}")
    print(
        f"quality, the part of the expected gain of always asking PREMIUM that is kept:"
        f" {quality['before']:.2%} -> {quality['after']:.2%}, {quality['difference'] * 100:+.2f} points"
    )
    for move in told["targets"][:_TARGETS]:
        print(f"{move['calls']:>10} calls from {move['before']} to {move['after']}")
