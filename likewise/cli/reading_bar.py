"""A progress bar for files, with the speed; and the speed in words."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.cli.output import duration, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def speed_of(number: int, seconds: float, what: str = "events") -> str:
    """Return how many were handled in which time, for people."""
    return f"{number:,} {what} in {duration(seconds)} ({number / max(seconds, 1e-9):,.0f}/s)"


@contextmanager
def reading_bar(doing: str) -> Iterator[Callable[[int, float], None]]:
    """Show a bar on a terminal; yields a function of the number done and its share of the total."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    started_s = time.monotonic()
    with progress(
        TextColumn(doing),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    ) as bars:
        bar = bars.add_task(doing, total=1.0, speed="")

        def show(done: int, share: float) -> None:
            per_s = done / max(time.monotonic() - started_s, 1e-9)
            bars.update(bar, completed=share, speed=f"{done:,} ({per_s:,.0f}/s)")

        yield show
