"""``aura top``: what a running gateway does now, in the terminal."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .configured import FAILED, complain
from .declaring import Commands
from .reached import OK, UNAUTHORIZED, Unreachable, answered, declare_address, wants_a_key
from .watched import Counts, Scrape, View, difference, lines

# The other screen without a cursor, and back; then: from the top, and what was below goes.
_ENTER, _LEAVE, _AGAIN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[H"
_REST_OF_LINE, _REST = "\x1b[K", "\x1b[J"


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser("top", parents=[shared], help="watch a running gateway in the terminal")
    declare_address(command)
    command.add_argument("--interval", type=_seconds, default=2.0, metavar="SECONDS", help="between two looks (2)")
    command.add_argument("--once", action="store_true", help="show what was counted since its start, and end")
    command.add_argument("--json", action="store_true", help="print one JSON object a look")
    command.set_defaults(run=run)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("between 0.1 and 3600 seconds")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Look again and again until the user has seen enough."""
    try:
        before = _scraped(options.url, options.key)
    except Unreachable as error:
        complain(str(error))
        return FAILED
    if options.once:
        _print(difference(None, before), options.json)
        return 0
    with suppress(KeyboardInterrupt):
        _watch(options, before)
    return 0


def _watch(options: argparse.Namespace, before: Scrape) -> None:
    drawn = sys.stdout.isatty() and not options.json
    with _screen(drawn):
        if drawn:
            _draw(difference(None, before), options.url, "")
        while True:
            time.sleep(options.interval)
            trouble = ""
            try:
                now = _scraped(options.url, options.key)
            except Unreachable as error:
                now, trouble = before, str(error)
            view = difference(before, now)
            if drawn:
                _draw(view, options.url, trouble)
            elif trouble:
                complain(trouble)
            else:
                _print(view, options.json)
            before = now


def _print(view: View, as_json: bool) -> None:
    if as_json:
        import orjson

        print(orjson.dumps(view).decode(), flush=True)
    else:
        print("\n".join(lines(view)), end="\n\n", flush=True)


def _draw(view: View, url: str, trouble: str) -> None:
    width, height = shutil.get_terminal_size()
    title = f"aura top  {url}  {time.strftime('%H:%M:%S')}  {trouble}"
    shown = [line[:width] for line in [title, "", *lines(view)]][: height - 1]
    sys.stdout.write(_AGAIN + "".join(f"{line}{_REST_OF_LINE}\n" for line in shown) + _REST)
    sys.stdout.flush()


@contextmanager
def _screen(drawn: bool) -> Iterator[None]:
    if drawn:
        sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        if drawn:
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()


def _scraped(url: str, key: str) -> Scrape:
    """What the gateway has counted.

    Raises:
        Unreachable: it cannot be had.
    """
    at = time.monotonic()
    with answered(url, key, "GET", "/actuator/prometheus") as answer:
        status, body = answer.status, answer.read()
    if status == UNAUTHORIZED:
        raise wants_a_key(url)
    if status != OK:
        raise Unreachable(f"{url} answers {status}")
    counts: Counts = {}
    from prometheus_client.parser import text_string_to_metric_families

    try:
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                counts.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    except ValueError:
        counts = {}
    if "aura_cache_hits_total" not in counts and "aura_overhead_seconds_bucket" not in counts:
        raise Unreachable(f"{url} is not Aura Gateway")
    return Scrape(at, counts)
