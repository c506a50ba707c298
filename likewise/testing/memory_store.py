"""MemoryStore: the port `LikeStore` in memory, for tests."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.errors import HomesMovedError, PositionMovedError
from likewise.messages.order import UserState
from likewise.store.port import Eviction, Homes, Lookup, Scattered
from likewise.testing.memory_attribution import MemoryAttribution
from likewise.testing.memory_buckets import MemoryBuckets
from likewise.testing.memory_catalogue import MemoryCatalogue
from likewise.testing.memory_recent import MemoryRecent
from likewise.testing.memory_shown import MemoryShown
from likewise.testing.memory_signals import MemorySignals, merged, reach_of, with_times

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from likewise.errors import LikewiseError
    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.messages.order import Reach
    from likewise.records import TopicPartition
    from likewise.settings import Partitioner
    from likewise.store.port import Advance, Changes, History, UserChange


class MemoryStore(
    MemoryAttribution, MemoryBuckets, MemoryCatalogue, MemoryRecent, MemoryShown, MemorySignals
):
    """A store in memory that passes the contract suite of the real one.

    While `failure` is set every call raises it, as if the server were unavailable.
    """

    def __init__(self, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Start empty; leases expire by `clock_s`."""
        self.failure: LikewiseError | None = None
        self.evicting = Eviction("noeviction", 0)
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self.flush()

    def flush(self) -> None:
        """Forget everything, as FLUSHALL does."""
        self._likes: dict[UserId, set[ItemId]] = {}
        self._changed: set[UserId] = set()
        self._retired: set[ItemId] = set()
        self._retired_version = 0
        self._positions: dict[TopicPartition, int] = {}
        self._flush_logs()
        self._homes: Homes | None = None
        self._scattered: dict[UserId, Scattered] = {}
        self._times: defaultdict[UserId, UserState] = defaultdict(UserState)
        self._retired_times = UserState()
        self._announcement: bytes | None = None
        self._leases: dict[str, tuple[str, float]] = {}
        self._flush_attribution()
        self._flush_catalogue()
        self._flush_recent()
        self._flush_shown()
        self._flush_signals()

    def positions(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """See `LikeStore.positions`."""
        with self._answering():
            return [self._positions.get(partition) for partition in partitions]

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        """See `LikeStore.apply`."""
        with self._answering():
            stored = {partition: self._positions.get(partition) for partition in advances}
            if any(stored[partition] != step.expected for partition, step in advances.items()):
                raise PositionMovedError(stored)
            if changes.homes not in (None, self._homes):
                raise HomesMovedError("users were marked as scattered meanwhile")
            for user_id, change in changes.users.items():
                self._apply_to_user(user_id, change)
                self._apply_signals(user_id, change, changes.forgotten_kinds)
            for user_id, state in changes.scattered.items():
                self._merge_into_user(user_id, state, follow=True)
                self._merge_signals(user_id, state, changes.forgotten_kinds)
            self._kinds |= changes.kinds
            if self._homes and changes.accounts:
                self._homes = self._homes._replace(mark=uuid.uuid4().hex)
            self._changed.update(changes.users, changes.scattered)
            self._apply_to_catalogue(changes)
            self._apply_documents(changes)
            self._apply_new_likes(changes)
            self._positions.update(
                {partition: advance.next for partition, advance in advances.items()}
            )

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        """See `LikeStore.homes`."""
        with self._answering():
            self._homes = self._homes or Homes(partitioner, partitions)
            return self._homes

    def stored_homes(self) -> Homes | None:
        """See `LikeStore.stored_homes`."""
        with self._answering():
            return self._homes

    def scattered(
        self, users: Sequence[UserId], partitions: Sequence[int]
    ) -> list[Scattered | None]:
        """See `LikeStore.scattered`."""
        with self._answering():
            return [
                with_times(self._scattered[user], self._times[user], partitions)
                if user in self._scattered
                else None
                for user in users
            ]

    def scatter(self, floors_ms: Mapping[UserId, int], homes: Homes) -> Homes:
        """See `LikeStore.scatter`."""
        with self._answering():
            for user, floor_ms in floors_ms.items():
                known = self._scattered.get(user)
                if known is None or known.floor_ms > floor_ms:
                    self._scattered[user] = Scattered(floor_ms, False, {})
            self._homes = homes._replace(mark=uuid.uuid4().hex)
            return self._homes

    def catch_up(self, histories: Mapping[UserId, History]) -> None:
        """See `LikeStore.catch_up`."""
        with self._answering():
            for user, (floor_ms, state, forgotten_kinds) in histories.items():
                if self._scattered.get(user) == Scattered(floor_ms, False, {}):
                    self._merge_into_user(user, state, follow=False)
                    self._merge_signals(user, state, forgotten_kinds)
                    self._changed.add(user)
                    self._scattered[user] = Scattered(floor_ms, True, {})

    def catalogue_reach(self, partitions: Sequence[int]) -> dict[int, Reach]:
        """See `LikeStore.catalogue_reach`."""
        with self._answering():
            return reach_of(self._retired_times, partitions)

    def scattered_count(self) -> int:
        """See `LikeStore.scattered_count`."""
        with self._answering():
            return len(self._scattered)

    def likes(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        """See `LikeStore.likes`."""
        with self._answering():
            return self._likes_of(users)

    def liked_items(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        """See `LikeStore.liked_items`."""
        return self.likes(users)

    def lookup(
        self,
        users: Sequence[UserId],
        partitions: Sequence[TopicPartition],
        kinds: Collection[SignalKind] = (),
    ) -> Lookup:
        """See `LikeStore.lookup`."""
        with self._answering():
            return Lookup(
                positions=[self._positions.get(partition) for partition in partitions],
                likes=self._likes_of(users),
                retired_version=self._retired_version,
                model_announcement=self._announcement,
                kinds=frozenset(self._kinds),
                signals=self._signals_of(users, kinds) if kinds else (),
            )

    def retired(self) -> tuple[int, set[ItemId]]:
        """See `LikeStore.retired`."""
        with self._answering():
            return self._retired_version, set(self._retired)

    def scan_users(self, chunk: int) -> Iterator[list[UserId]]:
        """See `LikeStore.scan_users`."""
        with self._answering():
            users = list(self._likes)
        for start in range(0, len(users), chunk):
            yield users[start : start + chunk]

    def count_likes(self, users: Sequence[UserId]) -> int:
        """See `LikeStore.count_likes`."""
        return sum(len(items) for items in self.likes(users))

    def changed_count(self) -> int:
        """See `LikeStore.changed_count`."""
        with self._answering():
            return len(self._changed)

    def take_changed(self, limit: int) -> list[UserId]:
        """See `LikeStore.take_changed`."""
        with self._answering():
            return [self._changed.pop() for _ in range(min(limit, len(self._changed)))]

    def mark_changed(self, users: Iterable[UserId]) -> None:
        """See `LikeStore.mark_changed`."""
        with self._answering():
            self._changed.update(users)

    def announce_model(self, announcement: bytes) -> None:
        """See `LikeStore.announce_model`."""
        with self._answering():
            self._announcement = announcement

    def model_announcement(self) -> bytes | None:
        """See `LikeStore.model_announcement`."""
        with self._answering():
            return self._announcement

    def acquire_lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        """See `LikeStore.acquire_lease`."""
        with self._answering():
            now_s = self._clock_s()
            held_by, until_s = self._leases.get(name, (holder, now_s))
            if held_by != holder and now_s < until_s:
                return False
            self._leases[name] = (holder, now_s + ttl_ms / 1000)
            return True

    def release_lease(self, name: str, holder: str) -> None:
        """See `LikeStore.release_lease`."""
        with self._answering():
            if self._leases.get(name, ("", 0.0))[0] == holder:
                del self._leases[name]

    def eviction(self) -> Eviction:
        """See `LikeStore.eviction`; returns `evicting`."""
        with self._answering():
            return self.evicting

    def ping(self) -> None:
        """See `LikeStore.ping`."""
        with self._answering():
            return

    def close(self) -> None:
        """See `LikeStore.close`; the data stays, as on a server."""

    @contextmanager
    def _answering(self) -> Iterator[None]:
        with self._lock:
            if self.failure is not None:
                raise self.failure
            yield

    def _likes_of(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        return [set(self._likes.get(user_id, ())) for user_id in users]

    def _apply_to_user(self, user_id: UserId, change: UserChange) -> None:
        if change.forget:
            self._forget_shown(user_id)
        before = set() if change.forget else self._likes.get(user_id, set())
        after = (before | change.add) - change.remove
        if after:
            self._likes[user_id] = after
        else:
            self._likes.pop(user_id, None)

    def _merge_into_user(self, user_id: UserId, state: UserState, *, follow: bool) -> None:
        if state.forget is not None:
            self._forget_shown(user_id)
        likes = self._likes.get(user_id, set())
        if likes := merged(likes, self._times[user_id], state, follow=follow):
            self._likes[user_id] = likes
        else:
            self._likes.pop(user_id, None)

    def _apply_to_catalogue(self, changes: Changes) -> None:
        if changes.catalogue is not None:
            self._retired = merged(
                self._retired, self._retired_times, changes.catalogue, follow=True
            )
        self._retired = (self._retired | changes.retire) - changes.restore
        if changes.retire or changes.restore or changes.catalogue is not None:
            self._retired_version = secrets.randbits(62)
