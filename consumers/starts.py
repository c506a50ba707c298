"""Where to read a partition from: Redis says what is applied, the log says what is there."""

from __future__ import annotations

from typing import NamedTuple


class Start(NamedTuple):
    """The offset to read first, and what an operator should know about it, if anything."""

    offset: int
    warning: str | None = None


def choose_start(stored: int | None, beginning: int, end: int) -> Start:
    """Return where to go on, from the stored position and the offsets at both ends of the log.

    The log is the truth: with no usable position all of it is read again, which is harmless.
    """
    if stored is None:
        return Start(beginning)
    if stored > end:
        return Start(
            beginning,
            f"Redis has applied events up to {stored}, but the partition ends at {end}: it was "
            f"made anew or has lost its tail; all of it is read again from {beginning}",
        )
    if stored < beginning:
        return Start(
            beginning,
            f"the events from {stored} to {beginning - 1} are gone from the partition and were "
            "never applied: its retention is shorter than the consumers' absence was",
        )
    return Start(stored)
