"""On Tansu a reader waits where offsets are missing, and not for ever."""

from __future__ import annotations

from types import SimpleNamespace

import kafka

from likewise.log.kafka.gaps import GAP_TIMEOUT_S, Gaps
from likewise.records import Span, TopicPartition, Unreadable
from likewise.testing.memory_log import MemoryRecord

P0, P1 = TopicPartition("likes", 0), TopicPartition("likes", 1)


class Consumer:
    """What is asked of kafka-python's."""

    def __init__(self, **spans: Span) -> None:
        self.fetcher = SimpleNamespace(
            spans={TopicPartition("likes", int(p[1])): s for p, s in spans.items()}
        )
        self.sought: list[tuple[int, int]] = []

    def assignment(self) -> set[kafka.TopicPartition]:
        return {kafka.TopicPartition("likes", partition) for partition in range(2)}

    def seek(self, partition: kafka.TopicPartition, offset: int) -> None:
        self.sought.append((partition.partition, offset))


def records(partition: int, *offsets: int) -> list[MemoryRecord]:
    return [MemoryRecord("likes", partition, offset, 0, None, b"") for offset in offsets]


def test_records_after_a_gap_wait_and_other_partitions_go_on() -> None:
    consumer = Consumer(p0=Span(5, 9), p1=Span(0, 2))
    kept = Gaps().hold_back(consumer, [*records(0, 5, 6, 8), *records(1, 0, 1)])
    assert [(one.partition, one.offset) for one in kept] == [(0, 5), (0, 6), (1, 0), (1, 1)]
    assert consumer.sought == [(0, 7)]
    assert consumer.fetcher.spans == {P0: Span(5, 7), P1: Span(0, 2)}


def test_a_poll_that_begins_with_a_gap_returns_nothing_and_moves_nothing() -> None:
    consumer = Consumer(p0=Span(5, 9))
    assert Gaps().hold_back(consumer, records(0, 6, 7, 8)) == []
    assert (consumer.sought, consumer.fetcher.spans) == ([(0, 5)], {})


def test_a_gap_that_stays_is_passed_after_a_while() -> None:
    times_s = iter([0.0, GAP_TIMEOUT_S / 2, GAP_TIMEOUT_S])
    gaps = Gaps(lambda: next(times_s))
    for count in (0, 0, 3):
        assert len(gaps.hold_back(Consumer(p0=Span(5, 9)), records(0, 6, 7, 8))) == count


def test_an_unreadable_batch_has_all_its_offsets() -> None:
    consumer = Consumer(p0=Span(5, 9))
    batch = Unreadable("likes", 0, 5, 7, 0, "undecodable_batch", "", b"")
    assert len(Gaps().hold_back(consumer, [batch, *records(0, 8)])) == 2
    assert consumer.sought == []
