"""The store as likewise sees it: likes per user, and bookkeeping.

Two implementations pass the same contract suite: `likewise.store.redis.RedisStore` and
`likewise.testing.MemoryStore`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from likewise.store.attribution_port import AttributionStore
from likewise.store.bucket_port import BucketStore
from likewise.store.catalogue_port import CatalogueStore
from likewise.store.experiments_port import ExperimentStore
from likewise.store.recent_port import RecentStore
from likewise.store.shown_port import ShownStore
from likewise.store.signals_port import SetChange, SignalStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.messages.order import Merged, Moment, Reach, UserState
    from likewise.records import TopicPartition
    from likewise.settings import Partitioner
    from likewise.store.bucket_port import Move, Moved
    from likewise.store.recent_port import NewItemChanges
    from likewise.store.signals_port import SignalsOfUser


@dataclass(slots=True)
class UserChange:
    """The change of one user in a batch: forget first, then add and remove.

    `add` and `remove` never share an item.
    """

    forget: bool = False
    add: set[ItemId] = field(default_factory=set)
    remove: set[ItemId] = field(default_factory=set)
    signals: dict[SignalKind, SetChange] | None = None
    """By kind; None without signals, which is most often."""

    def signal(self, kind: SignalKind) -> SetChange:
        """Return the change of the user's signals of this kind, to be added to."""
        if self.signals is None:
            self.signals = {}
        return self.signals.setdefault(kind, SetChange())


class Homes(NamedTuple):
    """The home partition of each user, and whether any user has events elsewhere.

    `partitioner` computes the home from the user id and the number of `partitions`. `mark` changes
    whenever a user is marked as scattered; it is empty before the first.
    """

    partitioner: Partitioner
    partitions: int
    mark: str = ""


class Scattered(NamedTuple):
    """A user with events outside the home partition.

    The store keeps the times of events from `floor_ms` on. `complete` is False until they include
    those of the events that were applied before the user was marked. `reach` has the requested
    partitions, as far as they are known. `forgotten` is the moment of the latest `forget_user` or
    `merge_users` of this user; `merged` describes it if it is the latter.
    """

    floor_ms: int
    complete: bool
    reach: dict[int, Reach]
    forgotten: Moment | None = None
    merged: Merged | None = None


class History(NamedTuple):
    """A scattered user's state by the events from `floor_ms` up to the applied positions."""

    floor_ms: int
    state: UserState
    forgotten_kinds: frozenset[SignalKind] = frozenset()
    """See `Changes`."""


@dataclass(slots=True)
class Changes:
    """A folded batch of events: applying it once or many times gives the same state."""

    users: dict[UserId, UserChange] = field(default_factory=dict)
    retire: set[ItemId] = field(default_factory=set)
    restore: set[ItemId] = field(default_factory=set)
    scattered: dict[UserId, UserState] = field(default_factory=dict)
    """States of users whose events have times. An item changes unless the store has a later state."""
    catalogue: UserState | None = None
    """The retired items, whose events always have times; "liked" means retired here."""
    kinds: set[SignalKind] = field(default_factory=set)
    """The kinds of all signals in these changes."""
    forgotten_kinds: frozenset[SignalKind] = frozenset()
    """The kinds that are erased with a user who is forgotten."""
    accounts: set[UserId] = field(default_factory=set)
    """Users whom a guest of this batch is merged into: among `scattered`."""
    items: dict[ItemId, bytes | None] = field(default_factory=dict)
    """By item id, as they are stored; None removes one. Scenarios and experiments are by name."""
    scenarios: dict[str, bytes | None] = field(default_factory=dict)
    experiments: dict[str, bytes | None] = field(default_factory=dict)
    new_items: NewItemChanges | None = None
    homes: Homes | None = None
    """What the caller believes; None if the changes do not depend on it."""
    moves: dict[Move, Moved] = field(default_factory=dict)
    """What the merges of this batch move."""
    shared: Changes | None = None
    """All changes of the batch, if some users have had theirs already: for what belongs to no user."""


class Advance(NamedTuple):
    """A step of one partition: from the position that the caller expects, to the next one."""

    expected: int | None
    next: int


class Lookup(NamedTuple):
    """What one batch of requests needs, read in one round trip.

    `positions` were read before `likes`, so a like below a position is in the sets. `likes` is
    aligned with the requested users, each item once; empty for a user without likes. `signals` is
    aligned, too, if kinds were requested; else it is empty. `kinds` are all that were ever used.
    `user_positions` is aligned as well, where users have positions of their own, else empty: on a
    Redis Cluster, `likes` are as new as these, and `positions` may be further.
    """

    positions: list[int | None]
    likes: Sequence[Collection[ItemId]]
    retired_version: int
    model_announcement: bytes | None
    kinds: frozenset[SignalKind] = frozenset()
    signals: Sequence[SignalsOfUser] = ()
    user_positions: Sequence[Sequence[int | None]] = ()


