"""The consumer and the topics `items`, `scenarios` and `experiments`, on the fakes."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from consumers.worker import ConsumerWorker
from likewise.errors import SettingsError, TransientError
from likewise.log.topics import Topics
from likewise.messages.dead_letters import decode_dead_letter
from likewise.messages.events import Like, encode_event, event_key
from likewise.messages.experiments import decode_stored_experiment
from likewise.messages.ids import ItemId, UserId
from likewise.messages.items import decode_stored_item
from likewise.records import TopicPartition
from likewise.settings import ConsumerSettings, KafkaSettings, Settings
from likewise.testing import MemoryBroker, MemoryStore
from tests.consuming import caught_up
from tests.unit.test_consumer_worker import StopWhen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from likewise.log.topics import TopicSpec

TOPICS = Topics()
ITEMS, SCENARIOS, EXPERIMENTS = (TopicPartition(topic, 0) for topic in TOPICS.documents)
TASTE = {
    "name": "taste",
    "kind": "split",
    "variants": [{"name": "control"}, {"name": "ease", "ranker": "ease"}],
    "started_at_ms": 1_000,
}
ANN = UserId("ann")
A, B, C = ItemId("a"), ItemId("b"), ItemId("c")
SETTINGS = Settings(consumer=ConsumerSettings(poll_timeout_ms=1))
OUTAGE = TransientError("the server is unavailable")


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.ensure_topics(TOPICS.specs(1))
    return broker


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_the_newest_document_of_each_name_is_in_the_store(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    put_item(broker, "a", title="old")
    put_item(broker, "b", title="gone")
    put(broker, TOPICS.scenarios, "home", {"defaults": {"count": 5}})
    put(broker, TOPICS.experiments, "taste", TASTE)
    put(broker, TOPICS.experiments, "gone", TASTE | {"name": "gone"})
    put(broker, TOPICS.experiments, "gone", None)
    like(broker, A)
    put_item(broker, "a", title="new")
    put(broker, TOPICS.items, "b", None)
    stats = consume(broker, store)
    assert titles(store) == {A: "new"}
    assert list(store.scenarios()) == ["home"]
    assert list(store.experiments()) == ["taste"]
    assert decode_stored_experiment(store.experiments()["taste"]).variants[1].ranker == "ease"
    assert store.likes([ANN]) == [{A}]
    assert store.positions([ITEMS, SCENARIOS, EXPERIMENTS]) == [4, 1, 3]
    assert (stats.events_applied, stats.dead_letters) == (1, 0)
    assert stats.documents_applied >= 4
    assert stats.lag == {"0": 0, "items/0": 0, "scenarios/0": 0, "experiments/0": 0}
    assert stats.held_back == dict.fromkeys(stats.lag, 0)


def test_what_cannot_be_decoded_is_dead_lettered_and_stops_nothing(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    broker.sink().send(TOPICS.items, b"no item", key=b"a")
    put_item(broker, "b", title="fine")
    broker.sink().send(TOPICS.scenarios, b"no scenario", key=b"home")
    broker.sink().send(TOPICS.items, None)
    put(broker, TOPICS.experiments, "taste", TASTE | {"kind": "both"})
    stats = consume(broker, store)
    assert titles(store) == {B: "fine"}
    assert store.scenarios() == store.experiments() == {}
    assert stats.dead_letters == 4
    letters = [decode_dead_letter(record) for record in broker.records(TOPICS.dead_letters)]
    assert {(letter.source, letter.offset) for letter in letters} == {
        (ITEMS, 0), (ITEMS, 2), (SCENARIOS, 0), (EXPERIMENTS, 0),
    }  # fmt: skip


def test_an_outage_loses_no_document(broker: MemoryBroker, store: MemoryStore) -> None:
    put_item(broker, "a", title="kept")
    waits: list[float] = []
    store.failure = OUTAGE

    def wait() -> None:
        waits.append(1)
        if len(waits) == 3:
            store.failure = None

    consume(broker, store, on_wait=wait)
    assert titles(store) == {A: "kept"}


def test_an_empty_redis_is_filled_with_the_catalogue(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    for number in range(50):
        put_item(broker, str(number), title=f"item {number}")
    consume(broker, store)
    empty = MemoryStore()
    consume(broker, empty)
    assert titles(empty) == titles(store)
    assert len(titles(store)) == 50


def test_a_recreated_topic_of_items_is_read_from_its_beginning_and_no_other(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    like(broker, A)
    put_item(broker, "a", title="old")
    consume(broker, store)
    broker.recreate_topic(TOPICS.items)
    put_item(broker, "b", title="new")
    put_item(broker, "c", title="newer")
    stats = consume(broker, store)
    assert stats.log_breaks == Counter(remade=1)
    assert titles(store) == {A: "old", B: "new", C: "newer"}
    assert stats.events_applied == 0
    assert store.positions([ITEMS]) == [2]


def test_a_partition_of_items_that_nobody_reads_is_read_after_rejoining(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    lost: list[TopicPartition] = []

    def done() -> bool:
        if everything_applied(broker, store) and not lost:
            lost.append(ITEMS)
            broker.unassign(ConsumerSettings().group, ITEMS)
            put_item(broker, "a", title="waits")
        return bool(lost) and everything_applied(broker, store)

    stats = ConsumerStats()
    ConsumerWorker(SETTINGS, broker, store, StopWhen(done), stats=stats, patience_s=0.0).run()
    assert stats.rejoins >= 1
    assert titles(store) == {A: "waits"}


def test_a_topic_of_items_that_is_deleted_holds_up_no_like(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    put_item(broker, "a", title="kept")
    consume(broker, store)
    broker.delete_topic(TOPICS.items)
    like(broker, A)
    consume(broker, store, until=lambda: caught_up(broker, store, TOPICS.likes))
    assert store.likes([ANN]) == [{A}]
    assert titles(store) == {A: "kept"}


def test_without_the_topics_of_the_catalogue_the_consumer_reads_likes_and_names_what_is_missing(
    store: MemoryStore,
) -> None:
    broker = MemoryBroker()
    broker.ensure_topics(TOPICS.core_specs(1))
    like(broker, A)
    kafka = KafkaSettings(create_topics=False)
    with capture_logs() as logs:
        consume(broker, store, Settings(kafka=kafka))
    assert store.likes([ANN]) == [{A}]
    [line] = [line for line in logs if "topics" in line]
    assert line["topics"] == ["items", "scenarios", "experiments"]


def test_a_broker_that_permits_no_new_topics_stops_no_deployment_that_has_the_others(
    store: MemoryStore,
) -> None:
    broker = MemoryBroker()
    broker.ensure_topics(TOPICS.core_specs(1))

    def refuse_new(specs: Iterable[TopicSpec]) -> None:
        if not all(broker.partitions(spec.name) for spec in specs):
            raise SettingsError("not permitted")

    broker.ensure_topics = refuse_new  # type: ignore[method-assign]
    like(broker, A)
    consume(broker, store)
    assert store.likes([ANN]) == [{A}]


def put_item(broker: MemoryBroker, item_id: str, **fields: Any) -> None:
    put(broker, TOPICS.items, item_id, {"item_id": item_id, **fields})


def put(broker: MemoryBroker, topic: str, key: str, body: object) -> None:
    value = None if body is None else json.dumps(body).encode()
    broker.sink().send(topic, value, key=key.encode())


def like(broker: MemoryBroker, item_id: ItemId) -> None:
    event = Like(ANN, item_id)
    broker.sink().send(TOPICS.likes, encode_event(event), key=event_key(event))


def titles(store: MemoryStore) -> dict[ItemId, str | None]:
    items = [decode_stored_item(one) for chunk in store.catalogue_items() for one in chunk]
    return {item.item_id: item.title for item in items}


def everything_applied(broker: MemoryBroker, store: MemoryStore) -> bool:
    return all(caught_up(broker, store, topic) for topic in (TOPICS.likes, *TOPICS.documents))


def consume(
    broker: MemoryBroker,
    store: MemoryStore,
    settings: Settings = SETTINGS,
    *,
    until: Callable[[], bool] | None = None,
    on_wait: Callable[[], object] = lambda: None,
) -> ConsumerStats:
    """Run a consumer until everything is applied."""
    stats = ConsumerStats()

    def done() -> bool:
        return store.failure is None and everything_applied(broker, store)

    stop = StopWhen(until or done, on_wait)
    run_consumer(settings, broker, store, stop, stats=stats)
    return stats
