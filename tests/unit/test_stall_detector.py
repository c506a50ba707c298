"""A partition without progress is detected, and nothing else is."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from likewise.errors import TransientError, UndeliverableError
from likewise.log.topics import TopicSpec
from likewise.records import TopicPartition
from likewise.service.stall_detector import StallDetector
from likewise.testing import MemoryBroker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.errors import LikewiseError

P0, P1 = TopicPartition("likes", 0), TopicPartition("likes", 1)
PATIENCE_S = 60.0
LONGEST_S = 1.5 * PATIENCE_S


class Scene:
    """A topic of two partitions, how far its group has got, and a clock to turn."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.broker = MemoryBroker()
        self.broker.ensure_topics([TopicSpec("likes", 2, {})])
        self.reached: dict[TopicPartition, int | None] = {P0: None, P1: None}
        self.sink = self.broker.sink()
        self.stall_detector = StallDetector(
            self.broker,
            ("likes",),
            self._reached,
            patience_s=PATIENCE_S,
            rng=random.Random(1),
            clock_s=lambda: self.now_s,
        )

    def _reached(self, partitions: list[TopicPartition]) -> Iterable[int | None]:
        return [self.reached[partition] for partition in partitions]

    def publish(self, count: int = 1, partition: int = 0) -> None:
        for _ in range(count):
            self.sink.send("likes", b"{}", partition=partition)

    def found_within(self, seconds: float, **how: list[TopicPartition]) -> list[TopicPartition]:
        """Turn the clock, a second at a time, until something is found."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 1.0
            if found := self.stall_detector.partitions(**how):
                return found
        return []


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_partition_that_rests_with_events_to_read_is_found_when_patience_is_over(
    scene: Scene,
) -> None:
    scene.publish(3)
    scene.publish(1, partition=1)
    scene.reached = {P0: 1, P1: 1}
    assert scene.found_within(2 * LONGEST_S) == [P0]
    assert PATIENCE_S <= scene.now_s <= LONGEST_S + PATIENCE_S / 2


def test_a_partition_that_was_never_begun_is_found_too(scene: Scene) -> None:
    scene.publish()
    assert scene.found_within(2 * LONGEST_S) == [P0]


def test_a_partition_read_to_its_end_may_rest_for_ever(scene: Scene) -> None:
    scene.publish(3)
    scene.reached = {P0: 3, P1: None}
    assert scene.found_within(20 * LONGEST_S) == []


def test_a_partition_that_moves_is_left_alone_however_far_behind_it_is(scene: Scene) -> None:
    scene.publish(1_000)
    for at in range(40):
        scene.reached[P0] = at
        assert scene.found_within(PATIENCE_S / 2) == []


def test_an_end_without_a_record_is_nothing_to_read(scene: Scene) -> None:
    scene.publish(3)
    scene.broker.delete_records(P0, before=3)  # as are the marks of transactions
    assert scene.found_within(6 * LONGEST_S) == []
    scene.publish()
    assert scene.found_within(2 * LONGEST_S) == [P0], "beyond that end there is something"


def test_a_partition_that_is_known_to_rest_is_left_alone(scene: Scene) -> None:
    scene.publish()
    assert scene.found_within(5 * LONGEST_S, known=[P0]) == []
    assert scene.found_within(LONGEST_S) == [P0]


def test_where_joining_anew_did_not_help_the_next_time_is_further_away(scene: Scene) -> None:
    scene.publish()
    found_at_s = []
    for _ in range(5):
        assert scene.found_within(40 * LONGEST_S) == [P0]
        found_at_s.append(scene.now_s)
    gaps_s = [after - before for before, after in pairwise(found_at_s)]
    assert all(gap_s >= PATIENCE_S * 2**n for n, gap_s in enumerate(gaps_s, 1))
    scene.reached[P0] = 1
    assert scene.found_within(PATIENCE_S) == []
    scene.publish()
    assert scene.found_within(2 * LONGEST_S) == [P0], "it has moved: patience is as it was"


@pytest.mark.parametrize("failure", [TransientError("away"), UndeliverableError("no topic")])
def test_nothing_is_found_of_servers_out_of_reach_nor_soon_after(
    scene: Scene, failure: LikewiseError
) -> None:
    scene.publish()
    scene.found_within(PATIENCE_S - 1.0)
    scene.broker.fail_with(failure, failure, on="ask")
    assert scene.found_within(PATIENCE_S - 1.0) == []
    assert scene.found_within(2 * LONGEST_S) == [P0]
