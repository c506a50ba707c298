"""A batch that is cut into parts is the same batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from consumers.batches import by_partition, next_offsets, parts
from likewise.testing import MemoryBroker
from likewise.topics import TopicSpec

if TYPE_CHECKING:
    from likewise.streams import Record, TopicPartition


def records(lengths: list[int]) -> list[Record]:
    broker = MemoryBroker()
    broker.ensure_topics([TopicSpec("likes", len(lengths), {})])
    sink = broker.sink()
    for partition, length in enumerate(lengths):
        for _ in range(length):
            sink.send("likes", b"{}", partition=partition)
    return broker.records("likes")


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 30))
def test_parts_follow_on_each_other_in_every_partition(lengths: list[int], size: int) -> None:
    batch = by_partition(records(lengths))
    cut = list(parts(batch, size))
    put_together = by_partition(r for part in cut for some in part.values() for r in some)
    assert put_together == batch
    assert all(some for part in cut for some in part.values())
    counts = [sum(map(len, part.values())) for part in cut]
    assert len(counts) == max(sum(lengths) // size, 1)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 30))
def test_the_last_parts_of_all_partitions_end_where_the_batch_does(
    lengths: list[int], size: int
) -> None:
    batch = by_partition(records(lengths))
    reached: dict[TopicPartition, int] = {}
    for part in parts(batch, size):
        following = next_offsets(part)
        assert all(reached.get(partition, 0) < offset for partition, offset in following.items())
        reached |= following
    assert reached == next_offsets(batch)
