"""Bar charts with intervals as inline SVG: no library, no script, no outside resource."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

_LABEL_PX = 150
_PLOT_PX = 420
_VALUE_PX = 90
_ROW_PX = 26
_BAR_PX = 16


class Bar(NamedTuple):
    """One bar: its name, its value, and the interval around it if there is one."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    highlighted: bool = False


def bar_chart(title: str, bars: list[Bar], *, digits: int = 4) -> str:
    """Return an SVG of horizontal bars from zero, in their order; all values are at least 0."""
    longest = max([_reach(bar) for bar in bars], default=0.0) or 1.0
    width, height = _LABEL_PX + _PLOT_PX + _VALUE_PX, _ROW_PX * len(bars)
    rows = [_row(bar, number * _ROW_PX, longest, digits) for number, bar in enumerate(bars)]
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg role="img" '
        f'aria-label="{escape(title, quote=True)}" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">{"".join(rows)}</svg></figure>'
    )


def _row(bar: Bar, top: float, longest: float, digits: int) -> str:
    middle = top + _ROW_PX / 2
    length = _px(bar.value, longest)
    kind = "bar highlighted" if bar.highlighted else "bar"
    return (
        f'<text x="{_LABEL_PX - 8}" y="{middle:.1f}" class="name">{escape(bar.name)}</text>'
        f'<rect x="{_LABEL_PX}" y="{middle - _BAR_PX / 2:.1f}" width="{length:.1f}" '
        f'height="{_BAR_PX}" class="{kind}"/>'
        f"{_whisker(bar, middle, longest)}"
        f'<text x="{_LABEL_PX + _px(_reach(bar), longest) + 8:.1f}" y="{middle:.1f}" '
        f'class="value">{bar.value:.{digits}f}</text>'
    )


def _whisker(bar: Bar, middle: float, longest: float) -> str:
    if bar.interval is None:
        return ""
    low, high = (_LABEL_PX + _px(end, longest) for end in bar.interval)
    ends = "".join(
        f'<line x1="{end:.1f}" x2="{end:.1f}" y1="{middle - 5:.1f}" y2="{middle + 5:.1f}"/>'
        for end in (low, high)
    )
    across = f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
    return f'<g class="whisker">{across}{ends}</g>'


def _reach(bar: Bar) -> float:
    return bar.value if bar.interval is None else max(bar.value, bar.interval[1])


def _px(value: float, longest: float) -> float:
    return _PLOT_PX * max(value, 0.0) / longest
