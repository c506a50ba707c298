"""A server has all of the catalogue before it is ready, and each change soon after."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from likewise.errors import TransientError
from likewise.messages.experiments import Experiment, Variant, encode_experiment
from likewise.messages.ids import ItemId
from likewise.messages.items import CatalogueItem, encode_item
from likewise.messages.where import parse_where
from likewise.retry import StoppedError
from likewise.store.port import Changes
from likewise.testing import MemoryStore
from serving.catalogue_follower import CatalogueFollower
from serving.stats import CatalogueStats
from tests.model_items import ModelItems
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.store.catalogue_port import CatalogueChanges

A, B, C = (ItemId(one) for one in "abc")

MODEL = ModelItems([A, B, C])


class CountingStore(MemoryStore):
    """A store that notes which parts of the catalogue were read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def catalogue_items(self) -> Iterator[list[bytes]]:
        self.reads.append("items")
        return super().catalogue_items()

    def catalogue_changes(self, after: str, limit: int) -> CatalogueChanges:
        self.reads.append("changes")
        return super().catalogue_changes(after, limit)

    def scenarios(self) -> dict[str, bytes]:
        self.reads.append("scenarios")
        return super().scenarios()

    def experiments(self) -> dict[str, bytes]:
        self.reads.append("experiments")
        return super().experiments()


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


def follower_of(store: MemoryStore) -> CatalogueFollower:
    return CatalogueFollower(store, threading.Event(), CatalogueStats())


def put(store: MemoryStore, **prices: float | None) -> None:
    items = {
        ItemId(one): None
        if price is None
        else encode_item(CatalogueItem(ItemId(one), labels={"price": price}))
        for one, price in prices.items()
    }
    store.apply(Changes(items=items), {})


def experiment(name: str, **fields: Any) -> Experiment:
    variants = (Variant(name="control"), Variant(name="other"))
    return Experiment(name=name, kind="split", variants=variants, seed="", **fields)


def put_experiments(store: MemoryStore, *experiments: Experiment) -> None:
    store.apply(Changes(experiments={one.name: encode_experiment(one) for one in experiments}), {})


def cheap(follower: CatalogueFollower) -> set[ItemId]:
    mask = follower.view(MODEL).mask(parse_where({"price": {"$lt": 10}}))
    return {one for one, passes in zip(MODEL.item_ids, mask, strict=True) if passes}


def test_everything_is_loaded_and_then_each_change_is_followed(store: CountingStore) -> None:
    put(store, a=1, b=20)
    follower = follower_of(store)
    follower.load()
    assert cheap(follower) == {A}
    put(store, a=None, b=2, c=3)
    assert not follower.look()
    assert cheap(follower) == {B, C}
    assert store.reads.count("items") == 1


def test_scenarios_are_followed(store: CountingStore) -> None:
    follower = follower_of(store)
    follower.load()
    assert follower.scenario("home") is None
    store.apply(Changes(scenarios={"home": b'{"name":"home","defaults":{"count":3}}'}), {})
    follower.look()
    home = follower.scenario("home")
    assert home is not None
    assert home.defaults.count == 3
    store.apply(Changes(scenarios={"home": None}), {})
    follower.look()
    assert follower.scenario("home") is None


def test_experiments_that_run_are_followed_in_order_and_decoded_once_a_change(
    store: CountingStore,
) -> None:
    of_home = experiment("a", started_at_ms=3, scenario="home")
    older, newer = experiment("z", started_at_ms=1), experiment("b", started_at_ms=2)
    over = experiment("over", started_at_ms=0, stopped_at_ms=9)
    put_experiments(store, newer, over, older)
    follower = follower_of(store)
    follower.load()
    assert [*follower.experiments] == [older, newer]
    put_experiments(store, of_home)
    follower.look()
    put(store, a=1)
    follower.look()
    assert [*follower.experiments] == [of_home, older, newer]
    assert follower.experiments is follower.experiments
    assert store.reads.count("experiments") == 2
    store.flush()
    follower.look()
    assert not follower.experiments


