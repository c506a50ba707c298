"""Numbers as bars of characters: a row of columns, and an interval around zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BAR_WIDTH: Final = 25
_COLUMNS = "▁▂▃▄▅▆▇█"


def columns(values: Sequence[float], *, largest: float) -> str:
    """Return one column for each value, full for the largest possible; a space for zero."""
    return "".join(" " if value <= 0 else _column(value / largest) for value in values)


def interval(low: float, middle: float, high: float | None, *, largest: float) -> str:
    """Return the interval on an axis from `-largest` to `largest`, with zero in the middle of `BAR_WIDTH`.

    `●` is at the middle, `│` at zero. An end beyond the axis is an arrow; a `high` of None is one.
    """
    half, width = BAR_WIDTH // 2, BAR_WIDTH

    def place(value: float) -> int:
        return half + round(value / largest * half)

    first, last = max(place(low), 0), width - 1 if high is None else min(place(high), width - 1)
    marks = [" "] * width
    marks[first : last + 1] = "─" * (last + 1 - first)
    marks[half] = "┼" if first <= half <= last else "│"
    marks[first] = "◀" if place(low) < 0 else "├"
    marks[last] = "▶" if high is None or place(high) >= width else "┤"
    marks[min(max(place(middle), first), last)] = "●"
    return "".join(marks)


def _column(share: float) -> str:
    return _COLUMNS[min(int(share * len(_COLUMNS)), len(_COLUMNS) - 1)]
