"""The progress of a build."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a build, such as a progress bar on a terminal."""

    def step(self, name: str) -> None:
        """The step of this name begins."""

    def expect(self, users: int | None) -> None:
        """Set the number of users that will be read; None if unknown."""

    def advance(self, users: int) -> None:
        """Add to the number of users read."""


class Unwatched:
    """A `Progress` that ignores everything."""

    def step(self, name: str) -> None:
        """See `Progress.step`."""

    def expect(self, users: int | None) -> None:
        """See `Progress.expect`."""

    def advance(self, users: int) -> None:
        """See `Progress.advance`."""
