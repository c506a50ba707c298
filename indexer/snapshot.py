"""Snapshots of all likes and weighted signals: the first reads all users, later ones only the users that changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from indexer.interactions import Interactions, UserLikes, interactions_of, replace_users
from indexer.weighing import Reader, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from indexer.progress import Progress
    from likewise.messages.ids import SignalKind, UserId
    from likewise.settings import IndexerSettings
    from likewise.store.port import LikeStore


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The likes of all users, each as of some time after `began_at_ms`."""

    interactions: Interactions
    began_at_ms: int
    full: bool
    """Whether every user was read, or only those that had changed."""
    taken: list[UserId]
    """The users that are no longer marked as changed, because this snapshot has their changes."""
    weights: Mapping[SignalKind, float] = field(default_factory=dict)
    """The weight of each kind of signal that it has in addition to likes, which weigh 1."""
    excluded: int | None = None
    """The number of users left out by `indexer.excluded_users_file`; None without the setting."""


class SnapshotSource(Protocol):
    """Takes snapshots of one store: `Snapshots`, or by the workers of a cluster."""

    def take(self, progress: Progress) -> Snapshot:
        """Return the likes of all users, and clear the marks of the users that have changed."""

    def read_all(self, source: Reader, progress: Progress) -> Interactions:
        """Return what every user likes, without clearing the marks of changed users."""

    def forget(self) -> None:
        """Make the next snapshot a full one."""


class Snapshots:
    """Takes snapshots of one store, and keeps the last one to read only what changed.

    For one thread. Correct as long as no other process takes the users marked as changed: a new leader
    calls `forget` first.
    """

    def __init__(
        self,
        store: LikeStore,
        *,
        chunk: int,
        full_every: int,
        clock_ms: Callable[[], int],
        weights: Mapping[SignalKind, float] | None = None,
    ) -> None:
        """Start without a snapshot; `chunk` users are read per round trip.

        `weights` has the weight of each kind; those that are not positive are not read. They do not change:
        with other weights, begin with new snapshots, of which the first is a full one.
        """
        self._store = store
        self._weights = weights or {}
        self._chunk = chunk
        self._full_every = full_every
        self._clock_ms = clock_ms
        self._last: Interactions | None = None
        self._since_full = 0

    def take(self, progress: Progress) -> Snapshot:
        """Return the likes of all users, and clear the marks of the users that have changed.

        A user is unmarked before being read, so a change that comes meanwhile marks them again
        and is in the next snapshot if it is not in this one.

        Raises:
            TransientError: the store cannot be reached; marks may be lost, so the next is a full one.
        """
        last, self._last = self._last, None
        full = last is None or self._since_full + 1 >= self._full_every
        began_at_ms = self._clock_ms()
        taken = take_marks(self._store, self._chunk)
        source = reader(self._store, self._weights)
        if last is None or full:
            progress.expect(None)
            interactions = self.read_all(source, progress)
        else:
            progress.expect(len(taken))
            now = interactions_of(self._read(source, taken, progress))
            interactions = replace_users(last, taken, now)
        self._last = interactions
        self._since_full = 0 if full else self._since_full + 1
        return Snapshot(interactions, began_at_ms, full, taken, source.weights)

    def read_all(self, source: Reader, progress: Progress) -> Interactions:
        """Return what every user likes: see `read_all`."""
        return read_all(source, chunk=self._chunk, progress=progress)

    def forget(self) -> None:
        """Make the next snapshot a full one."""
        self._last = None

    def _read(self, source: Reader, users: list[UserId], progress: Progress) -> Iterator[UserLikes]:
        for start in range(0, len(users), self._chunk):
            some = users[start : start + self._chunk]
            yield source.read(some)
            progress.advance(len(some))


def local_snapshots(
    store: LikeStore,
    settings: IndexerSettings,
    clock_ms: Callable[[], int],
    weights: Mapping[SignalKind, float] | None = None,
) -> SnapshotSource:
    """Return what takes snapshots in this process."""
    return Snapshots(
        store,
        chunk=settings.scan_chunk,
        full_every=settings.full_snapshot_every,
        clock_ms=clock_ms,
        weights=weights,
    )


def take_marks(store: LikeStore, chunk: int) -> list[UserId]:
    """Take the marks of the users that have changed, `chunk` at a time, and return these users."""
    taken: dict[UserId, None] = {}
    # Only as many as are marked now: a steady stream of likes would never let this end.
    remaining = store.changed_count()
    while remaining > 0:
        some = store.take_changed(min(remaining, chunk))
        if not some:
            break
        taken.update(dict.fromkeys(some))
        remaining -= len(some)
    return list(taken)


def read_all(source: Reader, *, chunk: int, progress: Progress) -> Interactions:
    """Return what every user likes, without clearing the marks of changed users.

    Raises:
        TransientError: the store cannot be reached.
    """
    return interactions_of(_watched(source.read_all(chunk), progress))


def _watched(chunks: Iterable[UserLikes], progress: Progress) -> Iterator[UserLikes]:
    for chunk in chunks:
        yield chunk
        progress.advance(len(chunk.users))
