"""Time travel: train is what was liked at the point, test is what was newly liked after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.progress import Unwatched
from likewise.errors import InvalidInputError
from likewise.evaluation.errors import EvaluationError
from likewise.evaluation.likes.sources import likes_of_file, likes_of_topic
from likewise.evaluation.likes.splits import divide
from likewise.evaluation.likes.table import Split
from likewise.evaluation.likes.until import EventCollector, Until, check_offsets, parse_until
from likewise.log.topics import TopicSpec
from likewise.messages.events import ForgetUser, Like, Unlike, encode_event
from likewise.messages.ids import ItemId, UserId
from likewise.messages.positions import Position
from likewise.operations.files.reading import Chunk
from likewise.operations.files.rows import Row
from likewise.testing import MemoryBroker

if TYPE_CHECKING:
    from likewise.evaluation.likes.table import LikeTable
    from likewise.messages.events import Event

NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z
DAY_MS = 86_400_000
POINT = Until(time_ms=100)


def like(item: str, user: str = "u") -> Like:
    return Like(UserId(user), ItemId(item))


def unlike(item: str, user: str = "u") -> Unlike:
    return Unlike(UserId(user), ItemId(item))


def splits_of(table: LikeTable) -> dict[tuple[str, str], Split]:
    assert table.splits is not None
    users, items = table.interactions.user_ids, table.interactions.item_ids
    rows = zip(table.users, table.interactions.user_items.indices, table.splits, strict=True)
    return {(users[user], items[item]): Split(split) for user, item, split in rows}


def divided(*events: tuple[Event, int]) -> dict[tuple[str, str], Split]:
    collector = EventCollector(POINT)
    for event, time_ms in [*events, (like("then", "anchor"), 1), (like("now", "anchor"), 200)]:
        collector.add(event, time_ms)
    found = splits_of(collector.table())
    assert found.pop(("anchor", "then")) is Split.TRAIN
    assert found.pop(("anchor", "now")) is Split.TEST
    return found


def test_likes_before_the_point_train_and_those_from_it_on_test() -> None:
    found = divided((like("a"), 99), (like("b"), 100), (like("c"), 101))
    assert found == {("u", "a"): Split.TRAIN, ("u", "b"): Split.TEST, ("u", "c"): Split.TEST}


def test_an_item_that_was_liked_at_the_point_is_not_tested_however_often_it_is_liked() -> None:
    again = divided((like("a"), 1), (like("a"), 150))
    after_a_pause = divided((like("a"), 1), (unlike("a"), 150), (like("a"), 160))
    assert again == after_a_pause == {("u", "a"): Split.TRAIN}


def test_an_unlike_before_the_point_makes_a_later_like_new() -> None:
    found = divided((like("a"), 1), (unlike("a"), 50), (like("a"), 150))
    assert found == {("u", "a"): Split.TEST}


def test_what_is_unliked_after_the_point_was_liked_at_it_and_is_no_test_like() -> None:
    found = divided((like("a"), 1), (unlike("a"), 150), (like("b"), 160), (unlike("b"), 170))
    assert found == {("u", "a"): Split.TRAIN}


def test_who_is_forgotten_after_the_point_is_in_neither_part() -> None:
    found = divided((like("a"), 1), (like("b"), 150), (ForgetUser(UserId("u")), 160))
    assert found == {}
    since = divided((like("a"), 1), (ForgetUser(UserId("u")), 160), (like("a"), 170))
    assert since == {("u", "a"): Split.TEST}


EVENTS = st.lists(
    st.tuples(st.booleans(), st.sampled_from("abc"), st.integers(0, 200)), max_size=25
)


@given(EVENTS)
def test_train_is_the_state_at_the_point_and_test_what_the_end_has_more(
    drawn: list[tuple[bool, str, int]],
) -> None:
    """In whatever order of time the events come: the order of the log is what is applied."""
    then: set[str] = set()
    now: set[str] = set()
    for liked, item, time_ms in drawn:
        for state in [now, *([then] if time_ms < 100 else [])]:
            (state.add if liked else state.discard)(item)
    expected = {("u", item): Split.TRAIN for item in then}
    expected |= {("u", item): Split.TEST for item in now - then}
    events = [(like(item) if liked else unlike(item), time) for liked, item, time in drawn]
    assert divided(*events) == expected


@pytest.mark.parametrize(
    ("time_ms", "sentence"),
    [(100, "there are no likes before"), (99, "there are no new likes after")],
)
def test_a_point_with_nothing_on_one_side_is_refused_with_the_reach_of_the_events(
    time_ms: int, sentence: str
) -> None:
    collector = EventCollector(POINT)
    collector.add(like("a"), time_ms)
    with pytest.raises(EvaluationError, match=sentence) as raised:
        collector.table()
    assert "1970-01-01T00:00:00" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("2026-01-01T12:00", Until(NOON_MS)),
        ("2026-01-01T13:00+01:00", Until(NOON_MS)),
        ("2026-01-01", Until(NOON_MS - DAY_MS // 2)),
        ("-7d", Until(NOON_MS - 7 * DAY_MS)),
        ("-1.5h", Until(NOON_MS - 5_400_000)),
        ("-2w", Until(NOON_MS - 14 * DAY_MS)),
        ("1042", Until(offsets={0: 1042})),
        ("3:7", Until(offsets={3: 7})),
        (" 1:990, 0:1042", Until(offsets={0: 1042, 1: 990})),
    ],
)
def test_a_point_is_a_moment_so_long_ago_or_places_in_the_log(text: str, until: Until) -> None:
    assert parse_until(text, now_ms=NOON_MS) == until


@pytest.mark.parametrize("text", ["", "soon", "7d", "-7", "0:1,2", "-7y", "2026-13-01", "nan"])
def test_what_is_no_point_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_until(text, now_ms=NOON_MS)


def test_a_point_is_written_as_it_could_be_given() -> None:
    for text in ("2026-01-01T12:00:00Z", "0:1042,1:990"):
        assert str(parse_until(text, now_ms=NOON_MS)) == text


@pytest.mark.parametrize(
    ("offsets", "sentence"),
    [
        ({0: 7}, "partition 1 is missing; the log ends at 0:10,1:20"),
        ({0: 7, 1: 7, 2: 7}, "has partition 2, but there are only partitions 0 to 1"),
        ({0: 4, 1: 7}, "0:4 is outside the log: partition 0 starts at 5 and ends at 10"),
        ({0: 5, 1: 21}, "1:21 is outside the log"),
    ],
)
def test_offsets_that_are_not_in_the_log_are_refused(
    offsets: dict[int, int], sentence: str
) -> None:
    with pytest.raises(EvaluationError, match=sentence):
        check_offsets(Until(offsets=offsets), {0: 5, 1: 0}, {0: 10, 1: 20})


def test_offsets_at_either_end_of_the_log_are_in_it() -> None:
    check_offsets(Until(offsets={0: 5, 1: 20}), {0: 5, 1: 0}, {0: 10, 1: 20})


def broker_with_likes() -> MemoryBroker:
    """Six likes a user, sent at 0 ms, 1 ms, …, which happened a second apart in the past."""
    now_ms = iter(range(1_000))
    broker = MemoryBroker(clock_ms=lambda: next(now_ms))
    broker.ensure_topics([TopicSpec("likes", 2, {})])
    sink = broker.sink()
    for number in range(6):
        for user in range(2):
            event = like(f"i{number}", f"u{user}")
            body = encode_event(event, timestamp_ms=NOON_MS + 1_000 * number)
            sink.send("likes", body, partition=user)
    sink.send("likes", b"no event", partition=0)
    return broker


def test_the_log_is_divided_by_the_times_of_its_events() -> None:
    until = Until(NOON_MS + 4_000)
    read = likes_of_topic(broker_with_likes(), "likes", Unwatched(), until)
    assert read.bad == 1
    found = splits_of(read.likes)
    assert {item for (_, item), split in found.items() if split is Split.TEST} == {"i4", "i5"}
    assert len(found) == 12
    division = divide(read.likes, seed=0)
    assert division.origin == "until, valid taken out of train"
    times = read.likes.times_ms
    assert times is not None
    assert set(times[division.splits == Split.VALID].tolist()) == {NOON_MS + 3_000}


def test_the_log_is_divided_by_an_offset_of_each_partition() -> None:
    until = Until(offsets={0: 2, 1: 5})
    found = splits_of(likes_of_topic(broker_with_likes(), "likes", Unwatched(), until).likes)
    assert sum(user == "u0" and split is Split.TRAIN for (user, _), split in found.items()) == 2
    assert sum(user == "u1" and split is Split.TRAIN for (user, _), split in found.items()) == 5


def test_events_are_placed_by_partition_and_offset() -> None:
    until = Until(offsets={0: 5, 1: 0})
    assert until.covers(None, Position(0, 4))
    assert not until.covers(None, Position(0, 5))
    assert not until.covers(None, Position(1, 0))


def test_a_file_is_divided_by_its_times_and_not_by_its_split() -> None:
    rows = [Row(line, "u", f"i{line}", 1_700_000_000 + line, split="train") for line in range(2, 8)]
    rows.append(Row(8, "u", "i8"))
    read = likes_of_file([Chunk(rows, 1.0)], Unwatched(), Until(1_700_000_006_000))
    found = splits_of(read.likes)
    assert [item for (_, item), split in found.items() if split is Split.TEST] == ["i6", "i7"]
    assert (read.bad, read.first_bad) == (1, "line 8: `timestamp` is missing, which --until needs")
