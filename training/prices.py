"""Make ``aura/data/prices.json``: prices and context windows, from the PyPI package genai-prices.

    pip install genai-prices
    python training/prices.py --date 2026-11-24 aura/data/prices.json

The same package version and date give the same bytes. Nothing is fetched: the package carries its data.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pathlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

PACKAGE = "genai-prices"
# Those who sell their models, or other people's, behind an API that one of Aura's providers can speak.
VENDORS = (
    *("anthropic", "azure", "cerebras", "cohere", "deepseek", "fireworks", "google", "groq", "mistral", "moonshotai"),
    *("novita", "openai", "openrouter", "perplexity", "together", "voyageai", "x-ai", "zai"),
)
_FIELDS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--date", required=True, type=datetime.date.fromisoformat, help="prices of this day")
    parser.add_argument("out", type=pathlib.Path)
    options = parser.parse_args()
    options.out.write_text(document(options.date), encoding="utf-8")
    return 0


def document(day: datetime.date) -> str:
    """The file's text: one model a line, so that a change of price is a change of one line."""
    from genai_prices.data import providers

    known = {provider.id: provider for provider in providers}
    source = {"package": PACKAGE, "version": version(PACKAGE), "date": day.isoformat()}
    vendors = []
    for name in VENDORS:
        provider = known[name]
        rows = sorted(rows_of(provider, day), key=lambda row: row["id"])
        lines = ",\n".join("   " + json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows)
        api = json.dumps(provider.api_pattern)
        vendors.append(f'  {json.dumps(name)}: {{"api": {api}, "models": [\n{lines}\n  ]}}')
    return f'{{"source": {json.dumps(source)},\n "vendors": {{\n' + ",\n".join(vendors) + "\n }}\n"


def rows_of(provider: Any, day: datetime.date) -> Iterator[dict[str, Any]]:
    """The models of a vendor that are billed by tokens.

    Yields:
        ``id``; ``names`` and ``starts``, where other names mean the same model; ``window``; ``price``: US dollars per
        million tokens fresh, out, read from the cache and written to it, cut where nothing more is known.
    """
    for model in provider.models:
        price = price_of(model.prices, day)
        if price is None and model.context_window is None:
            continue
        names, starts = names_of(model.match)
        row: dict[str, Any] = {"id": model.id}
        if names - {model.id}:
            row["names"] = sorted(names - {model.id})
        if starts:
            row["starts"] = sorted(starts)
        if model.context_window:
            row["window"] = model.context_window
        if price is not None:
            row["price"] = price
        yield row


def price_of(prices: Any, day: datetime.date) -> list[float | None] | None:
    """The prices of a day, at the base rate: neither those of very long prompts nor those of certain hours."""
    if isinstance(prices, list):
        current = None
        for conditional in prices:
            constraint = conditional.constraint
            begins = getattr(constraint, "start_date", None)
            if constraint is None or (begins is not None and begins <= day):
                current = conditional.prices
        prices = current
    found = [_number(getattr(prices, field, None)) for field in _FIELDS]
    if found[0] is None:
        return None
    found[1] = found[1] or 0
    while found[-1] is None:
        found.pop()
    return found


def _number(value: Any) -> float | int | None:
    if value is None:
        return None
    number = float(getattr(value, "base", value))
    return int(number) if number.is_integer() else number


def names_of(match: Any) -> tuple[set[str], set[str]]:
    """The names, and the beginnings of names, by which a vendor's model is meant."""
    names: set[str] = set()
    starts: set[str] = set()
    for clause in getattr(match, "or_", [match]):
        if hasattr(clause, "equals"):
            names.add(clause.equals)
        elif hasattr(clause, "starts_with"):
            starts.add(clause.starts_with)
        elif hasattr(clause, "regex"):
            names |= _dated(clause.regex)
    return names, starts


def _dated(regex: str) -> set[str]:
    """A name from a pattern that only allows a date behind it: dates are taken off where a model is looked up."""
    plain = re.sub(r"(\[-@\]|-)\\d\{(8|4)\}(-\\d\{2\}-\\d\{2\})?\$$", "", regex.removeprefix("^"))
    plain = plain.replace("\\.", ".").replace("\\-", "-")
    return {plain} if re.fullmatch(r"[\w.:/@-]+", plain) else set()


if __name__ == "__main__":
    sys.exit(main())