class Eviction(NamedTuple):
    """Whether the store evicts data to make room: its policy, and the keys it has evicted."""

    policy: str
    evicted_keys: int


class LikeStore(
    AttributionStore,
    BucketStore,
    CatalogueStore,
    ExperimentStore,
    RecentStore,
    ShownStore,
    SignalStore,
    Protocol,
):
    """Likes per user, the catalogue, applied positions, the current model. Thread-safe.

    Every method raises `TransientError` when the store cannot be reached, is loading, out of
    memory or read-only, and `SettingsError` when it refuses the credentials.
    """

    def positions(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """Return the applied position of each partition (the next offset); None before the first."""

    def logs(self, partitions: Sequence[TopicPartition]) -> list[str | None]:
        """Return the id of the log that each partition's position is of; None if not noted."""

    def note_logs(self, log: str, partitions: Sequence[TopicPartition]) -> None:
        """Note that the positions of these partitions are of this log."""

    def epochs(self, partitions: Sequence[TopicPartition]) -> list[int | None]:
        """Return the leader epoch of each partition's last applied event; None if not noted."""

    def note_epochs(self, epochs: Mapping[TopicPartition, int]) -> None:
        """Note the leader epochs of the last applied events of these partitions."""

    def apply(self, changes: Changes, advances: Mapping[TopicPartition, Advance]) -> None:
        """Apply a batch and move the positions, all or nothing.

        On a Redis Cluster that holds for each bucket: after an error, `ahead` has those that were
        applied, and the next call must leave out what they have.

        Raises:
            PositionMovedError: a position is not the expected one; nothing was applied.
            HomesMovedError: a user was marked as scattered meanwhile; nothing was applied.
        """

    def homes(self, partitioner: Partitioner, partitions: int) -> Homes:
        """Return the homes in the store; if there are none, store these and return them."""

    def stored_homes(self) -> Homes | None:
        """Return the homes in the store; None if there are none."""

    def scattered(
        self, users: Sequence[UserId], partitions: Sequence[int]
    ) -> list[Scattered | None]:
        """Return each user's mark, with the reach in these partitions; None if not marked."""

    def scatter(self, floors_ms: Mapping[UserId, int], homes: Homes) -> Homes:
        """Mark users as scattered from these times on; return the homes with another mark.

        Both at once: afterwards nobody applies events of these users with the old mark. A user
        who is marked from an earlier time stays as is; the others become incomplete.
        """

    def catch_up(self, histories: Mapping[UserId, History]) -> None:
        """Add the states that were applied without times, and make the users complete.

        Idempotent, and all or nothing for each user. Skips a user who is marked from another time.
        """

    def catalogue_reach(self, partitions: Sequence[int]) -> dict[int, Reach]:
        """Return the reach of the events that retire and restore items, where it is known."""

    def scattered_count(self) -> int:
        """Return how many users are marked as scattered."""

    def likes(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        """Return what each user likes now, in order; an empty set for an unknown user."""

    def liked_items(self, users: Sequence[UserId]) -> Sequence[Collection[ItemId]]:
        """Return the same as `likes`, each item once but not in sets: cheaper for many users."""

    def lookup(
        self,
        users: Sequence[UserId],
        partitions: Sequence[TopicPartition],
        kinds: Collection[SignalKind] = (),
    ) -> Lookup:
        """Return what a batch of requests needs, with signals of these kinds, in one round trip."""

    def retired(self) -> tuple[int, set[ItemId]]:
        """Return the retired items and their version (read first, so never newer than them).

        Versions have no order and never repeat, even after the store was lost; 0 before the first.
        """

    def scan_users(self, chunk: int) -> Iterator[list[UserId]]:
        """Yield every user with likes, about `chunk` at a time, each at least once.

        Users who are added or removed meanwhile may be missing.
        """

    def count_likes(self, users: Sequence[UserId]) -> int:
        """Return the total number of likes of these users."""

    def changed_count(self) -> int:
        """Return how many users' likes changed since they were last taken."""

    def take_changed(self, limit: int) -> list[UserId]:
        """Remove and return up to `limit` of the users whose likes changed."""

    def mark_changed(self, users: Iterable[UserId]) -> None:
        """Mark users as changed again, after a snapshot that was not used."""

    def announce_model(self, announcement: bytes) -> None:
        """Make this the current model's announcement."""

    def model_announcement(self) -> bytes | None:
        """Return the current model's announcement, or None before the first."""

    def acquire_lease(self, name: str, holder: str, ttl_ms: int) -> bool:
        """Take or renew the named lease; False while another holder has it."""

    def release_lease(self, name: str, holder: str) -> None:
        """Release the lease if this holder has it."""

    def eviction(self) -> Eviction:
        """Return whether the store evicts data; for a cluster, its worst server.

        After finding a replica, the next call reconnects: the name may lead to the primary by then.
        """

    def ping(self) -> None:
        """Return once the store answers."""

    def close(self) -> None:
        """Close the connections."""
