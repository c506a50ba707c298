"""Results as SVG files: bars side by side, and curves; no library, no script, no outside font."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.measure import number
from likewise.evaluation.report.svg import Bar, bar_chart

if TYPE_CHECKING:
    from benchmarks.results import Curve, Figure, Plot

_STYLE = """<style>
svg { background: #fff; font: 13px sans-serif; }
text { fill: #333; dominant-baseline: middle; }
.name, .left { text-anchor: end; }
.middle { text-anchor: middle; }
.bar { fill: #9aa5b1; }
.highlighted { fill: #2f6fb0; }
line { stroke: #333; }
.grid { stroke: #ddd; }
polyline { fill: none; stroke-width: 2; }
</style>"""
_COLOURS = ("#2f6fb0", "#d1782a", "#3b8f5a", "#a23b72", "#6b6b6b", "#b09a2f", "#5b4fb0", "#2fa5b0")

_WIDTH, _HEIGHT = 660, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 20, 40, 60
_LEGEND_ROW_PX = 18
_TICKS = 5


def bars(title: str, figures: list[Figure]) -> str:
    """Return bars of figures of one unit, medians with their spread; ours stand out."""
    made = [
        Bar(figure.name, figure.median, figure.spread, figure.role == "candidate")
        for figure in figures
    ]
    largest = max(bar.value for bar in made)
    digits = 0 if largest >= 100 else 3
    inline = bar_chart(title, made, digits=digits)
    svg = inline[inline.index("<svg") : inline.index("</figure>")]
    svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    head, rest = svg.split(">", 1)
    return f"{head}>{_STYLE}{rest}\n"


class _Axis(NamedTuple):
    """A range of values, and the pixels that show it."""

    low: float
    high: float
    first_px: float
    last_px: float
    log: bool

    def px(self, value: float) -> float:
        """Return the position of a value on the axis."""
        low, high, at = (self._scaled(one) for one in (self.low, self.high, value))
        return self.first_px + (self.last_px - self.first_px) * (at - low) / ((high - low) or 1.0)

    def ticks(self) -> list[float]:
        """Return the values that get a line: powers of ten, or even steps."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            if last > first:
                return [10.0**exponent for exponent in range(first, last + 1)]
            return [self.low, self.high]
        step = (self.high - self.low) / (_TICKS - 1)
        return [self.low + step * tick for tick in range(_TICKS)]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def curves(plot: Plot) -> str:
    """Return the plot as a whole SVG file."""
    height = _HEIGHT + _LEGEND_ROW_PX * len(plot.curves)
    x, y = _axes(plot)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {height}" '
        f'aria-label="{escape(plot.title, quote=True)}" width="{_WIDTH}" height="{height}">',
        _STYLE,
        f'<text x="{_LEFT}" y="18">{escape(plot.title)}: {escape(plot.y_label)}</text>',
        *(_horizontal(y, value) for value in y.ticks()),
        *(_vertical(x, value) for value in x.ticks()),
        f'<text class="middle" x="{(x.first_px + x.last_px) / 2}" y="{_HEIGHT - 18}">'
        f"{escape(plot.x_label)}</text>",
        *(_curve(curve, place, x, y) for place, curve in enumerate(plot.curves)),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _axes(plot: Plot) -> tuple[_Axis, _Axis]:
    xs = [x for curve in plot.curves for x, _ in curve.points]
    ys = [y for curve in plot.curves for _, y in curve.points]
    y_low = min(ys) if plot.log_y or (min(ys) > 0.8 * max(ys) > 0 and max(ys) <= 1) else 0.0
    return (
        _Axis(min(xs), max(xs), _LEFT, _WIDTH - _RIGHT, plot.log_x),
        _Axis(y_low, max(ys) or 1.0, _HEIGHT - _BOTTOM, _TOP, plot.log_y),
    )


def _horizontal(y: _Axis, value: float) -> str:
    at = y.px(value)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="left" x="{_LEFT - 8}" y="{at:.1f}">{number(value)}</text>'
    )


def _vertical(x: _Axis, value: float) -> str:
    at, bottom = x.px(value), _HEIGHT - _BOTTOM
    return (
        f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>'
        f'<text class="middle" x="{at:.1f}" y="{bottom + 16}">{number(value)}</text>'
    )


def _curve(curve: Curve, place: int, x: _Axis, y: _Axis) -> str:
    colour = _COLOURS[place % len(_COLOURS)]
    at = [(x.px(one), y.px(other)) for one, other in curve.points]
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in at)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in at)
    legend_y = _HEIGHT + _LEGEND_ROW_PX * place
    return (
        f'<polyline points="{line}" stroke="{colour}"/>{dots}'
        f'<circle cx="{_LEFT}" cy="{legend_y}" r="5" fill="{colour}"/>'
        f'<text x="{_LEFT + 12}" y="{legend_y}">{escape(curve.name)}</text>'
    )
