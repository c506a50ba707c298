"""Snapshots whose likes are read by workers, and stay there."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, cast

from indexer.cluster import reading
from indexer.cluster.connection import connect
from indexer.cluster.crew import Crew
from indexer.cluster.errors import ClusterError
from indexer.cluster.files import Shard
from indexer.cluster.interactions import ShardedInteractions, split
from indexer.cluster.packing import pack, unpack
from indexer.cluster.reading import Reading
from indexer.interactions import interactions_of
from indexer.snapshot import Snapshot, take_marks
from indexer.weighing import every_user, reader
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from distributed import Future

    from indexer.cluster.packing import Packed
    from indexer.cluster.reading import ShardRead
    from indexer.interactions import Interactions
    from indexer.progress import Progress
    from indexer.weighing import Reader
    from likewise.messages.ids import SignalKind, UserId
    from likewise.settings import IndexerSettings
    from likewise.store.port import LikeStore


class ClusterSnapshots:
    """Takes snapshots of one store by the workers of a cluster: see `indexer.snapshot.Snapshots`.

    This process finds the users, by one scan, and assigns them to shards by a hash of their ids; each worker
    reads what the users of its shards like. For one thread.
    """

    def __init__(
        self,
        store: LikeStore,
        settings: IndexerSettings,
        *,
        clock_ms: Callable[[], int],
        weights: Mapping[SignalKind, float] | None = None,
    ) -> None:
        """Connect to nothing yet; `weights` are those of `Snapshots`."""
        self._store = store
        self._settings = settings
        self._clock_ms = clock_ms
        self._weights = weights or {}
        self._crew: Crew | None = None
        self._last: ShardedInteractions | None = None
        self._since_full = 0

    def take(self, progress: Progress) -> Snapshot:
        """Return the likes of all users, and clear the marks of the users that have changed.

        Raises:
            TransientError: the store cannot be reached; marks may be lost, so the next is a full one.
            ClusterError: the cluster cannot do it; the users are marked as changed again.
        """
        last = self._last
        full = last is None or self._since_full + 1 >= self._settings.full_snapshot_every
        began_at_ms = self._clock_ms()
        taken = take_marks(self._store, self._settings.scan_chunk)
        try:
            source = reader(self._store, self._weights)
            if last is None or full:
                found = self._read_all(source, progress)
            else:
                found = self._update(last, source, taken, progress)
        except BaseException as error:
            self.forget()
            if isinstance(error, ClusterError):
                self._store.mark_changed(taken)
            raise
        self._since_full = 0 if full else self._since_full + 1
        return Snapshot(_as_interactions(found), began_at_ms, full, taken, source.weights)

    def read_all(self, source: Reader, progress: Progress) -> Interactions:
        """Return what every user likes, without clearing the marks of changed users.

        Raises:
            TransientError, ClusterError: see `take`.
        """
        return _as_interactions(self._read_all(source, progress))

    def forget(self) -> None:
        """Make the next snapshot a full one, over a new connection; leave the cluster."""
        last, self._last = self._last, None
        crew, self._crew = self._crew, None
        if last is not None:
            last.discard()
        if crew is not None:
            crew.close()

    def _read_all(self, source: Reader, progress: Progress) -> ShardedInteractions:
        settings = self._settings
        if self._crew is None:
            client = connect(settings)
            self._crew = Crew(client, settings.dask_shards, timeout_s=settings.dask_timeout_s)
        else:
            self._crew.spread()
        progress.expect(None)
        chunks = every_user(self._store, source.weights, settings.scan_chunk)
        users = split((user for chunk in chunks for user in chunk), settings.dask_shards)
        progress.expect(sum(map(len, users)))
        how = Reading(source.weights, settings.scan_chunk)
        shards = self._new_shards()
        return self._made(shards, self._read(shards, users, how, progress), how)

    def _update(
        self, last: ShardedInteractions, source: Reader, taken: Sequence[UserId], progress: Progress
    ) -> ShardedInteractions:
        """Return the likes after the changed users are read again, each by the worker of their shard."""
        crew = last.crew
        crew.begin()
        progress.expect(len(taken))
        changed, shards = split(taken, len(last.shards)), self._new_shards()
        how = Reading(source.weights, self._settings.scan_chunk)

        def submit(number: int) -> Future:
            mine = (last.shards[number], shards[number], changed[number])
            return crew.submit(number, reading.update_shard, *mine, how)

        found: list[ShardRead | None] = crew.each(submit)
        progress.advance(len(taken))
        lost = [number for number, read in enumerate(found) if read is None]
        users = {number: _union(last.read[number].users, changed[number]) for number in lost}

        def submit_lost(place: int) -> Future:
            number = lost[place]
            return crew.submit(number, reading.read_shard, shards[number], users[number], how)

        for number, read in zip(lost, crew.stream(len(lost), submit_lost), strict=True):
            found[number] = read
        return self._made(shards, cast("list[ShardRead]", found), how)

    def _read(
        self, shards: Sequence[Shard], users: Sequence[Packed], how: Reading, progress: Progress
    ) -> list[ShardRead]:
        crew = self._crew
        assert crew is not None  # noqa: S101 - `_read_all` has set it

        def submit(number: int) -> Future:
            return crew.submit(number, reading.read_shard, shards[number], users[number], how)

        return crew.each(submit, lambda number: progress.advance(len(users[number])))

    def _made(
        self, shards: Sequence[Shard], read: Sequence[ShardRead], how: Reading
    ) -> ShardedInteractions:
        crew, before = self._crew, self._last
        assert crew is not None  # noqa: S101 - shards were read
        self._last = ShardedInteractions(crew, shards, read, how)
        if before is not None:
            before.discard()
        get_logger().info(
            "shards read by the Dask workers",
            shards=len(shards),
            workers=crew.workers,
            likes=self._last.likes,
            largest_shard=max(part.likes for part in read),
        )
        return self._last

    def _new_shards(self) -> list[Shard]:
        directory = self._settings.dask_directory
        where = None if directory is None else str(directory)
        snapshot = f"{self._clock_ms()}-{secrets.token_hex(4)}"
        return [Shard(snapshot, number, where) for number in range(self._settings.dask_shards)]


def _union(users: Packed, changed: Packed) -> Packed:
    return pack(sorted({*unpack(users), *unpack(changed)}))


def _as_interactions(found: ShardedInteractions) -> Interactions:
    """Return the sharded matrix where a build expects a local one; an empty one is local.

    A build uses `item_ids`, `user_ids`, `likes`, `without`, and of `user_items` what `indexer.rows` has: all of
    this is the same for both.
    """
    if not found.likes:
        return interactions_of([])
    return cast("Interactions", found)