def test_without_a_catalogue_a_look_is_one_small_read(store: CountingStore) -> None:
    follower = follower_of(store)
    follower.load()
    follower.look()
    assert store.reads == ["changes"]
    assert cheap(follower) == set()
    assert follower.experiments == ()


def test_after_a_gap_in_the_changes_everything_is_read_again(store: CountingStore) -> None:
    put(store, a=1, b=20)
    follower = follower_of(store)
    follower.load()
    before = follower.view(MODEL)
    store.flush()
    put(store, b=2)
    follower.look()
    assert cheap(follower) == {B}
    assert before.mask(parse_where({"price": 20})).tolist() == [False, True, False]
    put(store, c=3)
    follower.look()
    assert cheap(follower) == {B, C}
    assert store.reads.count("items") == 2


def test_what_cannot_be_read_is_logged_and_costs_nothing_else_its_place(
    store: CountingStore,
) -> None:
    stats = CatalogueStats()
    follower = CatalogueFollower(store, threading.Event(), stats)
    put(store, a=1, b=2)
    store.apply(
        Changes(items={C: b"{"}, scenarios={"bad": b"[", "good": b'{"name":"good","defaults":{}}'}),
        {},
    )
    good = experiment("good", started_at_ms=1)
    put_experiments(store, good)
    store.apply(Changes(experiments={"bad": b'{"name":"bad"}'}), {})
    with capture_logs() as logs:
        follower.load()
    assert [one["event"] for one in logs if one["log_level"] == "error"] == [
        "a stored item cannot be read",
        "a stored scenario cannot be read",
        "a stored experiment cannot be read",
    ]
    assert (stats.items, stats.scenarios, stats.experiments, stats.unreadable) == (2, 1, 1, 3)
    assert follower.experiments == (good,)
    store.apply(Changes(items={A: b'{"item_id":"a","labels":{"price":{}}}'}), {})
    with capture_logs() as logs:
        follower.look()
    assert [one["item"] for one in logs] == ["a"]
    assert cheap(follower) == {B}  # the values that A had are no longer true
    assert follower.scenario("good") is not None


def test_the_thread_outlives_an_outage_and_a_fault(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.catalogue_follower.LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("serving.catalogue_follower._LONGEST_RETRY_S", 0.02)
    put(store, a=1)
    follower = follower_of(store)
    follower.load()
    with follower.following(), capture_logs() as logs:
        store.failure = TransientError("away")
        wait_until(lambda: any("away" in str(one) for one in logs))
        assert cheap(follower) == {A}
        store.failure = None
        put(store, b=2)
        wait_until(lambda: cheap(follower) == {A, B})
        with monkeypatch.context() as patch:
            patch.setattr("likewise.catalogue.columns.Column.replaced", broken)
            put(store, c=3)
            wait_until(lambda: any(one["event"] == "cannot follow the catalogue" for one in logs))
            assert cheap(follower) == {A, B}
        wait_until(lambda: cheap(follower) == {A, B, C})


def broken(*_: Any) -> Any:
    raise MemoryError


def test_a_stop_ends_a_load_that_waits_for_the_store(store: CountingStore) -> None:
    stop = threading.Event()
    store.failure = TransientError("not up yet")
    stop.set()
    with pytest.raises(StoppedError):
        CatalogueFollower(store, stop, CatalogueStats()).load()


def test_a_stop_ends_a_load_in_the_middle(store: CountingStore) -> None:
    put(store, a=1)
    stop = threading.Event()
    follower = CatalogueFollower(store, stop, CatalogueStats())
    stop.set()
    with pytest.raises(StoppedError):
        follower.load()
    assert not follower.loaded


def test_the_age_of_the_last_look_grows_while_the_store_is_away(store: CountingStore) -> None:
    stats = CatalogueStats()
    assert stats.age_s is None
    follower = CatalogueFollower(store, threading.Event(), stats)
    follower.load()
    first = stats.looked_at_s
    store.failure = TransientError("away")
    with pytest.raises(TransientError):
        follower.look()
    assert stats.looked_at_s == first
    store.failure = None
    follower.look()
    assert first is not None
    assert stats.looked_at_s is not None
    assert stats.looked_at_s > first
    assert stats.age_s is not None
