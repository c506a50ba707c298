"""Verification of items, scenarios and experiments on the fakes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from likewise.errors import PositionMovedError
from likewise.log.topics import Topics
from likewise.messages.ids import ItemId
from likewise.operations.document_verification import DocumentVerifier
from likewise.operations.documents import Experiments, Items, Scenarios
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes
from likewise.testing import MemoryBroker, MemoryStore
from tests.unit.test_consumer_documents import TASTE, consume, put, put_item

if TYPE_CHECKING:
    from likewise.operations.document_verification import DocumentVerification

TOPICS = Topics()
ITEMS = TopicPartition(TOPICS.items, 0)
A, B, C, D = ItemId("a"), ItemId("b"), ItemId("c"), ItemId("d")


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker with four items, one removed, one unreadable, a scenario and an experiment."""
    broker = MemoryBroker()
    broker.ensure_topics(TOPICS.specs(1))
    for name in "abcd":
        put_item(broker, name, title=f"title of {name}")
    put(broker, TOPICS.items, "c", None)
    broker.sink().send(TOPICS.items, b"no item", key=b"d")
    put(broker, TOPICS.scenarios, "home", {"defaults": {"count": 5}})
    put(broker, TOPICS.experiments, "taste", TASTE)
    return broker


@pytest.fixture
def store(broker: MemoryBroker) -> MemoryStore:
    store = MemoryStore()
    consume(broker, store)
    return store


def test_what_the_consumer_has_applied_is_equal(broker: MemoryBroker, store: MemoryStore) -> None:
    found = verifier(broker, store).run()
    assert (found.equal, found.whole) == (True, True)
    assert (found.records, found.invalid, found.documents, found.unapplied) == (6, 1, 3, 0)
    for documents in (
        Scenarios(TOPICS.scenarios, store),
        Experiments(TOPICS.experiments, store),
    ):
        found = DocumentVerifier(broker, store, documents).run()
        assert (found.equal, found.documents) == (True, 1)


def test_what_differs_is_named_and_repaired(broker: MemoryBroker, store: MemoryStore) -> None:
    right = store.catalogue_get([A, B, C])
    other = json.dumps({"item_id": "b", "title": "another"}).encode()
    stray = json.dumps({"item_id": "c"}).encode()
    store.apply(Changes(items={A: None, B: other, C: stray}), {})
    checking = verifier(broker, store)
    found = checking.run()
    assert (found.missing, found.outdated, found.extra) == ({"a"}, {"b"}, {"c"})
    assert (found.equal, found.wrong) == (False, ["a", "b", "c"])
    assert checking.repair() == 3
    assert store.catalogue_get([A, B, C]) == right
    assert verify(broker, store).equal


def test_scenarios_are_repaired_like_items(broker: MemoryBroker, store: MemoryStore) -> None:
    before = store.scenarios()
    store.apply(Changes(scenarios={"home": None, "stray": before["home"]}), {})
    checking = DocumentVerifier(broker, store, Scenarios(TOPICS.scenarios, store))
    found = checking.run()
    assert (found.missing, found.extra) == ({"home"}, {"stray"})
    checking.repair()
    assert store.scenarios() == before


def test_experiments_are_repaired_like_items(broker: MemoryBroker, store: MemoryStore) -> None:
    before = store.experiments()
    store.apply(Changes(experiments={"taste": b"{}", "stray": before["taste"]}), {})
    checking = DocumentVerifier(broker, store, Experiments(TOPICS.experiments, store))
    found = checking.run()
    assert (found.outdated, found.extra) == ({"taste"}, {"stray"})
    checking.repair()
    assert store.experiments() == before


def test_records_after_the_applied_position_are_no_difference(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    put_item(broker, "later")
    found = verify(broker, store)
    assert (found.equal, found.unapplied) == (True, 1)


def test_a_consumer_that_applies_during_the_comparison_makes_no_difference(
    broker: MemoryBroker, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = Items(TOPICS.items, store)
    read = documents.all_stored

    def meanwhile() -> list[tuple[str, bytes]]:
        put_item(broker, "a", title="changed meanwhile")
        put(broker, TOPICS.items, "b", None)
        found = list(read())
        consume(broker, store)
        return found

    monkeypatch.setattr(documents, "all_stored", meanwhile)
    found = DocumentVerifier(broker, store, documents).run()
    assert (found.equal, found.wrong, found.unapplied) == (True, [], 0)


def test_a_repair_does_not_undo_what_a_consumer_applies_meanwhile(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    store.apply(Changes(items={A: None}), {})
    checking = verifier(broker, store)
    checking.run()
    put_item(broker, "a", title="newest")
    consume(broker, store)
    newest = store.catalogue_get([A])
    with pytest.raises(PositionMovedError):
        checking.repair()
    assert store.catalogue_get([A]) == newest


def test_an_item_whose_earlier_records_are_gone_is_unproven(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    broker.delete_records(ITEMS, before=4)
    found = verify(broker, store)
    assert (found.equal, found.whole) == (True, False)
    assert found.unproven == {"a", "b", "d"}
    assert found.beginnings == {ITEMS: 4}


def test_a_position_after_the_end_of_the_log_is_named(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    store.apply(Changes(), {ITEMS: Advance(6, 60)})
    found = verify(broker, store)
    assert found.beyond_log == {ITEMS: 60}
    assert not found.equal


def verifier(broker: MemoryBroker, store: MemoryStore) -> DocumentVerifier:
    return DocumentVerifier(broker, store, Items(TOPICS.items, store))


def verify(broker: MemoryBroker, store: MemoryStore) -> DocumentVerification:
    return verifier(broker, store).run()
