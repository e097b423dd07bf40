"""``aura explain``: one prompt for people, or many as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .configured import CONFIGURATION_ERROR, FAILED, complain, loaded
from .declaring import Commands
from .traffic import STDIN, read

if TYPE_CHECKING:
    from ..call import Json
    from ..errors import AuraError

_SHOWN = 12  # contributions that a person is shown


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser("explain", parents=[shared], help="say how a prompt would be routed, and why")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("prompt", metavar="PROMPT", nargs="?", help="a user's message")
    what.add_argument("--stdin", action="store_true", help="read chat bodies from standard input, one JSON a line")
    what.add_argument("--file", metavar="FILE", help="read them from a file")
    command.add_argument("--json", action="store_true", help="print one JSON a line")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Explain what is asked for."""
    settings = loaded()
    if settings is None:
        return CONFIGURATION_ERROR
    explained = _explainer(settings)
    show = _print_json if options.json else _print_text
    if options.prompt is not None:
        chats: Iterable[tuple[int, Any]] = [
            (1, {"model": "auto", "messages": [{"role": "user", "content": options.prompt}]})
        ]
    else:
        chats = read(STDIN if options.stdin else options.file)
    try:
        return max((show(number, explained(chat)) for number, chat in chats), default=0)
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(f"{options.file or 'the input'} cannot be read: {error.strerror}")
        return FAILED


def _explainer(settings: Any) -> Callable[[Any], Json | AuraError]:
    """What explains a chat by a configuration; an error is handed on, and a chat that cannot be routed is one."""
    from .. import catalogue, classifier
    from ..call import Call
    from ..errors import AuraError, BadRequest
    from ..preview import Untouched, preview, unserved
    from ..router import Router

    router, judge, fleet = Router(settings, catalogue.load()), classifier.build(settings.classifier), Untouched()

    def explained(chat: Any) -> Json | AuraError:
        if isinstance(chat, AuraError):
            return chat
        call = Call("explain", chat)
        try:
            return preview(call, router, judge, settings, fleet)[1]
        except BadRequest as error:
            unable = error.code in ("unsupported_by_models", "context_length_exceeded")
            return unserved(call, settings, error) if unable else error
        except AuraError as error:
            return error

    return explained


def _print_json(number: int, told: Any) -> int:
    import orjson

    line = told if isinstance(told, dict) else {"line": number, **told.body()}
    print(orjson.dumps(line).decode(), flush=True)  # who writes to the input may wait for it
    return 0 if line is told else FAILED


def _print_text(number: int, told: Any) -> int:
    if not isinstance(told, dict):
        complain(f"line {number}: {told.message}")
        return FAILED
    print(f"{told['tier']}, decided by the {told['decided_by']}; score {told['score']:.3f}{_chances(told)}")
    for name in ("premium", "balanced"):
        print(f"  {told['margins'][name]:+.3f} from the {name} threshold")
    heaviest = sorted(told["contributions"].items(), key=lambda pair: -abs(pair[1]))
    for name, weight in heaviest[:_SHOWN]:
        print(f"  {weight:+.3f}  {name}")
    rest = heaviest[_SHOWN:]
    if rest:
        print(f"  {sum(weight for _, weight in rest):+.3f}  {len(rest)} more")
    for flip in told["flips"]:
        print(f"{flip['tier']} if {flip['feature']} were {flip['to']:g}, not {flip['from']:g}")
    _print_plan(told)
    return 0


def _chances(told: Json) -> str:
    return "".join(f", {tier} {chance:.0%}" for tier, chance in told["probabilities"].items())


def _print_plan(told: Json) -> None:
    for place, planned in enumerate(told["plan"], 1):
        cost = f"about {planned['cost_usd']:.6f} USD" if planned["priced"] else "price unknown"
        tokens = f"{planned['input_tokens']} + {planned['output_tokens']} tokens, by {planned['output_from']}"
        away = "" if planned["available"] else ", not available now"
        print(f"{place}. {planned['target']} ({planned['tier'] or 'no tier'}): {cost} ({tokens}){away}")
    for left in told["left_out"]:
        print(f"left out: {left['target']}: {left['reason']}")
    if "error" in told:
        print(f"refused: {told['error']['message']}")
