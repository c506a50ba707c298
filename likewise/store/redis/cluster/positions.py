"""Applied positions on a cluster: one for each partition in each bucket, and one for what is shared.

A bucket is its users' events of each partition up to its position: one script compares the positions
and the mark of the bucket, changes its sets and moves its positions. So a paused consumer is refused by
every bucket that went on without it; a bucket that lost writes in a failover has lost its positions with
them; and any consumer can continue each bucket where it is. What is shared comes last, so its position
is that of the whole store unless writes were lost. `level` moves the buckets that a batch did not
concern. See docs/decisions/0042-buckets-on-a-redis-cluster.md.
"""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import (
    HomesMovedError,
    LikewiseError,
    PositionMovedError,
)
from likewise.store.redis.applying import NOWHERE, Expectation, group_script
from likewise.store.redis.cluster.ahead import BucketsAhead
from likewise.store.redis.cluster.grouping import (
    bucket_writes,
    by_bucket,
    decoded,
    kind_writes,
    shared_writes,
)
from likewise.store.redis.cluster.layout import create_layout
from likewise.store.redis.cluster.reading import StoredPositions, extent_of
from likewise.store.redis.cluster.scattering import MARK, marks_of
from likewise.store.redis.positions import SCATTERED_MEANWHILE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from likewise.records import TopicPartition
    from likewise.store.bucket_port import Extent, Move, Moved
    from likewise.store.cluster_keys import ClusterKeys
    from likewise.store.port import Advance, Changes
    from likewise.store.redis.applying import Write
    from likewise.store.redis.commands import RedisCommands


class _GroupScript(NamedTuple):
    """What one script does to its group: the positions first among what it expects, then the mark."""

    group: int
    expected: Sequence[Expectation]
    writes: Sequence[Write]


