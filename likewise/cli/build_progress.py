"""The progress of a build, as a bar on the terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.cli.output import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress


class BuildProgress:
    """An `indexer.progress.Progress`: one line that names the step and counts the users read."""

    def __init__(self, bars: Progress) -> None:
        """Show `starting`, until the first step."""
        self._bars = bars
        self._line = bars.add_task("starting", total=None)

    def step(self, name: str) -> None:
        """See `Progress.step`."""
        self._bars.reset(self._line, description=name, total=None)

    def expect(self, users: int | None) -> None:
        """See `Progress.expect`."""
        self._bars.update(self._line, total=users)

    def advance(self, users: int) -> None:
        """See `Progress.advance`."""
        self._bars.advance(self._line, users)


@contextmanager
def build_progress() -> Iterator[BuildProgress]:
    """Show the progress of a build for the length of a `with` block, if there is a terminal."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    with progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    ) as bars:
        yield BuildProgress(bars)
