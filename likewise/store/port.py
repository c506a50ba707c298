"""The store as likewise sees it: likes per user and the bookkeeping beside them.

Two implementations pass the same contract suite: `likewise.store.redis.RedisStore` and
`likewise.testing.MemoryStore`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from likewise.messages.ids import ItemId, UserId
    from likewise.messages.order import Reach, UserState
    from likewise.records import TopicPartition
    from likewise.settings import Partitioner


@dataclass(slots=True)
class UserChange:
    """The final word on one user within a batch: forget first, then add and remove.

    `add` and `remove` never share an item.
    """

    forget: bool = False
    add: set[ItemId] = field(default_factory=set)
    remove: set[ItemId] = field(default_factory=set)


class Homes(NamedTuple):
    """In which partition each user's events are expected, and whether some lay elsewhere.

    The home partition is what `partitioner` makes of the user id and the number of `partitions`.
    `mark` is another one whenever a user was marked as scattered; empty while none is.
    """

    partitioner: Partitioner
    partitions: int
    mark: str = ""


class Scattered(NamedTuple):
    """A user with events in other partitions than the home.

    Times are kept of the events from `floor_ms` on; `complete` is False until those that were
    applied before the user was marked are among them. `reach` has the partitions asked for, as far
    as they are known.
    """

    floor_ms: int
    complete: bool
    reach: dict[int, Reach]


class History(NamedTuple):
    """A scattered user's state by the events from `floor_ms` up to the applied positions."""

    floor_ms: int
    state: UserState


@dataclass(slots=True)
class Changes:
    """A batch of events, folded: applying it once or many times gives the same state."""

    users: dict[UserId, UserChange] = field(default_factory=dict)
    retire: set[ItemId] = field(default_factory=set)
    restore: set[ItemId] = field(default_factory=set)
    scattered: dict[UserId, UserState] = field(default_factory=dict)
    """States of users whose events have times. An item changes unless the store has a later state."""
    catalogue: UserState | None = None
    """The retired items, whose events always have times: an item that is "liked" is retired."""
    homes: Homes | None = None
    """What the caller believes; None where the changes do not depend on it."""


class Advance(NamedTuple):
    """A step of one partition: from where the caller believes the store to be, to where."""

    expected: int | None
    next: int


class Lookup(NamedTuple):
    """What one batch of requests needs to know, read in one round trip.

    `positions` were read before `likes`: a like below a position is in the sets. `likes` is
    aligned with the users asked for, each item once; a user without likes has none.
    """

    positions: list[int | None]
    likes: Sequence[Collection[ItemId]]
    retired_version: int
    model_announcement: bytes | None


class Eviction(NamedTuple):
    """Whether the store removes data to make room: its policy, and how many keys it has removed."""

    policy: str
    evicted_keys: int


class LikeStore(Protocol):
    """Likes per user, retired items, applied positions, the current model. Thread-safe.

    Every method raises `TransientError` when the store is out of reach, loading, out of
    memory or read-only, and `SettingsError` when it refuses the credentials.
    """

    def positions(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """Return how far each partition is applied (the next offset); None where nothing is."""

    def logs(self, partitions: Sequence[TopicPartition]) -> list[str | None]:
        """Return which log each partition's position is of; None where it was never noted."""

    def note_logs(self, log: str, partitions: Sequence[TopicPartition]) -> None:
        """Note that the positions of these partitions are of this log from now on."""

    def epochs(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """Return under which leader epoch what is applied was written; None where it was never noted."""

    def note_epochs(self, epochs: Mapping[TopicPartition, int]) -> None:
        """Note under which leader epochs the last applied events of these partitions were written."""

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        """Apply a batch and move the positions, all or nothing.

        Raises:
            PositionMovedError: a position is not where the caller believed; nothing was done.
            HomesMovedError: a user was marked as scattered meanwhile; nothing was done.
        """

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        """Return what was noted first in this store; these are noted where nothing was."""

    def scattered(
        self, users: Sequence[UserId], partitions: Sequence[int]
    ) -> list[Scattered | None]:
        """Return what is known of each user, with the reach in these partitions; None: not marked."""

    def scatter(self, floors_ms: Mapping[UserId, int], homes: Homes) -> Homes:
        """Mark users as scattered from these times on; return the homes with another mark.

        Both at once, except on a Redis Cluster: nobody applies with the old mark after that.
        Who is marked from an earlier time stays as is; the others are incomplete from now on.
        """

    def catch_up(self, histories: Mapping[UserId, History]) -> None:
        """Add what was applied without times; users are complete, unless marked from another time.

        Idempotent. Each user is caught up all or nothing.
        """

    def catalogue_reach(self, partitions: Sequence[int]) -> dict[int, Reach]:
        """Return the reach of the events that retire and restore items, as far as it is known."""

    def scattered_count(self) -> int:
        """Return how many users are marked as scattered."""

    def likes(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        """Return what each user likes now, in the order asked; empty sets for strangers."""

    def liked_items(self, users: Sequence[UserId]) -> Sequence[Collection[ItemId]]:
        """Return what `likes` returns, each item once but not as sets: cheaper for many users."""

    def lookup(self, users: Sequence[UserId], partitions: Sequence[TopicPartition]) -> Lookup:
        """Return what a batch of requests needs, in one round trip."""

    def retired(self) -> tuple[int, set[ItemId]]:
        """Return the retired items and their version (read first, so never newer than them).

        Versions have no order, and none comes back, also after the store was lost; 0 before the first.
        """

    def scan_users(self, chunk: int) -> Iterator[list[UserId]]:
        """Yield every user with likes, about `chunk` at a time, each at least once.

        Users who come or go meanwhile may or may not be among them.
        """

    def count_likes(self, users: Sequence[UserId]) -> int:
        """Return how many likes these users have together."""

    def changed_count(self) -> int:
        """Return how many users' likes changed since they were last taken."""

    def take_changed(self, limit: int) -> list[UserId]:
        """Remove and return up to `limit` of the users whose likes changed."""

    def mark_changed(self, users: Iterable[UserId]) -> None:
        """Put users back among the changed, after a snapshot that came to nothing."""

    def announce_model(self, announcement: bytes) -> None:
        """Make this the current model's announcement."""

    def model_announcement(self) -> bytes | None:
        """Return the current model's announcement, or None before the first."""

    def acquire_lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        """Take or renew the named lease; False while somebody else holds it."""

    def release_lease(self, name: str, holder: str) -> None:
        """Give the lease back, if this holder has it."""

    def eviction(self) -> Eviction:
        """Return whether the store removes data; where several have a part in it, the worst of them.

        What turns out to be a replica is connected to again with the next call: its name may lead
        to the primary by then.
        """

    def ping(self) -> None:
        """Return if the store answers."""

    def close(self) -> None:
        """Let go of the connections."""
