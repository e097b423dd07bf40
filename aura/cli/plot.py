"""Quality over cost, drawn as an SVG."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..calibration import Point

_WIDTH, _HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 40, 60
_STEPS = 8  # lines of the grid, about
_LINE, _GREY, _NOW, _CHOSEN = "#1f5fa8", "#d0d4da", "#8a8f98", "#c2410c"


def drawn(curve: Sequence[Point], current: Point, chosen: Point) -> str:
    """Draw the curve with two marks on it: the thresholds there are, and those chosen."""
    dearest = max(point.usd_per_1k for point in (*curve, current, chosen)) or 1.0
    step = _round_step(dearest / _STEPS)
    top = step * ceil(dearest / step - 1e-9)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
        f' viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">',
        "<title>Expected quality over cost</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *_grid(top, step),
        _curve(curve, top),
        _mark(current, top, _NOW, f"now: {current.premium:g} / {current.balanced:g}", 18),
        _mark(chosen, top, _CHOSEN, f"chosen: {chosen.premium:g} / {chosen.balanced:g}", -10),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(top: float, step: float) -> list[str]:
    parts = []
    for count in range(round(top / step) + 1):
        x = _x(count * step, top)
        parts.append(f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{_HEIGHT - _BOTTOM}" stroke="{_GREY}"/>')
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{count * step:g}", "middle"))
    for percent in range(0, 101, 20):
        y = _y(percent / 100)
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="{_GREY}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{percent} %", "end"))
    parts.append(_text(_WIDTH / 2, _HEIGHT - 16, "expected cost of 1,000 calls, US dollars", "middle"))
    parts.append(_text(_LEFT, _TOP - 16, "part of the expected gain that is kept", "start"))
    return parts


def _curve(curve: Sequence[Point], top: float) -> str:
    dots = " ".join(f"{_x(point.usd_per_1k, top)},{_y(point.quality)}" for point in curve)
    return f'<polyline points="{dots}" fill="none" stroke="{_LINE}" stroke-width="2"/>'


def _mark(point: Point, top: float, colour: str, label: str, above: int) -> str:
    x, y = _x(point.usd_per_1k, top), _y(point.quality)
    anchor = "end" if x > _WIDTH / 2 else "start"
    text = _text(x + (-8 if anchor == "end" else 8), y + above, label, anchor)
    return f'<circle cx="{x}" cy="{y}" r="5" fill="{colour}"/>{text}'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'


def _x(usd: float, top: float) -> float:
    return round(_LEFT + usd / top * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(quality: float) -> float:
    return round(_HEIGHT - _BOTTOM - quality * (_HEIGHT - _TOP - _BOTTOM), 1)


def _round_step(rough: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(rough))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= rough * 0.999)