class BucketPositions(StoredPositions):
    """See `likewise.store.redis.positions.Positions`. Thread-safe; one batch is applied at a time.

    Remembers the positions of the buckets. Redis refuses whatever was built on a wrong memory, which is
    then dropped.
    """

    def __init__(self, redis: RedisCommands, keys: ClusterKeys) -> None:
        super().__init__(redis, keys)
        self._lock = threading.Lock()
        # By partition, each group's position in Redis.
        self._at: dict[TopicPartition, list[int | None]] = {}
        # Up to here our batches are applied. Groups that they did not concern may be behind in Redis.
        self._reached: dict[TopicPartition, int | None] = {}
        self._uneven: set[TopicPartition] = set()

    def extents(
        self, partitions: Sequence[TopicPartition], *, resume: bool = False
    ) -> list[Extent]:
        """See `LikeStore.extents`."""
        found = self.read(partitions)
        if resume:
            with self._lock:
                self._at |= found
                for partition in found:
                    self._note(partition)
        return [extent_of(found[one]) for one in partitions]

    def ahead(self, partitions: Collection[TopicPartition]) -> BucketsAhead | None:
        """See `LikeStore.ahead`."""
        with self._lock:
            self._load(partitions)
            uneven = self._uneven.intersection(partitions)
            if not uneven:
                return None
            return BucketsAhead(self._keys, {one: [*self._at[one]] for one in uneven})

    def moved(self, moves: Sequence[Move]) -> list[Moved | None]:
        """See `LikeStore.moved`."""
        found = self._redis.read([("GET", self._keys.moved(*move)) for move in moves])
        return [None if text is None else decoded(text) for text in found]

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        """See `LikeStore.apply`: first the guests of merges, then the other buckets, then the rest.

        A guest's script compares what its merge was made of, and keeps what it moved.
        """
        keys = self._keys
        with self._lock:
            self._load(advances)
            self._check(advances)
            parts = by_bucket(keys, changes)
            if changes.shared is None:
                self._check_even([*parts, keys.shared], advances)
            marks = None if changes.homes is None else marks_of(changes.homes, keys.buckets)
            if kinds := [*kind_writes(keys, changes)]:
                self._redis.pipeline([(one.command, one.key, *one.members) for one in kinds])
            guests = [bucket for bucket, part in parts.items() if part.moves]
            others = [bucket for bucket, part in parts.items() if not part.moves]
            accounts = {bucket for bucket, part in parts.items() if part.accounts}
            for some in filter(None, (guests, others)):
                batch = {one: [*bucket_writes(keys, one, parts[one])] for one in some}
                self._run(self._scripts(batch, advances, marks, accounts), advances)
            shared = {keys.shared: [*shared_writes(keys, changes)]}
            self._run(self._scripts(shared, advances), advances)
            for partition, step in advances.items():
                self._reached[partition] = step.next
                if extent_of(self._at[partition]).furthest == step.next:
                    self._uneven.discard(partition)

    def resume_at(self, advances: Mapping[TopicPartition, Advance], *, rewind: bool) -> None:
        """See `LikeStore.resume_at`."""
        with self._lock:
            create_layout(self._redis.run, self._keys, self._redis.address)
            self._forget(advances)
            self._load(advances)
            self._check(advances)
            for partition, (_, position) in advances.items():
                self._set(
                    partition,
                    {
                        group: position
                        for group, at in enumerate(self._at[partition])
                        if at is None or at < position or (rewind and at != position)
                    },
                )
                self._note(partition)

    def level(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `LikeStore.level`."""
        with self._lock:
            for partition, position in positions.items():
                if self._reached.get(partition) == position:
                    at = self._at[partition]
                    behind = [one for one in self._keys.groups if (at[one] or 0) < position]
                    if behind:
                        self._set(partition, dict.fromkeys(behind, position))

    def _load(self, partitions: Iterable[TopicPartition]) -> None:
        missing = [one for one in partitions if one not in self._at]
        for partition, at in self.read(missing).items():
            self._at[partition] = at
            self._note(partition)

    def _note(self, partition: TopicPartition) -> None:
        lowest, furthest = extent_of(self._at[partition])
        self._reached[partition] = lowest
        if furthest != lowest:
            self._uneven.add(partition)
        else:
            self._uneven.discard(partition)

    def _check(self, advances: Mapping[TopicPartition, Advance]) -> None:
        if any(self._reached[one] != step.expected for one, step in advances.items()):
            raise PositionMovedError({one: self._reached[one] for one in advances})

    def _check_even(
        self, groups: Iterable[int], advances: Mapping[TopicPartition, Advance]
    ) -> None:
        """Raise if a group has some of a batch already, and the batch does not leave that out."""
        for partition in self._uneven.intersection(advances):
            reached, at = self._reached[partition] or 0, self._at[partition]
            if any((at[group] or 0) > reached for group in groups):
                raise PositionMovedError({one: self._reached[one] for one in advances})

    def _set(self, partition: TopicPartition, positions: Mapping[int, int]) -> None:
        """Move groups to these positions from where they are believed to be."""
        at = self._at[partition]
        scripts = [
            _GroupScript(group, [self._step(group, partition, at[group], position)], ())
            for group, position in positions.items()
        ]
        self._run(scripts, [partition])

    def _scripts(
        self,
        batch: Mapping[int, Sequence[Write]],
        advances: Mapping[TopicPartition, Advance],
        marks: Sequence[str] | None = None,
        accounts: Collection[int] = (),
    ) -> list[_GroupScript]:
        """Return one script for each group, which applies its writes."""
        scripts = []
        for group, writes in batch.items():
            expected = []
            for partition, step in advances.items():
                at = self._at[partition][group]
                expected.append(self._step(group, partition, at, max(at or 0, step.next)))
            if marks is not None:
                mark = marks[group]
                after = secrets.token_hex(8) if group in accounts else mark
                expected.append(Expectation(MARK, mark, after))
            scripts.append(_GroupScript(group, expected, writes))
        return scripts

    def _step(
        self, group: int, partition: TopicPartition, at: int | None, position: int
    ) -> Expectation:
        return Expectation(self._keys.field(partition), NOWHERE if at is None else at, position)

    def _run(self, scripts: Sequence[_GroupScript], partitions: Collection[TopicPartition]) -> None:
        """Run the scripts at once, and note which of them did what they were to do.

        Raises:
            PositionMovedError: a group is not where it is believed to be.
            HomesMovedError: a user was marked as scattered meanwhile.
            LikewiseError: of a server, which may have run its scripts.
        """
        replies = self._redis.evaluate(
            [group_script(self._keys.state(one.group), one.expected, one.writes) for one in scripts]
        )
        positions_moved = homes_moved = False
        for script, reply in zip(scripts, replies, strict=True):
            if isinstance(reply, LikewiseError):
                continue
            if not reply:
                for partition, step in zip(partitions, script.expected, strict=False):
                    self._at[partition][script.group] = int(step.next)
                continue
            moved = any(
                stored != str(step.expected)
                for stored, step in zip(reply, script.expected, strict=True)
                if step.key != MARK
            )
            positions_moved, homes_moved = positions_moved or moved, homes_moved or not moved
        if failures := [reply for reply in replies if isinstance(reply, LikewiseError)]:
            self._forget(partitions)
            raise failures[0]
        if positions_moved:
            self._forget(partitions)
            extents = self.extents([*partitions])
            raise PositionMovedError(
                {one: extent.lowest for one, extent in zip(partitions, extents, strict=True)}
            )
        if homes_moved:
            self._uneven.update(partitions)
            raise HomesMovedError(SCATTERED_MEANWHILE)

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Read the positions again before anything is built on them: a failover may have lost some."""
        for partition in partitions:
            self._at.pop(partition, None)
            self._reached.pop(partition, None)
