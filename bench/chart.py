"""A curve of costs over amounts, both on scales of powers of ten, as an SVG."""

from __future__ import annotations

from math import ceil, floor, log10

_WIDTH, _HEIGHT = 560, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 24, 36, 52
_LINE, _GREY = "#1f5fa8", "#d0d4da"
Points = list[tuple[float, float]]


def drawn(title: str, amount: str, cost: str, points: Points) -> str:
    """Draw points, joined by lines, on a grid of powers of ten.

    Args:
        amount: what grows, below the chart; ``cost``: what it costs, above it.
    """
    across, up = _scale([x for x, _ in points]), _scale([y for _, y in points])
    dots = [(_x(x, across), _y(y, up), y) for x, y in points]
    line = " ".join(f"{x},{y}" for x, y, _ in dots)
    marks = [f'<circle cx="{x}" cy="{y}" r="3" fill="{_LINE}"/>{_text(x, y - 8, _short(cost))}' for x, y, cost in dots]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
        f' viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11">',
        f"<title>{title}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *[_down(10.0**power, across) for power in range(across[0], across[1] + 1)],
        *[_along(10.0**power, up) for power in range(up[0], up[1] + 1)],
        f'<polyline points="{line}" fill="none" stroke="{_LINE}" stroke-width="2"/>',
        *marks,
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 14, amount),
        _text(_LEFT, 18, f"{title}: {cost}", "start"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _scale(values: list[float]) -> tuple[int, int]:
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def _x(value: float, scale: tuple[int, int]) -> float:
    return round(_LEFT + (log10(value) - scale[0]) / (scale[1] - scale[0]) * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(value: float, scale: tuple[int, int]) -> float:
    part = (log10(value) - scale[0]) / (scale[1] - scale[0])
    return round(_HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM), 1)


def _down(value: float, scale: tuple[int, int]) -> str:
    x = _x(value, scale)
    line = f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{_HEIGHT - _BOTTOM}" stroke="{_GREY}"/>'
    return line + _text(x, _HEIGHT - _BOTTOM + 16, _short(value))


def _along(value: float, scale: tuple[int, int]) -> str:
    y = _y(value, scale)
    line = f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="{_GREY}"/>'
    return line + _text(_LEFT - 8, y + 4, _short(value), "end")


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 10 and value != round(value) else f"{value:,.0f}"
