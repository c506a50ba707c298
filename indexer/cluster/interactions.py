"""The interaction matrix of a snapshot whose rows are on workers."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from indexer.cluster import reading, tasks
from indexer.cluster.matrix import Order, ShardedRows
from indexer.cluster.packing import pack, unpack
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from distributed import Future
    from numpy.typing import NDArray

    from indexer.cluster.crew import Crew
    from indexer.cluster.files import Shard
    from indexer.cluster.packing import Packed
    from indexer.cluster.reading import Reading, ShardRead


@dataclass(eq=False)
class ShardedInteractions:
    """The interaction matrix with its tables, like `Interactions`; its rows are on the workers."""

    crew: Crew
    shards: Sequence[Shard]
    read: Sequence[ShardRead]
    reading: Reading

    @cached_property
    def item_ids(self) -> list[ItemId]:
        """The items of all shards, sorted."""
        return sorted({ItemId(one) for part in self.read for one in unpack(part.items)})

    @property
    def user_ids(self) -> list[UserId]:
        """All users, sorted."""
        return sorted(UserId(one) for part in self.read for one in unpack(part.users))

    @property
    def likes(self) -> int:
        """The number of pairs of a user and an item with a weight."""
        return sum(part.likes for part in self.read)

    @cached_property
    def user_items(self) -> ShardedRows:
        """The matrix W, whose columns and rows have the numbers that they have without a cluster."""
        numbers = {item: number for number, item in enumerate(self.item_ids)}
        columns = [
            np.array([numbers[ItemId(one)] for one in unpack(part.items)], np.int32)
            for part in self.read
        ]
        order = Order(_numbers_of([part.users for part in self.read]))
        self.crew.keep("shards", self._recover)
        name = "likes"

        def submit(number: int) -> Future:
            mine = (self.shards[number], name, columns[number], order.numbers[number])
            return self.crew.submit(number, tasks.place, *mine, len(numbers))

        self.crew.keep(name, submit)
        return ShardedRows(self.crew, self.shards, order, len(numbers), name)

    def without(self, users: Collection[UserId]) -> tuple[ShardedInteractions, int]:
        """Return the interactions of all other users, and how many of these users there were."""
        excluded = split(users, len(self.shards))
        before = self.shards
        shards = [one._replace(snapshot=f"{one.snapshot}-without") for one in before]

        def submit(number: int) -> Future:
            mine = (before[number], shards[number], excluded[number])
            return self.crew.submit(number, reading.exclude_users, *mine)

        self.crew.keep("shards", self._recover)
        read = self.crew.each(submit)
        present = sum(len(part.users) for part in self.read) - sum(len(part.users) for part in read)
        if not present:
            return self, 0
        return replace(self, shards=shards, read=read), present

    def discard(self) -> None:
        """Remove the files of these shards from the workers; those of lost workers are gone already."""
        self.crew.on_workers(
            lambda number: self.crew.submit(number, tasks.discard, self.shards[number], None)
        )

    def _recover(self, number: int) -> Future:
        read = self.read[number]
        mine = (self.shards[number], read.users, self.reading, read.checksum)
        return self.crew.submit(number, reading.recover_shard, *mine)


def split(users: Iterable[UserId], n_shards: int) -> list[Packed]:
    """Return the users of each shard, sorted: a user is always in the same one of so many."""
    of_shards: list[list[UserId]] = [[] for _ in range(n_shards)]
    for user in users:
        of_shards[zlib.crc32(user.encode("utf-8", "surrogatepass")) % n_shards].append(user)
    return [pack(sorted(of_shard)) for of_shard in of_shards]


def _numbers_of(of_shards: Sequence[Packed]) -> list[NDArray[np.int64]]:
    """Return the number of each shard's users among all users in order."""
    users = [one for packed in of_shards for one in unpack(packed)]
    numbers = np.empty(len(users), np.int64)
    numbers[sorted(range(len(users)), key=users.__getitem__)] = np.arange(len(users))
    return np.split(numbers, np.cumsum([len(packed) for packed in of_shards])[:-1])
