"""The progress of a build."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of a build, for a bar on a terminal."""

    def step(self, name: str) -> None:
        """The step of this name begins."""

    def expect(self, users: int | None) -> None:
        """So many users are going to be read; None where that is not known beforehand."""

    def advance(self, users: int) -> None:
        """So many more users have been read."""


class Unwatched:
    """A `Progress` that nobody watches."""

    def step(self, name: str) -> None:
        """See `Progress.step`."""

    def expect(self, users: int | None) -> None:
        """See `Progress.expect`."""

    def advance(self, users: int) -> None:
        """See `Progress.advance`."""
