"""What consumers write about new and trending items, on the fakes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
from structlog.testing import capture_logs

from consumers.batches import Part
from consumers.changed_items import liked_items
from consumers.fold import fold
from consumers.new_items import NewItems
from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from consumers.trending import Trending
from likewise.errors import ForeignDataError, ModelFileError, TransientError
from likewise.log.topics import Topics
from likewise.messages.announcements import Announcement, encode_announcement
from likewise.messages.events import Like, Unlike, encode_event, event_key
from likewise.messages.ids import ItemId, UserId
from likewise.messages.order import ItemState, Moment, UserState
from likewise.models.known_items import KnownItems
from likewise.settings import KafkaSettings, ModelSettings, ServingSettings, Settings
from likewise.store.port import Changes
from likewise.store.recent_port import FIRST, NewLike
from likewise.testing import MemoryBroker, MemoryStore
from likewise.testing.memory_log import MemoryRecord
from tests.consuming import caught_up

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.messages.events import Event
    from likewise.records import Record

VERSION = "20260101T000000.000Z"
ANN, BOB = UserId("ann"), UserId("bob")
OLD, NEW, NEWER = ItemId("old"), ItemId("new"), ItemId("newer")
HOUR_MS = 3_600_000
NOW_MS = 1_000_000 * HOUR_MS


def model(directory: Path, *items: ItemId, version: str = VERSION) -> bytes:
    """Write the part of a model that consumers read; return its announcement."""
    (directory / version).mkdir()
    (directory / version / "item_ids.json").write_bytes(msgspec.json.encode(items))
    return encode_announcement(
        Announcement(
            version=version, snapshot_at_ms=0, users=1, items=len(items), likes=1, ranker="blend"
        )
    )


def new_items(directory: Path, store: MemoryStore, stats: ConsumerStats | None = None) -> NewItems:
    found = NewItems(directory, store, stats or ConsumerStats())
    found.follow()
    return found


def noted(finder: NewItems, *events: Event) -> tuple[list[tuple[ItemId, UserId]], set[ItemId]]:
    changes = fold(events)
    finder.note(changes, liked_items(changes))
    assert changes.new_items is not None
    return changes.new_items.liked, changes.new_items.unliked


def test_the_items_of_a_model_are_known_and_others_are_not(tmp_path: Path) -> None:
    items = [ItemId(f"i{number}") for number in range(1_000)]
    model(tmp_path, *items)
    known = KnownItems.read(tmp_path, VERSION)
    assert all(item in known for item in items)
    assert not any(ItemId(f"j{number}") in known for number in range(1_000))


@pytest.mark.parametrize("version", [VERSION, "../../etc", ""])
def test_items_that_cannot_be_read_are_an_error(version: str, tmp_path: Path) -> None:
    model(tmp_path, OLD)
    (tmp_path / VERSION / "item_ids.json").write_bytes(b'["old", 7]')
    with pytest.raises(ModelFileError):
        KnownItems.read(tmp_path, version)


def test_likes_and_unlikes_of_new_items_are_noted_and_those_of_others_are_not(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    store.announce_model(model(tmp_path, OLD))
    stats = ConsumerStats()
    finder = new_items(tmp_path, store, stats)
    liked, unliked = noted(
        finder, Like(ANN, OLD), Like(ANN, NEW), Like(BOB, NEW), Unlike(BOB, NEWER)
    )
    assert sorted(liked) == [(NEW, ANN), (NEW, BOB)]
    assert unliked == {NEWER}
    assert stats.new_item_likes == 2


def test_likes_of_users_on_several_partitions_are_noted(tmp_path: Path) -> None:
    store = MemoryStore()
    store.announce_model(model(tmp_path, OLD))
    at = Moment(1, 0, 1)
    state = UserState(items={NEW: ItemState(at, True), NEWER: ItemState(at, False)})
    changes = Changes(scattered={ANN: state})
    new_items(tmp_path, store).note(changes, liked_items(changes))
    assert changes.new_items is not None
    assert changes.new_items.liked == [(NEW, ANN)]
    assert changes.new_items.unliked == {NEWER}


def test_nothing_is_noted_of_known_items_or_before_a_first_model(tmp_path: Path) -> None:
    store = MemoryStore()
    before = fold([Like(ANN, NEW)])
    new_items(tmp_path, store).note(before, liked_items(before))
    assert before.new_items is None
    store.announce_model(model(tmp_path, OLD))
    known = fold([Like(ANN, OLD), Unlike(BOB, OLD)])
    new_items(tmp_path, store).note(known, liked_items(known))
    assert known.new_items is None


def test_the_next_model_makes_an_item_known(tmp_path: Path) -> None:
    store = MemoryStore()
    store.announce_model(model(tmp_path, OLD))
    finder = new_items(tmp_path, store)
    assert noted(finder, Like(ANN, NEW))[0] == [(NEW, ANN)]
    store.announce_model(model(tmp_path, OLD, NEW, version="20260102T000000.000Z"))
    finder.follow()
    assert noted(finder, Like(ANN, NEW), Like(ANN, NEWER))[0] == [(NEWER, ANN)]


def test_a_batch_names_a_thousand_likes_of_new_items_at_most(tmp_path: Path) -> None:
    store = MemoryStore()
    store.announce_model(model(tmp_path, OLD))
    events = [Like(UserId(f"u{number % 7}"), ItemId(f"i{number}")) for number in range(3_000)]
    assert len(noted(new_items(tmp_path, store), *events)[0]) == 1_000


def test_a_model_that_is_not_on_this_disk_is_logged_once(tmp_path: Path) -> None:
    store = MemoryStore()
    announcement = model(tmp_path, OLD)
    (tmp_path / VERSION / "item_ids.json").unlink()
    store.announce_model(announcement)
    with capture_logs() as logs:
        finder = new_items(tmp_path, store)
        store.announce_model(announcement.replace(VERSION.encode(), b"20260102T000000.000Z"))
        finder.follow()
    assert [line["log_level"] for line in logs] == ["warning"]
    changes = fold([Like(ANN, NEW)])
    finder.note(changes, liked_items(changes))
    assert changes.new_items is None


def test_each_user_who_likes_an_item_in_a_batch_counts_once() -> None:
    store = MemoryStore()
    events: list[Event] = [Like(ANN, OLD), Like(ANN, OLD), Like(BOB, OLD)]
    events += [Like(BOB, NEW), Unlike(BOB, NEW)]
    count(store, *((event, NOW_MS) for event in events))
    assert trending(store) == [(OLD, 2)]


def test_likes_count_by_the_times_of_their_records() -> None:
    store = MemoryStore()
    count(
        store,
        (Like(ANN, OLD), NOW_MS - 10 * HOUR_MS),
        (Like(ANN, NEW), NOW_MS - HOUR_MS),
        (Like(BOB, NEWER), NOW_MS + 10 * HOUR_MS),  # a clock that is ahead
        (Unlike(BOB, OLD), NOW_MS),
    )
    assert trending(store) == [(NEWER, 1), (NEW, 0.5), (OLD, 0)]


def test_a_log_that_is_read_again_after_years_counts_nothing() -> None:
    store = MemoryStore()
    count(store, (Like(ANN, OLD), NOW_MS - 100 * HOUR_MS), (Like(BOB, OLD), 1))
    assert trending(store) == []


def test_records_without_a_time_count_now() -> None:
    store = MemoryStore()
    count(store, (Like(ANN, OLD), -1))
    assert trending(store) == [(OLD, 1)]


def test_counts_wait_for_a_store_that_cannot_be_reached() -> None:
    store = MemoryStore()
    counting = Trending(store, 3_600.0, lambda: NOW_MS / 1000)
    apply(counting, (Like(ANN, OLD), NOW_MS))
    store.failure = TransientError("down")
    with pytest.raises(TransientError):
        counting.flush()
    store.failure = None
    counting.flush()
    counting.flush()
    assert trending(store) == [(OLD, 1)]


def test_a_key_of_somebody_else_turns_the_counting_off_and_stops_nothing() -> None:
    store = MemoryStore()
    counting = Trending(store, 3_600.0, lambda: NOW_MS / 1000)
    apply(counting, (Like(ANN, OLD), NOW_MS))
    store.failure = ForeignDataError("not ours")
    with capture_logs() as logs:
        counting.flush()
    store.failure = None
    apply(counting, (Like(ANN, OLD), NOW_MS))
    counting.flush()
    assert len(logs) == 1
    assert trending(store) == []


@pytest.mark.parametrize("wanted", [True, False])
def test_a_consumer_writes_both_as_its_settings_say(wanted: bool, tmp_path: Path) -> None:
    broker, store = MemoryBroker(), MemoryStore()
    broker.ensure_topics(Topics().specs(1))
    store.announce_model(model(tmp_path, OLD))
    sink, stop = broker.sink(), threading.Event()
    base = Settings(kafka=KafkaSettings(partitions=1), model=ModelSettings(directory=tmp_path))
    if not wanted:
        base = msgspec.structs.replace(
            base,
            serving=ServingSettings(new_item_likes=0),
            trending=msgspec.structs.replace(base.trending, half_life_s=0),
        )
    consumer = threading.Thread(target=run_consumer, args=[base, broker, store, stop])
    consumer.start()
    for event in (Like(ANN, OLD), Like(BOB, NEW)):
        sink.send("likes", encode_event(event), key=event_key(event))
    try:
        while not caught_up(broker, store, "likes"):
            assert consumer.is_alive()
    finally:
        stop.set()
        consumer.join(10.0)
    found = store.new_likes(FIRST, 10).likes
    assert found == ([NewLike(NEW, BOB)] if wanted else [])
    assert len(store.trending(10, now_ms=NOW_MS)) == (2 if wanted else 0)


def count(store: MemoryStore, *dated: tuple[Event, int]) -> None:
    """Count a batch at `NOW_MS`, with a half-life of an hour."""
    counting = Trending(store, 3_600.0, lambda: NOW_MS / 1000)
    apply(counting, *dated)
    counting.flush()


def apply(counting: Trending, *dated: tuple[Event, int]) -> None:
    events = [event for event, _ in dated]
    records: list[Record] = [
        MemoryRecord("likes", 0, offset, timestamp, b"", b"")
        for offset, (_, timestamp) in enumerate(dated)
    ]
    counting.count(liked_items(fold(events)), [Part(0, events, records)])


def trending(store: MemoryStore) -> list[tuple[ItemId, float]]:
    """Return the counts, rounded to about a per cent."""
    return [(item, round(likes, 1)) for item, likes in store.trending(10, now_ms=NOW_MS)]
