"""`experiments verify`: the counts are computed again from the topics, and compared."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest

from consumers.attribution.runs import Runs
from consumers.attribution.stats import AttributionStats
from consumers.attribution.worker import AttributionWorker
from likewise.errors import LikewiseError
from likewise.experiments.runs import run_key
from likewise.log.topics import Topics
from likewise.messages.events import ForgetUser, encode_event
from likewise.messages.experiments import encode_experiment
from likewise.messages.exposures import encode_exposure
from likewise.operations.experiment_verification import (
    ExperimentVerification,
    ExperimentVerifier,
)
from likewise.operations.tallies import tally_of
from likewise.records import TopicPartition
from likewise.settings import ConsumerSettings, Settings
from likewise.store.attribution_port import AttributionUpdate
from likewise.store.port import Advance, Changes
from likewise.testing import MemoryBroker, MemoryStore
from tests.attributing import ITEMS, USERS, experiment, exposure, put, send_traffic

TOPICS = Topics()
SETTINGS = Settings(consumer=ConsumerSettings(poll_timeout_ms=1))
NOW_MS = time.time_ns() // 1_000_000
WIDE = experiment(started_at_ms=NOW_MS)


class After(threading.Event):
    """Set after so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def is_set(self) -> bool:
        self._looks -= 1
        return self._looks < 0


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker(clock_ms=lambda: NOW_MS)
    broker.ensure_topics(TOPICS.specs(2))
    broker.sink().send(TOPICS.experiments, encode_experiment(WIDE), key=b"wide").result(1.0)
    send_traffic(broker.sink(), TOPICS, WIDE, seed=1, now_ms=NOW_MS, lists=300)
    return broker


@pytest.fixture
def store(broker: MemoryBroker) -> MemoryStore:
    store = MemoryStore()
    ends = broker.end_offsets(broker.partitions(TOPICS.experiments))
    steps = {partition: Advance(None, end) for partition, end in ends.items()}
    store.apply(Changes(experiments={WIDE.name: encode_experiment(WIDE)}), steps)
    count(broker, store)
    return store


def count(broker: MemoryBroker, store: MemoryStore) -> None:
    """Let attribution count all that there is."""
    runs = Runs(store, SETTINGS.experiments)
    AttributionWorker(
        SETTINGS, TOPICS, broker, store, After(60), runs=runs, stats=AttributionStats()
    ).run()


def verified(broker: MemoryBroker, store: MemoryStore) -> ExperimentVerification:
    return ExperimentVerifier(broker, store, TOPICS, "wide").run()


def test_what_was_counted_agrees_with_the_topics(broker: MemoryBroker, store: MemoryStore) -> None:
    found = verified(broker, store)
    assert found.proven
    assert found.differences == {}
    assert found.expected == tally_of(store, WIDE)
    assert found.lists >= 300
    assert sum(one.likes for one in found.expected.variants.values()) > 0
    assert (found.not_counted_yet, found.late, found.forgotten) == (0, 0, 0)


def test_what_is_not_counted_yet_is_no_difference(broker: MemoryBroker, store: MemoryStore) -> None:
    send_traffic(broker.sink(), TOPICS, WIDE, seed=2, now_ms=NOW_MS, lists=10)
    found = verified(broker, store)
    assert found.proven
    assert found.not_counted_yet >= 20
    count(broker, store)
    assert verified(broker, store).not_counted_yet == 0


def test_a_wrong_count_is_found(broker: MemoryBroker, store: MemoryStore) -> None:
    key = run_key(WIDE)
    lists = tally_of(store, WIDE).variants["wide"].lists
    store.apply_attribution(
        AttributionUpdate(counts={key: {"/wide/lists": 1}}, items={(key, "wide"): ["x"]})  # type: ignore[list-item]  # an item
    )
    found = verified(broker, store)
    assert not found.equal
    assert found.differences == {
        "/wide/lists": (lists, lists + 1),
        "/wide/items": (len(ITEMS), len(ITEMS) + 1),
    }


def test_lists_of_another_variant_than_the_hash_gives_are_found(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    right = exposure(WIDE, USERS[0], 999_999, ITEMS[:3], NOW_MS)
    other = "wide" if right.variant == "control" else "control"
    wrong = msgspec.structs.replace(right, variant=other)
    key = USERS[0].encode()
    broker.sink().send(TOPICS.exposures, encode_exposure(wrong), key=key).result(1.0)
    count(broker, store)
    found = verified(broker, store)
    assert found.differences == {}
    assert not found.equal
    assert found.misassigned_examples == [(USERS[0], other, right.variant)]


def test_another_definition_in_redis_is_found(broker: MemoryBroker, store: MemoryStore) -> None:
    put(store, msgspec.structs.replace(WIDE, margin=0.5))
    found = verified(broker, store)
    assert found.definition_differs
    assert not found.equal


def test_records_that_retention_removed_are_reported(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    partition = TopicPartition(TOPICS.exposures, 1)
    broker.delete_records(partition, 5)
    found = verified(broker, store)
    assert found.removed_from == [partition]
    assert not found.proven
    assert found.differences


def test_users_who_were_forgotten_are_reported(broker: MemoryBroker, store: MemoryStore) -> None:
    event = encode_event(ForgetUser(USERS[0]))
    broker.sink().send(TOPICS.likes, event, key=USERS[0].encode()).result(1.0)
    count(broker, store)
    assert verified(broker, store).forgotten == 1


def test_undecodable_exposures_are_counted_apart(broker: MemoryBroker, store: MemoryStore) -> None:
    broker.sink().send(TOPICS.exposures, b"{", key=b"ann").result(1.0)
    count(broker, store)
    found = verified(broker, store)
    assert found.invalid == 1
    assert found.proven


def test_an_experiment_that_the_topic_does_not_have_cannot_be_verified(
    broker: MemoryBroker, store: MemoryStore
) -> None:
    broker.sink().send(TOPICS.experiments, None, key=b"wide").result(1.0)
    with pytest.raises(LikewiseError, match="no experiment 'wide'"):
        verified(broker, store)
