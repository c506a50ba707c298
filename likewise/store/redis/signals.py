"""The part of RedisStore that reads signals: one SET per kind and user."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from likewise.store.redis.merging import held_items

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.store.keys import Keys
    from likewise.store.redis.applying import Command
    from likewise.store.redis.bulk_reading import Read
    from likewise.store.redis.commands import RedisCommands
    from likewise.store.signals_port import Held


class RedisSignals(ABC):
    """See `likewise.store.signals_port.SignalStore`."""

    _keys: Keys

    @property
    @abstractmethod
    def _redis(self) -> RedisCommands: ...

    def kinds(self) -> frozenset[SignalKind]:
        """See `SignalStore.kinds`."""
        return frozenset(self._redis.run("SMEMBERS", self._keys.kinds))

    def signals(
        self, users: Sequence[UserId], kinds: Collection[SignalKind]
    ) -> list[dict[SignalKind, Collection[ItemId]]]:
        """See `SignalStore.signals`."""
        return by_user(self._redis.read(signal_reads(self._keys, users, kinds)), users, kinds)

    def held(self, users: Sequence[UserId], kinds: Collection[SignalKind]) -> list[Held]:
        """See `SignalStore.held`."""
        sets: list[tuple[SignalKind | None, str]] = []
        for user in users:
            sets.append((None, self._keys.likes(user)))
            sets += ((kind, self._keys.signals(kind, user)) for kind in kinds)
        reads: list[Command] = [
            read
            for _, key in sets
            for read in (("SMEMBERS", key), ("HGETALL", self._keys.times(key)))
        ]
        replies = iter(self._redis.pipeline(reads))
        found = [(kind, held_items(next(replies), next(replies))) for kind, _ in sets]
        size = 1 + len(kinds)
        return [dict(found[at : at + size]) for at in range(0, len(found), size)]

    def scan_users_of(self, kind: SignalKind, chunk: int) -> Iterator[list[UserId]]:
        """See `SignalStore.scan_users_of`."""
        for found in self._redis.scan_sets(self._keys.signals_pattern(kind), chunk):
            yield [self._keys.user_of(key, kind) for key in found]


def signal_reads(keys: Keys, users: Sequence[UserId], kinds: Collection[SignalKind]) -> list[Read]:
    """Return the commands whose replies `by_user` takes."""
    return [("SMEMBERS", keys.signals(kind, user)) for user in users for kind in kinds]


def by_user(
    replies: Sequence[Collection[ItemId]],
    users: Sequence[UserId],
    kinds: Collection[SignalKind],
) -> list[dict[SignalKind, Collection[ItemId]]]:
    """Return the signals of each user, without empty sets."""
    if not kinds:
        return [{} for _ in users]
    sets = iter(replies)
    return [{kind: items for kind in kinds if (items := next(sets))} for _ in users]
