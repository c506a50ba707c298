"""What `status` reads off the servers, against fakes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from msgspec.structs import replace

from likewise.errors import TransientError
from likewise.experiments.runs import OUTSIDE, run_key
from likewise.log.topics import Topics
from likewise.messages.announcements import Announcement, encode_announcement
from likewise.messages.events import Like, encode_event, event_key
from likewise.messages.experiments import Experiment, Variant, encode_experiment
from likewise.messages.ids import ItemId, UserId
from likewise.operations.status import status_of
from likewise.records import TopicPartition
from likewise.settings import Settings
from likewise.settings.experiments import ExperimentSettings
from likewise.store.attribution_port import AttributionUpdate
from likewise.store.port import Advance, Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

SETTINGS = Settings()
TOPICS = Topics()


def publish(broker: MemoryBroker, likes: int) -> None:
    with closing(broker.sink()) as sink:
        for number in range(likes):
            event = Like(UserId(f"u{number}"), ItemId("i"))
            sink.send(TOPICS.likes, encode_event(event), key=event_key(event)).result(1)


def test_an_empty_deployment_without_topics_has_nothing_and_lacks_nothing() -> None:
    found = status_of(SETTINGS, MemoryBroker(), MemoryStore())
    assert found.unreachable == []
    assert found.kafka is not None
    assert (found.kafka.likes.partitions, found.kafka.likes.lag) == (0, 0)
    assert (found.kafka.dead_letters, found.kafka.not_applied) == (0, 0)
    assert found.redis is not None
    assert (found.redis.users, found.redis.likes, found.redis.model) == (0, 0, None)


def test_what_was_never_read_is_all_behind() -> None:
    broker = MemoryBroker()
    broker.ensure_topics(TOPICS.specs(3))
    publish(broker, 7)
    found = status_of(SETTINGS, broker, MemoryStore())
    assert found.kafka is not None
    assert (found.kafka.likes.records, found.kafka.likes.lag) == (7, 7)
    assert found.kafka.not_applied == 7


def test_lag_counts_from_the_commit_and_not_applied_from_the_positions_in_redis() -> None:
    broker, store = MemoryBroker(), MemoryStore()
    broker.ensure_topics(TOPICS.specs(1))
    publish(broker, 7)
    partition = TopicPartition(TOPICS.likes, 0)
    with closing(broker.source(SETTINGS.consumer.group, [TOPICS.likes], max_records=10)) as source:
        source.poll(1_000)
        source.commit({partition: 2})
    store.apply(Changes(), {partition: Advance(None, 5)})
    found = status_of(SETTINGS, broker, store)
    assert found.kafka is not None
    assert found.kafka.likes.lag == 5
    assert found.kafka.not_applied == 2


def test_likes_users_and_the_model_are_counted_exactly() -> None:
    store = MemoryStore()
    likes = {UserId("a"): {ItemId("x"), ItemId("y")}, UserId("b"): {ItemId("x")}}
    changes = {user_id: UserChange(add=items) for user_id, items in likes.items()}
    store.apply(Changes(users=changes, retire={ItemId("z")}), {})
    announced = Announcement(
        version="v", snapshot_at_ms=1, users=2, items=2, likes=3, ranker="blend"
    )
    store.announce_model(encode_announcement(announced))
    found = status_of(SETTINGS, MemoryBroker(), store).redis
    assert found is not None
    assert (found.users, found.likes, found.retired_items, found.changed_users) == (2, 3, 1, 2)
    assert found.scattered_users == 0
    assert found.model == announced


def test_users_with_events_on_several_partitions_are_counted() -> None:
    store = MemoryStore()
    store.scatter({UserId("a"): 0, UserId("b"): 7}, store.homes("murmur2", 6))
    found = status_of(SETTINGS, MemoryBroker(), store).redis
    assert found is not None
    assert found.scattered_users == 2


def test_a_user_that_a_scan_names_twice_counts_once() -> None:
    class Repeating(MemoryStore):
        def scan_users(self, chunk: int) -> Iterator[list[UserId]]:
            for users in super().scan_users(chunk):
                yield users
                yield users

    store = Repeating()
    store.apply(Changes(users={UserId("a"): UserChange(add={ItemId("x")})}), {})
    found = status_of(SETTINGS, MemoryBroker(), store).redis
    assert found is not None
    assert (found.users, found.likes) == (1, 1)


def test_without_redis_kafka_is_still_told_of() -> None:
    broker, store = MemoryBroker(), MemoryStore()
    broker.ensure_topics(TOPICS.specs(2))
    publish(broker, 3)
    store.failure = TransientError("Redis is out of reach")
    found = status_of(SETTINGS, broker, store)
    assert found.redis is None
    assert found.unreachable == ["Redis is out of reach"]
    assert found.kafka is not None
    assert found.kafka.likes.lag == 3
    assert found.kafka.not_applied is None


def test_the_catalogue_is_counted_and_its_topics_are_measured() -> None:
    broker, store = MemoryBroker(), MemoryStore()
    broker.ensure_topics(TOPICS.specs(1))
    broker.sink().send(TOPICS.items, b'{"item_id": "a"}', key=b"a").result(1)
    store.apply(Changes(items={ItemId("a"): b"{}"}, scenarios={"home": b"{}"}), {})
    found = status_of(SETTINGS, broker, store)
    assert found.kafka is not None
    assert found.redis is not None
    assert (found.kafka.items.records, found.kafka.items.lag) == (1, 1)
    assert (found.redis.items, found.redis.scenarios) == (1, 1)


def test_experiments_that_run_are_listed_with_their_counts() -> None:
    broker, store = MemoryBroker(), MemoryStore()
    variants = (Variant(name="control"), Variant(name="ridge", ranker="ridge"))
    taste = Experiment(name="taste", kind="split", variants=variants, seed="1", started_at_ms=5)
    canary = replace(taste, name="canary-1", kind="interleaved", canary=True, started_at_ms=6)
    over = replace(taste, name="over", stopped_at_ms=9)
    documents = {one.name: encode_experiment(one) for one in (canary, over, taste)}
    counts = {
        f"/{name}/{count}": number
        for name, likes in (("control", 4), ("ridge", 2))
        for count, number in {"users": 40, "lists": 40, "n2": 40, "likes": likes, "ny": likes, "y2": likes}.items()
    }  # fmt: skip
    store.apply(Changes(experiments=dict(documents)), {})
    store.apply_attribution(
        AttributionUpdate(counts={run_key(taste): counts, run_key(canary): counts})
    )
    found = status_of(SETTINGS, broker, store).redis
    assert found is not None
    assert [(one.name, one.canary, one.lists, one.likes) for one in found.experiments] == [
        ("taste", False, 80, 6),
        ("canary-1", True, 40, 6),
    ]
    assert {one.state for one in found.experiments} == {"running"}
    assert "Too few users" in found.experiments[0].sentence


def test_without_experiments_their_counts_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr(store, "experiments", None)
    found = status_of(SETTINGS, MemoryBroker(), store).redis
    assert found is not None
    assert found.experiments == []


EVERY_LIST = replace(SETTINGS, experiments=ExperimentSettings(lists="all"))


def test_lists_outside_experiments_are_counted_by_scenario_and_place_if_there_are_any() -> None:
    store = MemoryStore()
    counts = {
        "//lists": 5, "//shown": 10, "//likes": 3, "//hits": 2,
        "//shown_at/0": 5, "//shown_at/1": 5, "//likes_at/0": 2, "//likes_at/1": 1,
        "home//lists": 4, "home//shown": 8, "home//shown_at/0": 4, "home//shown_at/1": 4, "home//hits": 1,
        "cart//lists": 1, "cart//shown": 1, "cart//shown_at/0": 1,
    }  # fmt: skip
    without = status_of(SETTINGS, MemoryBroker(), store).redis
    assert without is not None
    assert without.outside_experiments is None
    store.apply_attribution(AttributionUpdate(counts={OUTSIDE: counts}))
    found = status_of(SETTINGS, MemoryBroker(), store).redis
    assert found is not None
    assert found.outside_experiments is not None
    total = found.outside_experiments.total
    assert (total.lists, total.shown, total.likes, total.hit_rate) == (5, 10, 3, 0.4)
    assert [(one.place, one.shown, one.likes) for one in total.places] == [(1, 5, 2), (2, 5, 1)]
    scenarios = found.outside_experiments.scenarios
    assert [(one.scenario, one.lists, one.hit_rate) for one in scenarios] == [
        ("home", 4, 0.25),
        ("cart", 1, 0.0),
    ]


def test_without_any_list_there_is_no_rate() -> None:
    found = status_of(EVERY_LIST, MemoryBroker(), MemoryStore()).redis
    assert found is not None
    assert found.outside_experiments is not None
    total = found.outside_experiments.total
    assert (total.lists, total.hit_rate, total.places) == (0, None, [])
    assert found.outside_experiments.scenarios == []
