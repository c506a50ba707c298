"""What a server knows of the catalogue is what the store has, in memory and in Redis."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from likewise.messages.experiments import Experiment, Variant, encode_experiment
from likewise.messages.ids import ItemId
from likewise.messages.items import CatalogueItem, encode_item
from likewise.messages.where import parse_where
from likewise.store.port import Changes
from serving.catalogue_follower import CatalogueFollower
from serving.stats import CatalogueStats
from tests.model_items import ModelItems
from tests.waiting import wait_until

if TYPE_CHECKING:
    from likewise.store.port import LikeStore

TASTE = Experiment(
    name="taste",
    kind="split",
    variants=(Variant(name="control"), Variant(name="ease", ranker="ease")),
    seed="1",
    started_at_ms=1_000,
)
MODEL = ModelItems(ItemId(f"i{number}") for number in range(3_000))


def test_a_server_has_all_documents_and_follows_their_changes(store: LikeStore) -> None:
    put(store, {one: row % 10 for row, one in enumerate(MODEL.item_ids)})
    follower = CatalogueFollower(store, threading.Event(), CatalogueStats())
    follower.load()
    assert passing(follower, 3) == set(MODEL.item_ids[3::10])
    with follower.following():
        put(store, {ItemId("i3"): 4, ItemId("i13"): None, ItemId("i0"): 3})
        expected = {ItemId("i0"), *MODEL.item_ids[23::10]}
        wait_until(lambda: passing(follower, 3) == expected)
        store.apply(Changes(scenarios={"home": b'{"name":"home","defaults":{"count":3}}'}), {})
        wait_until(lambda: follower.scenario("home") is not None)
        store.apply(Changes(experiments={"taste": encode_experiment(TASTE)}), {})
        wait_until(lambda: follower.experiments == (TASTE,))
        stopped = msgspec.structs.replace(TASTE, stopped_at_ms=TASTE.started_at_ms + 1)
        store.apply(Changes(experiments={"taste": encode_experiment(stopped)}), {})
        wait_until(lambda: not follower.experiments)


def test_the_first_items_of_all_reach_a_running_server(store: LikeStore) -> None:
    follower = CatalogueFollower(store, threading.Event(), CatalogueStats())
    follower.load()
    assert not passing(follower, 3)
    put(store, {ItemId("i1"): 3})
    follower.look()
    assert passing(follower, 3) == {"i1"}


def put(store: LikeStore, shelves: dict[ItemId, int | None]) -> None:
    items = {
        one: None
        if shelf is None
        else encode_item(CatalogueItem(one, title=f"é {one}", labels={"shelf": shelf}))
        for one, shelf in shelves.items()
    }
    store.apply(Changes(items=items), {})


def passing(follower: CatalogueFollower, shelf: int) -> set[ItemId]:
    mask = follower.view(MODEL).mask(parse_where({"shelf": shelf}))
    return {one for one, passes in zip(MODEL.item_ids, mask, strict=True) if passes}
