from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from likewise.records import Span, TopicPartition
from serving.offset_tracker import OffsetTracker

FIRST, SECOND = TopicPartition("requests", 0), TopicPartition("requests", 1)


def test_what_was_read_is_committed_once() -> None:
    tracker = OffsetTracker()
    tracker.note_read({FIRST: Span(4, 6), SECOND: Span(9, 10)})
    assert tracker.to_commit({}) == {FIRST: 6, SECOND: 10}
    tracker.note_committed({FIRST: 6, SECOND: 10})
    assert tracker.to_commit({}) == {}
    tracker.note_read({SECOND: Span(10, 11)})
    assert tracker.to_commit({}) == {SECOND: 11}


def test_a_partition_that_went_to_another_member_is_not_committed() -> None:
    tracker = OffsetTracker()
    tracker.note_read({FIRST: Span(4, 5), SECOND: Span(9, 10)})
    tracker.keep_only({SECOND})
    assert tracker.to_commit({}) == {SECOND: 10}


def test_a_partition_that_comes_back_is_committed_again() -> None:
    tracker = OffsetTracker()
    tracker.note_read({FIRST: Span(4, 5)})
    tracker.note_committed({FIRST: 5})
    tracker.keep_only(set())
    tracker.note_read({FIRST: Span(4, 5)})
    assert tracker.to_commit({}) == {FIRST: 5}


@given(st.lists(st.sets(st.integers(0, 30)), max_size=8))
def test_no_commit_ever_passes_a_request_that_waits(turns: list[set[int]]) -> None:
    """Thirty-one requests, read four in a turn; each turn lists those read that still wait."""
    tracker = OffsetTracker()
    for turn, waits in enumerate(turns):
        offsets = range(turn * 4, min(turn * 4 + 4, 31))
        tracker.note_read({FIRST: Span(offsets.start, offsets.stop)})
        waiting = {offset for offset in waits if offset < offsets.stop}
        commits = tracker.to_commit({FIRST: min(waiting)} if waiting else {})
        tracker.note_committed(commits)
        for committed in commits.values():
            assert committed == min(waiting, default=offsets.stop)
