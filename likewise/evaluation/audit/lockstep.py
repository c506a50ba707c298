"""Groups of users who like nearly the same items at nearly the same times.

A like is a token: its item, and the day of its time (two phases, half a day apart, so that no group is cut
at midnight). Users with similar sets of tokens share MinHash values (Broder, "On the resemblance and
containment of documents", 1997); users who share a band of them are candidates (locality-sensitive
hashing), and each candidate pair is verified exactly. Takes 64 bytes of memory for a like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from likewise.evaluation.audit.evidence import Activity, Limits

_ROWS = 4
_BANDS = 24
"""Two users with a Jaccard index of 0.6 share a band of 4 values with a probability of 96%, those with 0.1
with 0.2%. A group is found if its members are connected."""
_DAY_MS = 86_400_000
_UNTIMED_OVERLAP = 0.8
"""Without times, the same taste must not look like lockstep."""
_UNTIMED_COMMON = 20
_LINKS = 8
"""A user is compared with so many others of a bucket."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class Lockstep(NamedTuple):
    """A group, and what its members have in common."""

    users: list[int]
    overlap: float
    """The median Jaccard index of the pairs that were compared."""
    common: int
    """The median number of likes that such a pair has in common."""


def groups_in_lockstep(activity: Activity, limits: Limits, *, seed: int = 0) -> list[Lockstep]:
    """Return the groups, the largest first; times are considered if there are any.

    Without times, pairs must have 80% of their likes in common, and at least 20.
    """
    timed = activity.times_ms is not None
    rule = _Rule(
        limits.common if timed else max(limits.common, _UNTIMED_COMMON),
        limits.overlap if timed else max(limits.overlap, _UNTIMED_OVERLAP),
        round(limits.window_s * 1000),
    )
    active = np.flatnonzero(np.bincount(activity.users, minlength=activity.n_users) >= rule.common)
    links = _Links(activity.n_users)
    checked: set[tuple[int, int]] = set()
    for one, other in _candidates(activity, active, seed):
        if (one, other) not in checked and not links.joined(one, other):
            checked.add((one, other))
            overlap, common = _overlap(activity, one, other, rule)
            if overlap >= rule.overlap and common >= rule.common:
                links.join(one, other, overlap, common)
    return [one for one in links.groups() if len(one.users) >= limits.group]


class _Rule(NamedTuple):
    common: int
    overlap: float
    window_ms: int


def _candidates(
    activity: Activity, active: NDArray[np.int64], seed: int
) -> Iterator[tuple[int, int]]:
    """Yield pairs of users that share a band, the lower number first; a pair may come again."""
    among = np.isin(activity.users, active)
    users = activity.users[among]
    if not len(users):
        return
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    owners = users[starts]
    rng = np.random.default_rng(seed)
    for band in range(_BANDS):
        tokens = _tokens(activity, among, phase=band % 2)
        key = np.zeros(len(owners), np.uint64)
        for salt in rng.integers(1, 2**63, size=_ROWS, dtype=np.uint64):
            lowest = np.minimum.reduceat(_mixed(tokens ^ salt), starts)
            key = _mixed(key ^ lowest)
        order = np.argsort(key, kind="stable")
        same = np.flatnonzero(np.diff(key[order]) == 0)
        yield from _pairs(owners[order], same)


def _pairs(ordered: NDArray[np.int64], same: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Yield pairs of each bucket: neighbours, and each with a few of those before it."""
    shares = set(same.tolist())
    for place in same.tolist():
        for back in range(_LINKS):
            if place - back not in shares:
                break
            one, other = int(ordered[place - back]), int(ordered[place + 1])
            yield min(one, other), max(one, other)


def _tokens(activity: Activity, among: NDArray[np.bool_], *, phase: int) -> NDArray[np.uint64]:
    items = activity.items[among].astype(np.uint64)
    if activity.times_ms is None:
        return _mixed(items)
    days = (activity.times_ms[among] + phase * (_DAY_MS // 2)) // _DAY_MS
    return _mixed(_mixed(items) ^ days.astype(np.uint64))


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of each value (the finaliser of SplitMix64)."""
    mixed = (values + _MULTIPLIER) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(29)
    return mixed


def _overlap(activity: Activity, one: int, other: int, rule: _Rule) -> tuple[float, int]:
    """Return the Jaccard index of two users' likes, and the number that they have in common.

    With times, a like is in common if both like the item within the window.
    """
    (a, b), (c, d) = (np.searchsorted(activity.users, [user, user + 1]) for user in (one, other))
    _, mine, theirs = np.intersect1d(
        activity.items[a:b], activity.items[c:d], assume_unique=True, return_indices=True
    )
    if activity.times_ms is not None:
        apart = np.abs(activity.times_ms[a:b][mine] - activity.times_ms[c:d][theirs])
        common = int((apart <= rule.window_ms).sum())
    else:
        common = len(mine)
    return common / (b - a + d - c - common), common


class _Links:
    """Users joined into groups (union-find)."""

    def __init__(self, n_users: int) -> None:
        self._parents = list(range(n_users))
        self._pairs: list[tuple[int, float, int]] = []

    def joined(self, one: int, other: int) -> bool:
        return self._root(one) == self._root(other)

    def join(self, one: int, other: int, overlap: float, common: int) -> None:
        self._pairs.append((one, overlap, common))
        self._parents[self._root(one)] = self._root(other)

    def groups(self) -> list[Lockstep]:
        """Return the groups of two and more, the largest first."""
        pairs: dict[int, list[tuple[float, int]]] = {}
        for one, overlap, common in self._pairs:
            pairs.setdefault(self._root(one), []).append((overlap, common))
        users: dict[int, list[int]] = {root: [] for root in pairs}
        for user in range(len(self._parents)):
            if (root := self._root(user)) in users:
                users[root].append(user)
        found = [
            Lockstep(
                members,
                float(np.median([overlap for overlap, _ in pairs[root]])),
                int(np.median([common for _, common in pairs[root]])),
            )
            for root, members in users.items()
        ]
        return sorted(found, key=lambda one: (-len(one.users), one.users))

    def _root(self, user: int) -> int:
        parents = self._parents
        while parents[user] != user:
            parents[user] = parents[parents[user]]
            user = parents[user]
        return user
