"""The demo's catalogue: what the page shows of films, and what is published of them."""

from __future__ import annotations

import pytest

from likewise.cli.demo.catalogue import catalogue_item
from likewise.cli.demo.films import Film, FilmLike, FilmLikes, load_film_likes
from likewise.cli.demo.loading import ALTERNATIVES, is_loaded, publish, with_demo
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.event_times import event_time_ms
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId
from likewise.messages.items import CatalogueItem, decode_item, encode_item
from likewise.settings import Settings
from likewise.store.port import Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore

HATE = Film("Hate", frozenset({"Drama", "Crime"}), 1995, ("La Haine",))
FILMS = FilmLikes(
    [FilmLike(UserId(f"u{number}"), ItemId("f1"), 900_000_000_000) for number in range(150)],
    {ItemId("f1"): HATE, ItemId("f2"): Film("film 2", frozenset())},
)


def store_with(*likes: FilmLike) -> MemoryStore:
    store = MemoryStore()
    changes = {like.user_id: UserChange(add={like.item_id}) for like in likes}
    store.apply(Changes(users=changes), {})
    return store


def test_a_film_is_an_item_with_its_year_as_a_label_and_its_genres_as_categories() -> None:
    item = catalogue_item(ItemId("f1"), HATE)
    assert item == CatalogueItem(
        ItemId("f1"),
        title="Hate",
        categories=("Crime", "Drama"),
        labels={"year": 1995, "also": ("La Haine",)},
        published_at_ms=788_918_400_000,
    )
    assert catalogue_item(ItemId("f2"), FILMS.films[ItemId("f2")]).labels == {}


def test_every_film_is_an_item_that_consumers_accept() -> None:
    broker = MemoryBroker()
    publish(FilmLikes([], load_film_likes(1).films), broker, Settings())
    items = [decode_item(record) for record in broker.records(Topics().items)]
    assert len(items) == 9_066
    for item in items:
        assert isinstance(item, CatalogueItem)
        assert item.title
        assert encode_item(item)


def test_films_and_likes_are_published_with_their_times_and_where_they_end() -> None:
    broker = MemoryBroker()
    ends = publish(FILMS, broker, Settings())
    likes = broker.records(Topics().likes)
    events = {decode_event(record) for record in likes}
    assert events == {Like(like.user_id, ItemId("f1")) for like in FILMS.likes}
    assert {event_time_ms(record) for record in likes} == {900_000_000_000}
    for topic in (Topics().likes, Topics().items):
        reached = sum(end for partition, end in ends.items() if partition.topic == topic)
        assert reached == len(broker.records(topic))


@pytest.mark.parametrize(
    ("there", "expected"), [(0, False), (100, False), (101, True), (150, True)]
)
def test_data_is_there_if_most_of_the_last_likes_are(there: int, expected: bool) -> None:
    assert is_loaded(FILMS, store_with(*FILMS.likes[:there])) is expected


def test_what_the_page_shows_is_on_unless_the_settings_say_otherwise() -> None:
    settings = with_demo(Settings(), ())
    assert settings.indexer.alternatives == ALTERNATIVES
    assert settings.model.user_ids
    assert settings.model.effort == "fast"
    given = with_demo(Settings(), ("indexer.alternatives", "model.user_ids", "model.effort"))
    assert given == Settings()
