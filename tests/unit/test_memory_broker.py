"""What the memory broker adds to the contract: faults on demand."""

from __future__ import annotations

import threading

import pytest

from likewise.errors import TransientError, UndeliverableError
from likewise.log.topics import TopicSpec
from likewise.records import TopicPartition
from likewise.testing import MemoryBroker

LIKES = TopicPartition("likes", 0)


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker(clock_ms=lambda: 1_700_000_000_000)
    made.ensure_topics([TopicSpec("likes", 1, {})])
    return made


def test_a_broker_that_is_down_fails_every_call_and_forgets_nothing(broker: MemoryBroker) -> None:
    sink, source = broker.sink(), broker.source("g", ["likes"], max_records=10)
    sink.send("likes", b"a")
    broker.down = True
    for call in (
        lambda: sink.send("likes", b"b"),
        lambda: sink.flush(1.0),
        lambda: source.poll(0),
        lambda: source.commit({LIKES: 1}),
        lambda: broker.partitions("likes"),
        lambda: broker.end_offsets([LIKES]),
        lambda: broker.sink(),
    ):
        with pytest.raises(TransientError):
            call()
    broker.down = False
    assert [record.value for record in source.poll(0)] == [b"a"]


def test_a_poll_that_waits_ends_when_the_broker_goes_down(broker: MemoryBroker) -> None:
    reader = broker.reader({LIKES: 0})
    threading.Timer(0.05, lambda: setattr(broker, "down", True)).start()
    with pytest.raises(TransientError):
        reader.poll(60_000)


def test_a_poll_that_waits_ends_when_a_record_comes(broker: MemoryBroker) -> None:
    reader = broker.reader({LIKES: 0})
    threading.Timer(0.05, lambda: broker.sink().send("likes", b"a")).start()
    assert [record.value for record in reader.poll(60_000)] == [b"a"]


def test_single_calls_can_be_made_to_fail(broker: MemoryBroker) -> None:
    sink = broker.sink()
    broker.fail_with(UndeliverableError("no"), TransientError("later"), on="send")
    with pytest.raises(UndeliverableError):
        sink.send("likes", b"a")
    with pytest.raises(TransientError):
        sink.send("likes", b"a")
    assert sink.send("likes", b"b").result(1.0) == (0, 0)


def test_a_confirmation_can_be_lost_although_the_record_arrived(broker: MemoryBroker) -> None:
    broker.fail_with(TransientError("not confirmed"), on="deliver")
    with pytest.raises(TransientError):
        broker.sink().send("likes", b"a").result(1.0)
    assert [record.value for record in broker.records("likes")] == [b"a"]


def test_the_clock_stamps_the_records(broker: MemoryBroker) -> None:
    broker.sink().send("likes", b"a")
    assert broker.records("likes")[0].timestamp == 1_700_000_000_000


def test_the_commit_of_an_expired_member_counts_for_nothing(broker: MemoryBroker) -> None:
    broker.sink().send("likes", b"a")
    expired, successor = (broker.source("g", ["likes"], max_records=10) for _ in range(2))
    assert len(expired.poll(0)) == 1
    expired.expire()
    assert len(successor.poll(0)) == 1
    assert expired.assignment() == {LIKES}
    expired.commit({LIKES: 1})
    assert broker.committed("g", [LIKES]) == {LIKES: None}
    successor.commit({LIKES: 1})
    assert broker.committed("g", [LIKES]) == {LIKES: 1}


def test_deleted_records_are_skipped_and_offsets_stay(broker: MemoryBroker) -> None:
    for value in (b"a", b"b", b"c"):
        broker.sink().send("likes", value)
    broker.delete_records(LIKES, before=2)
    assert broker.beginning_offsets([LIKES]) == {LIKES: 2}
    (record,) = broker.reader({LIKES: 0}).poll(0)
    assert (record.offset, record.value) == (2, b"c")
