"""Likes that are too fast for a human, or that never pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from likewise.evaluation.audit.evidence import Reason
from likewise.messages.times import iso_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.evaluation.audit.evidence import Activity, Limits

_HOUR_MS = 3_600_000
_AWAKE_HOURS = 48
_ACTIVE_HOURS = 44
"""Distinct hours with a like, of 48 in a row: nobody stays awake for that."""
_FEW = 5
_IMPORTED_SHARE = 0.8


def are_of_an_import(activity: Activity, limits: Limits) -> bool:
    """Whether the times are those of an import: nearly everybody liked everything within minutes."""
    if activity.times_ms is None:
        return False
    starts = activity.starts
    several = np.flatnonzero(np.diff(starts) >= _FEW)
    if not len(several):
        return False
    spans = _spans(activity.times_ms, starts, several)
    return float(np.mean(spans <= limits.sustained_min * 60_000)) > _IMPORTED_SHARE


def too_fast(activity: Activity, limits: Limits) -> Iterator[tuple[int, Reason]]:
    """Yield the users with more likes in a window than a human makes, with the fullest window."""
    times = activity.times_ms
    if times is None or not len(times):
        return
    window_ms = round(limits.sustained_min * 60_000)
    most = limits.per_minute * limits.sustained_min
    ordered, since = _by_time(activity.users, times)
    counts = _within(activity.users, ordered, window_ms)
    for user, at in _largest(activity, counts):
        if counts[at] >= most:
            per_minute = counts[at] / limits.sustained_min
            yield (
                user,
                Reason(
                    "rate",
                    f"{counts[at]:,} likes in {limits.sustained_min:g} minutes from "
                    f"{iso_time(int(ordered[at] + since))}: {per_minute:.0f} a minute",
                    {
                        "likes": int(counts[at]),
                        "minutes": limits.sustained_min,
                        "from": iso_time(int(ordered[at] + since)),
                    },
                ),
            )


def tireless(activity: Activity) -> Iterator[tuple[int, Reason]]:
    """Yield the users with likes in nearly every hour of two days in a row."""
    times = activity.times_ms
    if times is None or not len(times):
        return
    hours = np.unique(np.stack([activity.users, times // _HOUR_MS]), axis=1)
    users, ordered = hours[0], hours[1] - hours[1].min()
    counts = _within(users, ordered, _AWAKE_HOURS - 1)
    distinct = activity._replace(users=users, items=ordered, times_ms=None)
    for user, at in _largest(distinct, counts):
        if counts[at] >= _ACTIVE_HOURS:
            began = iso_time(int(hours[1][at]) * _HOUR_MS)
            yield (
                user,
                Reason(
                    "tireless",
                    f"likes in {counts[at]} of {_AWAKE_HOURS} hours in a row from {began}",
                    {"hours": int(counts[at]), "of": _AWAKE_HOURS, "from": began},
                ),
            )


def _by_time(users: NDArray[np.int64], times: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return the times, sorted within each user, as ms since the first of all; and that one."""
    since = int(times.min())
    ordered = times - since
    return ordered[np.lexsort((ordered, users))], since


def _within(users: NDArray[np.int64], ordered: NDArray[np.int64], window: int) -> NDArray[np.int64]:
    """Return how many values of the same user are in the window that begins with each, inclusive."""
    stride = int(ordered.max()) + window + 1
    places = users * stride + ordered
    return np.searchsorted(places, places + window, side="right") - np.arange(len(places))


def _largest(activity: Activity, counts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield each user with likes, and where the user's largest count is."""
    starts = activity.starts
    users = np.flatnonzero(np.diff(starts))
    if not len(users):
        return
    largest = np.maximum.reduceat(counts, starts[users])
    is_largest = counts == np.repeat(largest, np.diff(starts)[users])
    first = np.flatnonzero(is_largest)
    owners, where = np.unique(activity.users[first], return_index=True)
    yield from zip(owners.tolist(), first[where].tolist(), strict=True)


def _spans(
    times: NDArray[np.int64], starts: NDArray[np.int64], users: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the time between the first and the last like of these users."""
    occupied = np.flatnonzero(np.diff(starts))
    last, first = (each.reduceat(times, starts[occupied]) for each in (np.maximum, np.minimum))
    spans = np.zeros(len(starts) - 1, np.int64)
    spans[occupied] = last - first
    return spans[users]
