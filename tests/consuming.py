"""Shared by the tests of the consumer: settings, a stream of events and its outcome."""

from __future__ import annotations

import random
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.events import Event, ForgetUser, Like, Unlike, encode_event, event_key
from likewise.messages.ids import ItemId, UserId
from likewise.settings import ConsumerSettings, RedisSettings, Settings
from likewise.store.redis import RedisStore
from tests.services import in_a_thread, kafka_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from likewise.log.port import Broker, Sink
    from likewise.records import TopicPartition
    from likewise.store.port import LikeStore

USERS = [UserId(f"user {number}") for number in range(60)]
ITEMS = [ItemId(f"item {number}") for number in range(40)]


def settings_for(bootstrap_servers: str, redis_url: str, prefix: str) -> Settings:
    """Return settings with the shortest session that the brokers of this run allow."""
    return Settings(
        kafka=kafka_settings(bootstrap_servers, prefix, partitions=3),
        redis=RedisSettings(url=redis_url, key_prefix=prefix, timeout_s=2.0),
        consumer=ConsumerSettings(max_records=200, poll_timeout_ms=50),
    )


def random_events(seed: int) -> Iterator[Event]:
    """Yield likes, unlikes and some forget_user events without end; one in ten comes twice."""
    rng = random.Random(seed)
    while True:
        user_id, item_id = rng.choice(USERS), rng.choice(ITEMS)
        chance = rng.random()
        event: Event
        if chance < 0.70:
            event = Like(user_id, item_id)
        elif chance < 0.98:
            event = Unlike(user_id, item_id)
        else:
            event = ForgetUser(user_id)
        yield event
        if rng.random() < 0.1:
            yield event


def outcome_of(events: Iterable[Event]) -> dict[UserId, set[ItemId]]:
    """Return the outcome of the events, applied one by one to plain sets."""
    likes: dict[UserId, set[ItemId]] = {user_id: set() for user_id in USERS}
    for event in events:
        match event:
            case Like(user_id, item_id):
                likes[user_id].add(item_id)
            case Unlike(user_id, item_id):
                likes[user_id].discard(item_id)
            case ForgetUser(user_id):
                likes[user_id].clear()
            case _:
                raise AssertionError(event)
    return likes


def outcome_in(store: LikeStore) -> dict[UserId, set[ItemId]]:
    """Return the likes of the same users in the store."""
    return dict(zip(USERS, store.likes(USERS), strict=True))


def send(sink: Sink, topic: str, events: Iterable[Event]) -> None:
    """Publish the events in order, as an app does; return when the broker has confirmed them."""
    for event in events:
        sink.send(topic, encode_event(event), key=event_key(event))
    sink.flush(30.0)


def caught_up(broker: Broker, store: LikeStore, topic: str) -> bool:
    """Whether everything in the topic is applied, in every part of the store."""
    ends = broker.end_offsets(broker.partitions(topic))
    return [one.lowest for one in store.extents(list(ends))] == [*ends.values()]


def positions_sum(store: LikeStore, partitions: Sequence[TopicPartition]) -> int:
    """Return how many events are applied."""
    return sum(position or 0 for position in store.positions(partitions))


@contextmanager
def consuming(settings: Settings) -> Iterator[ConsumerStats]:
    """Run a consumer in a thread; raise the error that ended it."""
    stats = ConsumerStats()
    with in_a_thread(settings, "consumer", partial(run_consumer, settings, stats=stats)):
        yield stats


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[KafkaBroker, RedisStore]]:
    """Connect to both servers, with the topics created."""
    with (
        closing(KafkaBroker(settings.kafka, client_id="test")) as broker,
        closing(RedisStore(settings.redis)) as store,
    ):
        broker.ensure_topics(Topics(settings.kafka.topic_prefix).specs(settings.kafka.partitions))
        yield broker, store
