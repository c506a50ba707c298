"""One request that waits for long does not have those behind it answered again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.records import Committed, TopicPartition
from likewise.settings import ServingSettings
from serving.answered_ahead import Ahead, AnsweredAhead
from tests.serving_rig import VERSION, Rig
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

PARTITION = TopicPartition("requests", 0)
BATCH = 100
REQUESTS = 1_500


@given(
    st.integers(0, 2**40),
    st.integers(0, 2**20),
    st.sets(st.integers(0, 2**20), max_size=3_000),
)
def test_a_note_claims_nothing_that_was_not_answered(
    start: int, length: int, gaps: set[int]
) -> None:
    still_open = frozenset(start + gap for gap in gaps if gap < length)
    noted_range = Ahead(start, start + length, still_open)
    text = noted_range.note()
    read = Ahead.of(start, text)
    assert text.isascii()
    assert len(text) <= 4_000
    assert read is not None
    assert read.end <= noted_range.end
    assert read.open == {offset for offset in still_open if offset < read.end}
    if len(still_open) < 500:
        assert read == noted_range


@given(st.text(max_size=50) | st.binary(max_size=60).map(lambda some: "open1:" + some.hex()))
def test_any_other_note_is_ignored(note: str) -> None:
    found = Ahead.of(7, note)
    assert found is None or found.start == 7


def test_a_note_that_unpacks_to_a_lot_is_cut_off() -> None:
    import base64
    import zlib

    bomb = "open1:" + base64.b64encode(zlib.compress(bytes(3_000_000))).decode()
    assert len(bomb) < 4_100
    found = Ahead.of(0, bomb)
    assert found is not None
    assert (found.end, len(found.open)) == (0, 1)


def test_what_a_previous_owner_answered_is_noted_until_all_of_it_was_read() -> None:
    noted_range = Ahead(10, 5_000, frozenset({10, 3_000}))
    ahead = AnsweredAhead()
    ahead.resume({PARTITION: Committed(10, noted_range.note())}, {}, {})
    assert [offset for offset in range(5_100) if ahead.has((PARTITION, offset))] == [
        offset for offset in range(11, 5_000) if offset != 3_000
    ]
    answered_ahead = ahead.ahead_of({PARTITION: 10}, {PARTITION: 500}, n_open=1)
    (noted,) = ahead.notes(answered_ahead, {PARTITION: [10]}).values()
    assert Ahead.of(*noted) == noted_range
    assert ahead.ahead_of({PARTITION: 5_000}, {PARTITION: 5_000}, n_open=0) == {}
    assert not ahead.has((PARTITION, 11))


def test_a_recreated_topic_is_read_from_its_beginning() -> None:
    ahead = AnsweredAhead()
    ahead.resume({}, {PARTITION: 5_000}, {})
    assert not ahead.has((PARTITION, 0))


def test_a_note_that_is_committed_is_not_committed_again() -> None:
    ahead = AnsweredAhead(clock_s=iter(range(100)).__next__)
    answered_ahead = ahead.ahead_of({PARTITION: 10}, {PARTITION: 5_000}, n_open=1)
    noted = ahead.notes(answered_ahead, {PARTITION: [10]})
    assert noted
    ahead.note_committed(noted)
    assert ahead.notes(answered_ahead, {PARTITION: [10]}) == {}
    assert ahead.notes(answered_ahead, {PARTITION: [10, 20]})


@pytest.fixture
def rig(model_directory: Path) -> Rig:
    return Rig(
        model_directory, VERSION, settings=ServingSettings(max_batch=BATCH, poll_timeout_ms=1)
    )


def ask_behind_one_that_waits(rig: Rig) -> None:
    rig.ask({"liked": [], "after": "0:7", "deadline_ms": 3_600_000, "request_id": "waits"})
    for number in range(REQUESTS):
        rig.ask({"liked": [], "count": 1, "request_id": str(number)})


def answered(rig: Rig) -> Counter[str]:
    return Counter(reply["request_id"] for reply in rig.replies())


def turn(rig: Rig, times: int = 2 * REQUESTS // BATCH) -> None:
    for _ in range(times):
        rig.worker.run_once()


def restart(rig: Rig) -> None:
    rig.stop.set()
    rig.worker.run()  # what a server does last
    rig.stop.clear()
    rig.replace_worker()


def test_servers_that_are_restarted_twice_answer_each_request_once(rig: Rig) -> None:
    ask_behind_one_that_waits(rig)
    for _ in range(2):
        turn(rig)
        assert rig.committed() == 0
        restart(rig)
    turn(rig)
    assert answered(rig) == Counter(str(number) for number in range(REQUESTS))
    assert rig.worker.stats.waiting == 1
    rig.applied(0, 8)
    turn(rig)
    assert answered(rig)["waits"] == 1
    assert set(answered(rig).values()) == {1}
    assert rig.committed() == REQUESTS + 1
    assert rig.source.committed() == {
        TopicPartition(rig.topics.requests, 0): Committed(REQUESTS + 1)
    }


def test_a_server_restarted_before_it_has_read_everything_notes_the_rest_for_the_next(
    rig: Rig,
) -> None:
    ask_behind_one_that_waits(rig)
    turn(rig)
    restart(rig)
    turn(rig, 1)
    restart(rig)
    turn(rig)
    assert set(answered(rig).values()) == {1}


def test_after_a_rebalance_nothing_that_was_noted_is_answered_again(rig: Rig) -> None:
    def all_is_noted() -> bool:
        rig.worker.run_once()
        (at,) = rig.source.committed().values()
        ahead = Ahead.of(at.offset, at.note)
        return ahead is not None and ahead.end == REQUESTS + 1 and ahead.open == {0}

    ask_behind_one_that_waits(rig)
    turn(rig)
    wait_until(all_is_noted)
    other = rig.new_worker()
    for _ in range(3 * REQUESTS // BATCH):
        rig.worker.run_once()
        other.run_once()
    assert set(answered(rig).values()) == {1}
    assert rig.worker.stats.waiting + other.stats.waiting == 1
