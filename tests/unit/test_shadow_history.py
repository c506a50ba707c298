"""What users liked at the time of a request: what they like now, with the log undone since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.progress import Unwatched
from likewise.evaluation.shadow.history import LikeHistory, RequestTime, read_history
from likewise.log.ranges import offsets_before
from likewise.log.topics import TopicSpec
from likewise.messages.events import ForgetUser, Like, RetireItem, Unlike, encode_event
from likewise.messages.ids import ItemId, UserId
from likewise.messages.positions import Position
from likewise.records import TopicPartition
from likewise.testing import MemoryBroker
from likewise.testing.memory_log import MemoryRecord

if TYPE_CHECKING:
    from likewise.messages.events import Event

U = UserId("u")
REQUEST = RequestTime(time_ms=100)
PARTITION = TopicPartition("likes", 0)


def like(item: str) -> Like:
    return Like(U, ItemId(item))


def unlike(item: str) -> Unlike:
    return Unlike(U, ItemId(item))


def history_of(*events: tuple[Event, int]) -> LikeHistory:
    history = LikeHistory({U})
    for offset, (event, time_ms) in enumerate(events):
        history.add(event, MemoryRecord("likes", 0, offset, time_ms, None, None))
    return history


def then(history: LikeHistory, now: str, moment: RequestTime = REQUEST) -> set[str] | None:
    found = history.likes_at(U, {ItemId(item) for item in now}, moment)
    return None if found is None else {*found}


def later(history: LikeHistory, moment: RequestTime = REQUEST, known_until_ms: int = 0) -> set[str]:
    return {*history.liked_later(U, moment, known_until_ms=known_until_ms)}


def test_what_was_liked_since_is_taken_out_and_what_was_unliked_since_put_back() -> None:
    history = history_of((like("a"), 50), (like("b"), 150), (unlike("c"), 160))
    assert then(history, "ab") == {"a", "c"}
    assert later(history) == {"b"}


def test_what_happened_with_the_request_or_before_it_stays() -> None:
    assert then(history_of((like("a"), 100), (unlike("b"), 99)), "a") == {"a"}
    assert later(history_of((like("a"), 100))) == set()


def test_the_first_event_since_says_how_it_was_and_the_last_how_it_is() -> None:
    history = history_of((unlike("a"), 150), (like("a"), 160), (like("b"), 170), (unlike("b"), 180))
    assert then(history, "a") == {"a"}
    assert later(history) == set()


def test_an_event_that_the_request_names_as_applied_came_before_it_whatever_its_time() -> None:
    history = history_of((like("a"), 150), (like("b"), 150))
    moment = RequestTime(100, after=Position(0, 0))
    assert then(history, "ab", moment) == {"a"}
    assert later(history, moment) == {"b"}
    assert later(history, RequestTime(100, after=Position(1, 9))) == {"a", "b"}


def test_a_later_like_that_a_model_knows_already_is_no_test_of_it() -> None:
    history = history_of((like("a"), 150), (like("b"), 250))
    assert then(history, "ab") == set()
    assert later(history, known_until_ms=150) == {"b"}


def test_of_who_was_forgotten_since_nothing_is_known() -> None:
    assert then(history_of((ForgetUser(U), 150), (like("a"), 160)), "a") is None
    assert then(history_of((ForgetUser(U), 50)), "a") == {"a"}


def test_only_the_users_asked_for_are_remembered() -> None:
    history = history_of((Like(UserId("other"), ItemId("a")), 150), (RetireItem(ItemId("a")), 160))
    assert then(history, "a") == {"a"}
    assert history.likes_at(UserId("other"), {ItemId("a")}, REQUEST) == {"a"}


@given(
    st.sets(st.sampled_from("abcd")),
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 200)), max_size=20),
)
def test_undoing_events_that_changed_something_gives_the_likes_of_then(
    first: set[str], turns: list[tuple[str, int]]
) -> None:
    """Each turn likes what is not liked, or unlikes what is; times only grow."""
    now, at_request = set(first), set(first)
    events: list[tuple[Event, int]] = []
    for item, time_ms in sorted(turns, key=lambda turn: turn[1]):
        events.append((unlike(item) if item in now else like(item), time_ms))
        now ^= {item}
        if time_ms <= REQUEST.time_ms:
            at_request = set(now)
    history = history_of(*events)
    assert then(history, "".join(now)) == at_request
    assert later(history) == now - at_request


# --- reading ---------------------------------------------------------------------------------


@pytest.fixture
def broker() -> MemoryBroker:
    """5,000 likes in one of two partitions, one a millisecond."""
    now_ms = iter(range(1, 10_000))
    broker = MemoryBroker(clock_ms=lambda: next(now_ms))
    broker.ensure_topics([TopicSpec("likes", 2, {})])
    sink = broker.sink()
    for number in range(5_000):
        sink.send("likes", encode_event(like(f"i{number}")), partition=0)
    sink.send("likes", b"no event", partition=0)
    return broker


@pytest.mark.parametrize("time_ms", [0, 1, 2, 999, 1_001, 3_999, 4_001, 4_002, 5_001, 9_999])
def test_nothing_of_the_time_or_later_is_before_the_offset(
    broker: MemoryBroker, time_ms: int
) -> None:
    """The record of offset n is of n + 1 ms."""
    partitions = broker.partitions("likes")
    found = offsets_before(broker, partitions, time_ms)
    assert 0 <= found[PARTITION] <= max(time_ms - 1, 0)
    wanted = max(5_002 - time_ms, 0)
    assert 5_001 - found[PARTITION] <= max(4 * wanted, 1_000)
    assert found[TopicPartition("likes", 1)] == 0


def test_offsets_that_retention_removed_are_not_looked_for(broker: MemoryBroker) -> None:
    broker.delete_records(PARTITION, 4_500)
    assert offsets_before(broker, [PARTITION], 0) == {PARTITION: 4_500}
    assert offsets_before(broker, [], 0) == {}


def test_the_log_is_read_from_the_request_on(broker: MemoryBroker) -> None:
    history = read_history(broker, "likes", {U}, since_ms=4_998, progress=Unwatched())
    assert later(history, RequestTime(4_998)) == {"i4998", "i4999"}
