from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from likewise.records import Span, TopicPartition
from serving.progress import Progress

FIRST, SECOND = TopicPartition("requests", 0), TopicPartition("requests", 1)


def test_what_was_read_is_committed_once() -> None:
    progress = Progress()
    progress.note_read({FIRST: Span(4, 6), SECOND: Span(9, 10)})
    assert progress.to_commit({}) == {FIRST: 6, SECOND: 10}
    progress.note_committed({FIRST: 6, SECOND: 10})
    assert progress.to_commit({}) == {}
    progress.note_read({SECOND: Span(10, 11)})
    assert progress.to_commit({}) == {SECOND: 11}


def test_a_partition_that_went_to_another_member_is_not_committed() -> None:
    progress = Progress()
    progress.note_read({FIRST: Span(4, 5), SECOND: Span(9, 10)})
    progress.keep_only({SECOND})
    assert progress.to_commit({}) == {SECOND: 10}


def test_a_partition_that_comes_back_is_committed_again() -> None:
    progress = Progress()
    progress.note_read({FIRST: Span(4, 5)})
    progress.note_committed({FIRST: 5})
    progress.keep_only(set())
    progress.note_read({FIRST: Span(4, 5)})
    assert progress.to_commit({}) == {FIRST: 5}


@given(st.lists(st.sets(st.integers(0, 30)), max_size=8))
def test_no_commit_ever_passes_a_request_that_waits(turns: list[set[int]]) -> None:
    """Thirty-one requests, read four in a turn; each turn says which of those read still wait."""
    progress = Progress()
    for turn, waits in enumerate(turns):
        offsets = range(turn * 4, min(turn * 4 + 4, 31))
        progress.note_read({FIRST: Span(offsets.start, offsets.stop)})
        waiting = {offset for offset in waits if offset < offsets.stop}
        commits = progress.to_commit({FIRST: min(waiting)} if waiting else {})
        progress.note_committed(commits)
        for committed in commits.values():
            assert committed == min(waiting, default=offsets.stop)
