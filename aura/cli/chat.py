"""``aura chat``: asks a running gateway from the terminal. Its answer streams to the output, all else goes beside."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .configured import FAILED, complain
from .declaring import Commands
from .reached import OK, UNAUTHORIZED, Unreachable, answered, declare_address, wants_a_key

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from ..call import Json

_INTERRUPTED = 130  # 128 + SIGINT, as shells say it
_SILENCE = 150.0  # seconds; a stream that waits says so every 10 s, an answer's head may take longer
_PIECE = 64 * 1024
_STDIN = "-"
_NO_PROMPT = "there is no prompt: say it behind `aura chat`, or write it to the input"


class Refused(Exception):
    """The gateway answered with an error, or broke off; the text is its own."""


@dataclass(slots=True)
class Said:
    """An answer: what was said so far, and how it came about."""

    headers: Any
    text: str = ""
    usage: Json | None = None
    whole: bool = False
    started: float = field(default_factory=time.monotonic)


class Shown:
    """What goes to the output; a terminal gets no control characters, which it would obey."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._last = "\n"

    def add(self, text: str) -> None:
        """Show a piece at once."""
        sys.stdout.write(_plain(text) if self._terminal else text)
        sys.stdout.flush()
        self._last = text[-1]

    def end(self) -> None:
        """End the last line."""
        if self._last != "\n":
            print(flush=True)
            self._last = "\n"


def declare(commands: Commands, shared: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    command = commands.add_parser(
        "chat",
        parents=[shared],
        help="ask a running gateway from the terminal",
        description="Ask a running gateway; the answer is shown as it comes. Without a prompt the input is read; in a"
        " terminal that is a conversation, which Ctrl-D ends.",
        epilog="Exit: 0 answered, 1 not answered, 2 wrong arguments, 130 interrupted.",
    )
    command.add_argument("prompt", metavar="PROMPT", nargs="*", help="what to ask; - at its end adds the input")
    declare_address(command)
    command.add_argument("--model", default="auto", help="auto, eco, balanced, premium, or a model (default: auto)")
    command.add_argument("--system", metavar="TEXT", help="what the model is told first")
    command.add_argument("-v", "--verbose", action="store_true", help="show tier, model, tokens and cost, on stderr")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask once, or talk."""
    messages: list[Json] = [{"role": "system", "content": options.system}] if options.system else []
    try:
        if not options.prompt and sys.stdin.isatty():
            return _talk(options, messages)
        prompt = _prompt(options.prompt)
        if not prompt:
            complain(_NO_PROMPT)
            return FAILED
        return 0 if _turn(options, messages, prompt) else FAILED
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _INTERRUPTED


def _prompt(words: list[str]) -> str:
    """The prompt of the command line, of the input, or of both."""
    if words and words[-1] != _STDIN:
        return " ".join(words)
    return "\n\n".join(part for part in (" ".join(words[:-1]), sys.stdin.read().strip()) if part)


def _talk(options: argparse.Namespace, messages: list[Json]) -> int:
    """Ask what is typed, line by line, as one conversation; an interrupted or failed turn is forgotten."""
    with suppress(ImportError):
        import readline  # noqa: F401  (input() edits lines by it)
    print(f"aura: {options.model} at {options.url}; Ctrl-D ends", file=sys.stderr)
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            print(file=sys.stderr)
            return 0
        if not line:
            continue
        try:
            _turn(options, messages, line)
        except KeyboardInterrupt:
            print(file=sys.stderr)


def _turn(options: argparse.Namespace, messages: list[Json], prompt: str) -> bool:
    """Ask, show the answer, and add both to the conversation; False if there was none."""
    asked = [*messages, {"role": "user", "content": prompt}]
    shown = Shown(sys.stdout.isatty())
    try:
        said = _asked(options, asked, shown)
    except (Unreachable, Refused) as error:
        shown.end()
        complain(str(error))
        return False
    shown.end()
    messages[:] = [*asked, {"role": "assistant", "content": said.text}]
    if options.verbose:
        print(_how(said), file=sys.stderr)
    return True


def _asked(options: argparse.Namespace, messages: list[Json], shown: Shown) -> Said:
    """The answer, which is shown as it comes.

    Raises:
        Unreachable: there is none.
        Refused: it is an error, or not whole.
    """
    import orjson

    body: Json = {"model": options.model, "messages": messages, "stream": True}
    body["stream_options"] = {"include_usage": True}
    started = time.monotonic()
    path = "/v1/chat/completions"
    with answered(options.url, options.key, "POST", path, orjson.dumps(body), _SILENCE) as answer:
        if answer.status == UNAUTHORIZED:
            raise wants_a_key(options.url)
        if answer.status != OK or answer.headers.get_content_type() != "text/event-stream":
            raise Refused(_told(answer.read(_PIECE)) or f"{options.url} answers {answer.status}")
        said = Said(answer.headers, started=started)
        for event in _events(answer):
            _take(said, event, shown)
    if not said.whole:
        raise Refused("the answer broke off")
    return said


def _events(answer: HTTPResponse) -> Iterator[bytes]:
    from ..sse import Decoder

    decoder = Decoder()
    while piece := answer.read1(_PIECE):
        for event in decoder.feed(piece):
            yield event.data


def _take(said: Said, data: bytes, shown: Shown) -> None:
    """Show what an event brings.

    Raises:
        Refused: it is an error.
    """
    import orjson

    if data == b"[DONE]":
        said.whole = True
        return
    chunk = orjson.loads(data)
    if "error" in chunk:
        raise Refused(_told(data))
    said.usage = chunk.get("usage") or said.usage
    for choice in chunk.get("choices", ()):
        text = choice.get("delta", {}).get("content")
        if text:
            said.text += text
            shown.add(text)


def _told(body: bytes) -> str:
    """The message of an error object; empty if it is none."""
    import orjson

    try:
        message = orjson.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return _plain(str(message))


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def _how(said: Said) -> str:
    """Tier, model, tokens, cost and time of an answer."""
    from ..catalogue import cost_usd, load
    from ..dialects.openai import usage_in

    headers, usage = said.headers, usage_in(said.usage)
    provider, model = headers.get("x-aura-provider", "-"), headers.get("x-aura-model", "-")
    known = load().find(model)
    cost = f"about {cost_usd(usage, known.price):.6f} USD" if known and known.price else "price unknown"
    if headers.get("x-aura-cache") == "hit":
        cost = "from the cache"
    return _plain(
        f"{headers.get('x-aura-tier', 'no tier')}, {provider}/{model}, {usage.input} + {usage.output} tokens, {cost}, "
        f"{time.monotonic() - said.started:.1f} s, {headers.get('x-request-id', '-')}"
    )
