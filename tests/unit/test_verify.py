"""Verification: a correct store passes at any time; each error in a wrong one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.fold import fold
from likewise.errors import InvalidInputError, PositionMovedError
from likewise.log.topics import TopicSpec
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
    encode_event,
    event_key,
)
from likewise.messages.ids import DISLIKE, ItemId, SignalKind, UserId
from likewise.messages.order import Reach
from likewise.operations.expected_state import Difference
from likewise.operations.things import Signalled
from likewise.operations.verification import Verification, Verifier
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes, Homes, Scattered, UserChange
from likewise.testing import MemoryBroker, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from likewise.messages.events import Event

TOPIC = "likes"
U1, U2, U3 = UserId("u1"), UserId("u2"), UserId("u3")
I1, I2, I3 = ItemId("i1"), ItemId("i2"), ItemId("i3")

users = st.sampled_from([UserId(f"u{number}") for number in range(4)])
items = st.sampled_from([ItemId(f"i{number}") for number in range(5)])
events = st.one_of(
    st.builds(Like, users, items),
    st.builds(Unlike, users, items),
    st.builds(ForgetUser, users),
    st.builds(RetireItem, items),
    st.builds(RestoreItem, items),
)


def log_of(*published: Event, partitions: int = 3) -> MemoryBroker:
    broker = MemoryBroker()
    broker.ensure_topics([TopicSpec(TOPIC, partitions, {})])
    publish(broker, *published)
    return broker


def scattered_log() -> MemoryBroker:
    """Return a log whose users lie in two partitions: u1 took a like back, u2 has two."""
    times = iter([10, 20, 10, 20, 30])
    broker = MemoryBroker(clock_ms=lambda: next(times))
    broker.ensure_topics([TopicSpec(TOPIC, 3, {})])
    sink = broker.sink()
    placed: list[tuple[int, Event]] = [
        (0, Like(U1, I1)),
        (1, Unlike(U1, I1)),
        (0, Like(U2, I1)),
        (1, Like(U2, I2)),
        (2, Like(U3, I2)),
    ]
    for partition, event in placed:
        sink.send(TOPIC, encode_event(event), partition=partition)
    return broker


def publish(broker: MemoryBroker, *published: Event) -> None:
    for event in published:
        broker.sink().send(TOPIC, encode_event(event), key=event_key(event))


def consume(broker: MemoryBroker, store: MemoryStore, most: int = 10**9) -> None:
    """Apply what is not applied, up to `most` events of each partition."""
    for partition in broker.partitions(TOPIC):
        stored = store.positions([partition])[0]
        start = stored or 0
        records = [
            record
            for record in broker.records(TOPIC)
            if record.partition == partition.partition and start <= record.offset < start + most
        ]
        if records:
            understood = []
            for record in records:
                try:
                    understood.append(decode_event(record))
                except InvalidInputError:
                    continue
            store.apply(fold(understood), {partition: Advance(stored, records[-1].offset + 1)})


def tamper(store: MemoryStore, user: UserId, change: UserChange) -> None:
    store.apply(Changes(users={user: change}), {})


def difference(
    missing: AbstractSet[ItemId] = frozenset(),
    extra: AbstractSet[ItemId] = frozenset(),
    unproven: AbstractSet[ItemId] = frozenset(),
) -> Difference:
    return Difference(frozenset(missing), frozenset(extra), frozenset(unproven))


def verify(broker: MemoryBroker, store: MemoryStore) -> Verification:
    return Verifier(broker, store, TOPIC).run(lambda _read, _total: None)


@given(st.lists(events), st.integers(1, 10))
def test_a_store_is_right_at_every_position(published: list[Event], most: int) -> None:
    broker, store = log_of(*published), MemoryStore()
    consume(broker, store, most)
    consume(broker, store, most)
    found = verify(broker, store)
    assert found.equal
    assert not found.differences
    assert found.events + found.lag == len(published)


@given(st.lists(events, min_size=1), st.lists(events, min_size=1), st.integers(0, 3))
def test_a_batch_that_was_lost_is_found_unless_it_changed_nothing(
    before: list[Event], lost: list[Event], partition: int
) -> None:
    broker, store, right = log_of(*before), MemoryStore(), MemoryStore()
    consume(broker, store)
    publish(broker, *lost)
    consume(broker, right)
    partitions = broker.partitions(TOPIC)
    ends = broker.end_offsets(partitions)
    stored = store.positions(partitions)
    steps = zip(partitions, stored, strict=True)
    # A store that lost writes: the positions moved, the sets did not.
    store.apply(Changes(), {which: Advance(at, ends[which]) for which, at in steps})
    everybody = [UserId(f"u{number}") for number in range(4)]
    same = store.likes(everybody) == right.likes(everybody)
    assert verify(broker, store).equal == (same and store.retired()[1] == right.retired()[1])


def test_missing_and_extra_likes_are_named() -> None:
    broker, store = log_of(Like(U1, I1), Like(U1, I2), Like(U2, I1)), MemoryStore()
    consume(broker, store)
    tamper(store, U1, UserChange(add={I3}, remove={I1}))
    tamper(store, U2, UserChange(forget=True))
    found = verify(broker, store)
    assert not found.equal
    assert found.wrong_users == [U1, U2]
    assert found.differences[U1] == difference(missing={I1}, extra={I3})
    assert found.differences[U2].missing == {I1}


def test_a_user_the_log_never_heard_of_is_a_difference() -> None:
    broker, store = log_of(Like(U1, I1)), MemoryStore()
    consume(broker, store)
    tamper(store, U2, UserChange(add={I1}))
    assert verify(broker, store).wrong_users == [U2]


def test_retired_items_are_compared_too() -> None:
    broker, store = log_of(RetireItem(I1), RetireItem(I2), RestoreItem(I2)), MemoryStore()
    consume(broker, store)
    assert verify(broker, store).equal
    store.apply(Changes(retire={I2}, restore={I1}), {})
    found = verify(broker, store)
    assert not found.equal
    assert found.retired == difference(missing={I1}, extra={I2})


def test_events_that_are_not_understood_are_counted_and_change_nothing() -> None:
    broker, store = log_of(Like(U1, I1), partitions=1), MemoryStore()
    broker.sink().send(TOPIC, b"{", key=b"u1")
    consume(broker, store)
    found = verify(broker, store)
    assert (found.equal, found.events, found.invalid) == (True, 2, 1)


def test_where_the_log_is_cut_only_what_it_proves_is_a_difference() -> None:
    broker = log_of(Like(U1, I1), Like(U2, I1), Like(U2, I2), partitions=1)
    store = MemoryStore()
    consume(broker, store)
    publish(broker, Unlike(U1, I3), Like(U1, I2), ForgetUser(U2))
    consume(broker, store)
    broker.delete_records(TopicPartition(TOPIC, 0), 3)
    assert verify(broker, store).equal
    assert verify(broker, store).differences[U1].unproven == {I1}
    tamper(store, U1, UserChange(add={I3}, remove={I2}))
    tamper(store, U2, UserChange(add={I3}))
    found = verify(broker, store)
    assert found.differences[U1] == difference(missing={I2}, extra={I3}, unproven={I1})
    assert found.differences[U2].extra == {I3}, "the log holds all that came after forgetting"


def test_a_user_whose_events_lie_in_several_partitions_is_checked_by_the_order_of_time() -> None:
    broker, store = scattered_log(), MemoryStore()
    consume(broker, store)
    found = verify(broker, store)
    assert (found.proven, found.scattered) == (True, 2)
    tamper(store, U1, UserChange(add={I1}))
    tamper(store, U2, UserChange(remove={I1}))
    assert verify(broker, store).differences == {
        U1: difference(extra={I1}),
        U2: difference(missing={I1}),
    }


def test_repairing_gives_the_store_the_times_of_users_on_several_partitions() -> None:
    broker, store = scattered_log(), MemoryStore()
    ends = broker.end_offsets(broker.partitions(TOPIC))
    # As an older version left it: applied without times, in the order in which partitions were read.
    wrong = {U1: UserChange(add={I1}), U2: UserChange(add={I1, I2}), U3: UserChange(add={I2})}
    store.apply(Changes(users=wrong), {one: Advance(None, end) for one, end in ends.items()})
    verifier = Verifier(broker, store, TOPIC)
    verifier.run(lambda _read, _total: None)
    assert verifier.repair() == 1
    assert verify(broker, store).proven
    known, unknown = store.scattered([U1, U2], [0, 1])
    assert known == Scattered(0, True, {0: Reach(10, 0), 1: Reach(20, 0)})
    assert unknown is None, "who is right already is left alone"


def test_where_the_log_is_cut_what_was_before_the_cut_proves_nothing_between_partitions() -> None:
    broker, store = scattered_log(), MemoryStore()
    consume(broker, store)
    store.scatter({U1: 10, U2: 10}, Homes("murmur2", 3))
    tamper(store, U2, UserChange(remove={I1}))
    broker.delete_records(TopicPartition(TOPIC, 1), 1)
    found = verify(broker, store)
    assert (found.equal, found.proven) == (True, False)
    assert found.differences == {U1: difference(unproven={I1}), U2: difference(unproven={I1})}
    tamper(store, U2, UserChange(remove={I2}))
    assert verify(broker, store).differences[U2] == difference(missing={I2}, unproven={I1})


def test_a_store_ahead_of_the_log_is_told() -> None:
    broker, store = log_of(Like(U1, I1), partitions=1), MemoryStore()
    consume(broker, store)
    partition = TopicPartition(TOPIC, 0)
    store.apply(Changes(), {partition: Advance(1, 9)})
    found = verify(broker, store)
    assert not found.equal
    assert found.beyond_log == {partition: 9}


class BusyStore(MemoryStore):
    """A store that consumers work on while it is read: a batch before each of the first reads."""

    def __init__(self, broker: MemoryBroker, batches: list[list[Event]]) -> None:
        super().__init__()
        self._broker = broker
        self._batches = batches

    def likes(self, users: Sequence[UserId]) -> list[set[ItemId]]:
        self._apply_the_next()
        return super().likes(users)

    def retired(self) -> tuple[int, set[ItemId]]:
        self._apply_the_next()
        return super().retired()

    def _apply_the_next(self) -> None:
        if self._batches:
            publish(self._broker, *self._batches.pop(0))
            consume(self._broker, self)


@given(st.lists(events), st.lists(st.lists(events, min_size=1), max_size=6))
def test_a_store_at_work_is_never_called_wrong(
    before: list[Event], batches: list[list[Event]]
) -> None:
    broker = log_of(*before)
    store = BusyStore(broker, batches)
    consume(broker, store)
    assert verify(broker, store).equal


def test_repairing_writes_what_the_log_says() -> None:
    broker = log_of(Like(U1, I1), Like(U1, I2), RetireItem(I3), Like(U2, I1))
    store = MemoryStore()
    consume(broker, store)
    tamper(store, U1, UserChange(add={I3}, remove={I1}))
    tamper(store, U2, UserChange(forget=True))
    store.apply(Changes(restore={I3}), {})
    verifier = Verifier(broker, store, TOPIC)
    verifier.run(lambda _read, _total: None)
    assert verifier.repair() == 2
    assert verify(broker, store).equal
    assert store.likes([U1, U2]) == [{I1, I2}, {I1}]
    assert store.retired()[1] == {I3}


def test_repairing_a_store_at_work_changes_nothing() -> None:
    broker, store = log_of(Like(U1, I1), partitions=1), MemoryStore()
    consume(broker, store)
    tamper(store, U1, UserChange(forget=True))
    verifier = Verifier(broker, store, TOPIC)
    verifier.run(lambda _read, _total: None)
    publish(broker, Unlike(U1, I1))
    consume(broker, store)
    with pytest.raises(PositionMovedError):
        verifier.repair()
    assert store.likes([U1]) == [set()]


# --- signals and merges ----------------------------------------------------------------------

BUY = SignalKind("buy")


def test_signals_of_every_kind_are_compared_and_repaired() -> None:
    broker = log_of(
        Signal(U1, I1, DISLIKE), Signal(U1, I2, BUY), Unsignal(U2, I1, BUY), Like(U3, I1)
    )
    store = MemoryStore()
    consume(broker, store)
    tampered = UserChange()
    tampered.signal(DISLIKE).remove.add(I1)
    tampered.signal(BUY).add.add(I3)
    tamper(store, U1, tampered)
    verifier = Verifier(broker, store, TOPIC, kinds={"dislike", "buy"})
    found = verifier.run(lambda _read, _total: None)
    assert found.differences == {
        U1: Difference(frozenset({Signalled(DISLIKE, I1)}), frozenset({Signalled(BUY, I3)}))
    }
    assert verifier.repair() == 1
    assert store.signals([U1], [DISLIKE, BUY])[0] == {DISLIKE: {I1}, BUY: {I2}}


def test_signals_of_a_kind_that_does_not_count_are_invalid_events() -> None:
    broker, store = log_of(Like(U1, I1), Signal(U1, I2, BUY)), MemoryStore()
    for partition, end in broker.end_offsets(broker.partitions(TOPIC)).items():
        store.apply(Changes(users={U1: UserChange(add={I1})}), {partition: Advance(None, end)})
    found = verify(broker, store)
    assert (found.equal, found.invalid) == (True, 1)


def test_an_account_without_what_its_guest_had_is_proven_wrong() -> None:
    broker, store = log_of(Like(U1, I1), Signal(U1, I2, DISLIKE), MergeUsers(U1, U2)), MemoryStore()
    consume(broker, store)
    found = verify(broker, store)
    assert found.differences == {U2: Difference(missing=frozenset({I1, Signalled(DISLIKE, I2)}))}
