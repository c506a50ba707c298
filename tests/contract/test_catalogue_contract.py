"""The contract of the store's items, scenarios and experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from likewise.errors import PositionMovedError
from likewise.messages.ids import ItemId
from likewise.records import TopicPartition
from likewise.store.catalogue_port import CHANGES_KEPT, NO_CHANGES, CatalogueSize
from likewise.store.port import Advance, Changes
from likewise.store.redis import RedisStore
from likewise.testing import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.store.port import LikeStore

ITEMS = TopicPartition("items", 0)
A, B, C = ItemId("a"), ItemId("b:{1}*\n"), ItemId("ç")


def test_a_new_store_has_no_catalogue(store: LikeStore) -> None:
    assert list(store.catalogue_items()) == []
    assert store.catalogue_get([A, B]) == [None, None]
    assert store.catalogue_get([]) == []
    assert store.catalogue_cursor() == NO_CHANGES
    changes = store.catalogue_changes(NO_CHANGES, 10)
    assert changes == ([], False, False, NO_CHANGES, False)
    assert store.catalogue_size() == CatalogueSize(0, 0, 0)
    assert store.scenarios() == store.experiments() == {}


def test_the_newest_document_of_each_item_is_stored_and_none_removes_it(store: LikeStore) -> None:
    put(store, {A: b'{"n":1}', B: '{"n":"é"}'.encode()})
    put(store, {A: b'{"n":2}', C: b"{}"})
    put(store, {B: None, ItemId("never there"): None})
    assert store.catalogue_get([C, B, A]) == [b"{}", None, b'{"n":2}']
    assert everything(store) == [b'{"n":2}', b"{}"]
    assert store.catalogue_size() == CatalogueSize(2, 0, 0)


def test_scenarios_are_stored_by_name(store: LikeStore) -> None:
    store.apply(Changes(scenarios={"home": b'{"count":5}', "mail": b"{}"}), {})
    store.apply(Changes(scenarios={"mail": None}), {})
    assert store.scenarios() == {"home": b'{"count":5}'}
    assert store.catalogue_size() == CatalogueSize(0, 1, 0)
    assert everything(store) == []


def test_experiments_are_stored_by_name_apart_from_scenarios(store: LikeStore) -> None:
    both = {"home": '{"é":1}'.encode(), "mail": b"{}"}
    store.apply(Changes(scenarios={"home": b"{}"}, experiments=dict(both)), {})
    store.apply(Changes(experiments={"mail": None, "never there": None}), {})
    assert store.experiments() == {"home": both["home"]}
    assert store.scenarios() == {"home": b"{}"}
    assert store.catalogue_size() == CatalogueSize(0, 1, 1)


def test_documents_change_together_with_the_position_or_not_at_all(store: LikeStore) -> None:
    store.apply(Changes(items={A: b"{}"}), {ITEMS: Advance(None, 3)})
    with pytest.raises(PositionMovedError):
        store.apply(
            Changes(items={A: b"[]", B: b"{}"}, scenarios={"s": b"{}"}, experiments={"e": b"{}"}),
            {ITEMS: Advance(2, 9)},
        )
    assert everything(store) == [b"{}"]
    assert store.scenarios() == store.experiments() == {}
    assert store.positions([ITEMS]) == [3]


def test_changes_are_followed_from_a_cursor(store: LikeStore) -> None:
    put(store, {A: b"{}"})
    start = store.catalogue_cursor()
    put(store, {B: b"{}", C: b"{}"})
    put(store, {B: None})
    assert store.catalogue_changes(start, 2).items == [B, C]
    found = store.catalogue_changes(start, 10)
    assert (found.items, found.scenarios, found.gap) == ([B, C], False, False)
    assert found.cursor == store.catalogue_cursor()
    store.apply(Changes(scenarios={"s": b"{}"}), {})
    found = store.catalogue_changes(found.cursor, 10)
    assert (found.items, found.scenarios, found.experiments) == ([], True, False)
    store.apply(Changes(experiments={"e": b"{}"}), {})
    found = store.catalogue_changes(found.cursor, 10)
    assert (found.items, found.scenarios, found.experiments) == ([], False, True)
    assert store.catalogue_changes(found.cursor, 10) == ([], False, False, found.cursor, False)


def test_a_limited_reader_reaches_the_end_step_by_step(store: LikeStore) -> None:
    put(store, {A: b"{}"})
    cursor, seen = store.catalogue_cursor(), []
    put(store, {ItemId(str(number)): b"{}" for number in range(7)})
    while (found := store.catalogue_changes(cursor, 3)).cursor != cursor:
        cursor = found.cursor
        seen += found.items
    assert sorted(seen) == [str(number) for number in range(7)]


def test_the_first_changes_of_all_are_a_gap(store: LikeStore) -> None:
    put(store, {A: b"{}"})
    found = store.catalogue_changes(NO_CHANGES, 10)
    assert found.gap
    assert found.cursor == store.catalogue_cursor() != NO_CHANGES


def test_trimmed_changes_are_a_gap(store: LikeStore) -> None:
    put(store, {A: b"{}"})
    start = store.catalogue_cursor()
    put(store, {ItemId(str(number)): b"{}" for number in range(CHANGES_KEPT + 1_000)})
    found = store.catalogue_changes(start, 10)
    assert found.gap
    assert store.catalogue_changes(found.cursor, 10) == ([], False, False, found.cursor, False)
    assert len(everything(store)) == CHANGES_KEPT + 1_001


def test_lost_data_is_a_gap(store: LikeStore) -> None:
    put(store, {A: b"{}"})
    start = store.catalogue_cursor()
    lose_everything(store)
    assert store.catalogue_changes(start, 10) == ([], True, True, NO_CHANGES, True)
    put(store, {A: b"{}"})
    assert store.catalogue_changes(start, 10).gap


def put(store: LikeStore, documents: Mapping[ItemId, bytes | None]) -> None:
    store.apply(Changes(items=dict(documents)), {})


def everything(store: LikeStore) -> list[bytes]:
    return sorted(item for chunk in store.catalogue_items() for item in chunk)


def lose_everything(store: LikeStore) -> None:
    """Do to the catalogue what FLUSHALL would."""
    if isinstance(store, MemoryStore):
        store.flush()
    elif isinstance(store, RedisStore):
        keys = store._keys
        for key in [
            *keys.items_buckets(),
            keys.scenarios,
            keys.experiments,
            keys.catalogue_changes,
        ]:
            store._redis.run("DEL", key)
