"""Publishing in bulk: every event is confirmed or counted, and waiting for it can end."""

from __future__ import annotations

import pytest

from likewise.client.bulk import BulkPublisher
from likewise.errors import TransientError, UndeliverableError
from likewise.log.topics import TopicSpec
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId
from likewise.operations.applied import wait_until_applied
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes
from likewise.testing import MemoryBroker, MemoryStore

TOPIC = "likes"
LIKES = [Like(UserId(f"u{number % 5}"), ItemId(f"i{number}")) for number in range(50)]
FIRST = TopicPartition(TOPIC, 0)


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker()
    made.ensure_topics([TopicSpec(TOPIC, 3, {})])
    return made


def test_all_events_are_published_each_user_in_order(broker: MemoryBroker) -> None:
    publisher = BulkPublisher(broker.sink(), TOPIC)
    for like in LIKES:
        publisher.publish(like)
    published = publisher.finish()
    assert (published.confirmed, published.failed) == (len(LIKES), 0)
    partitions = broker.partitions(TOPIC)
    ends = broker.end_offsets(partitions)
    assert published.next_offsets == {which: end for which, end in ends.items() if end}
    for user in {like.user_id for like in LIKES}:
        read = [decode_event(record) for record in broker.records(TOPIC)]
        of_user = [like for like in LIKES if like.user_id == user]
        assert [like for like in read if isinstance(like, Like) and like.user_id == user] == of_user


def test_events_that_were_not_confirmed_are_counted(broker: MemoryBroker) -> None:
    broker.fail_with(TransientError("lost"), UndeliverableError("too large"), on="deliver")
    publisher = BulkPublisher(broker.sink(), TOPIC)
    for like in LIKES:
        publisher.publish(like)
    published = publisher.finish()
    assert (published.confirmed, published.failed) == (len(LIKES) - 2, 2)
    assert published.failures == ["lost", "too large"]


def test_a_broker_that_takes_no_more_ends_the_publishing(broker: MemoryBroker) -> None:
    publisher = BulkPublisher(broker.sink(), TOPIC)
    publisher.publish(LIKES[0])
    broker.fail_with(TransientError("the buffer stayed full"), on="send")
    with pytest.raises(TransientError, match="full"):
        publisher.publish(LIKES[1])
    assert publisher.finish().confirmed == 1


def test_a_broker_that_confirms_none_ends_the_publishing(broker: MemoryBroker) -> None:
    publisher = BulkPublisher(broker.sink(), TOPIC)
    broker.fail_with(*[TransientError("gone")] * 20_000, on="deliver")
    for _ in range(19_999):
        publisher.publish(LIKES[0])
    with pytest.raises(TransientError, match=r"confirmed none of 10,000 events.*gone"):
        publisher.publish(LIKES[0])
    published = publisher.finish()
    assert (published.confirmed, published.failed) == (0, 20_000)


def test_nothing_published_is_applied_at_once() -> None:
    wait_until_applied(MemoryStore(), {})


def test_waiting_ends_when_every_partition_is_applied() -> None:
    store = MemoryStore()
    left_over: list[int] = []

    def apply_one_more(left: int) -> None:
        left_over.append(left)
        at = store.positions([FIRST])[0]
        if left:
            store.apply(Changes(), {FIRST: Advance(at, (at or 0) + 1)})

    wait_until_applied(store, {FIRST: 3}, on_progress=apply_one_more)
    assert left_over == [3, 2, 1, 0]


def test_waiting_for_consumers_that_do_not_run_ends_with_the_likely_cause() -> None:
    with pytest.raises(TransientError, match=r"3 events.*likewise consume"):
        wait_until_applied(MemoryStore(), {FIRST: 3}, standstill_timeout_s=0.1)
