"""Makes a tick: from the state of Kafka and Redis, and what this gateway has counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from gateway.live.kafka_view import KafkaView
from gateway.live.looking import Looking
from gateway.live.problems import Facts, Problems
from gateway.live.rates import Rate, RecentDurations
from gateway.live.recent_events import RecentEvents
from gateway.live.redis_view import RedisView
from gateway.live.tick import Latency, LiveModel, LiveQuality, PartitionLag, Tick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.live.kafka_view import KafkaSeen
    from gateway.live.ports import LivePorts
    from gateway.live.redis_view import RedisSeen
    from gateway.live.tick import LiveEvent
    from likewise.messages.quality import MeasuredQuality
    from likewise.records import TopicPartition

_WAIT_S = 0.6
"""How long a tick waits for a look; one that takes longer is part of a later tick."""


class Sample(NamedTuple):
    """A tick, and the events since the one before."""

    tick: Tick
    events: Sequence[LiveEvent]


class Sampler:
    """Looks at a deployment again and again. For the loop's thread."""

    def __init__(self, gateway: LivePorts) -> None:
        """Look at nothing yet, but count this gateway's answers from now on."""
        self._gateway = gateway
        self._kafka = KafkaView(gateway.broker, gateway.topics, gateway.settings.serving.group)
        self._redis = RedisView(gateway.store)
        self._recent = RecentEvents(gateway.broker, gateway.store)
        self._at_kafka: Looking[KafkaSeen] = Looking("kafka")
        self._at_redis: Looking[RedisSeen] = Looking("redis")
        self._at_events: Looking[list[LiveEvent]] = Looking("events")
        self._events, self._answers, self._ranked, self._http = Rate(), Rate(), Rate(), Rate()
        self._durations = RecentDurations()
        self._n_ranked = 0
        self._problems = Problems()
        self._likes: tuple[TopicPartition, ...] = ()
        gateway.stats.on_latency_s.append(self._durations.add)
        gateway.stats.on_batch.append(self._count)

    def close(self) -> None:
        """Stop counting, and disconnect."""
        self._gateway.stats.on_latency_s.remove(self._durations.add)
        self._gateway.stats.on_batch.remove(self._count)
        for looking in (self._at_kafka, self._at_redis):
            looking.close()
        self._at_events.close(self._recent.close)

    async def sample(self) -> Sample:
        """Return what there is to send now, within two seconds, whatever the servers do."""
        now_s = time.monotonic()
        kafka = await self._at_kafka.look(_WAIT_S, self._kafka.look, now_s)
        if kafka is not None:
            self._likes = tuple(kafka.likes)
        redis = await self._at_redis.look(_WAIT_S, self._redis.look, now_s, self._likes)
        events: Sequence[LiveEvent] = ()
        if kafka is not None:
            ends = {one: end for one, (_, end) in kafka.likes.items()}
            events = await self._at_events.look(_WAIT_S, self._recent.look, ends) or ()
        return Sample(self._tick(now_s, kafka, redis), events)

    def _tick(self, now_s: float, kafka: KafkaSeen | None, redis: RedisSeen | None) -> Tick:
        lag = [] if kafka is None or redis is None else _lag(kafka, redis)
        behind = None if kafka is None or redis is None else sum(one.behind for one in lag)
        now_ms = time.time_ns() // 1_000_000
        answered = self._answers.per_s(None if kafka is None else kafka.answered, now_s)
        ranked = self._ranked.per_s(self._n_ranked, now_s)
        self._durations.tick()
        facts = Facts(
            now_s=now_s,
            now_ms=now_ms,
            kafka=kafka,
            kafka_error=self._at_kafka.error,
            redis=redis,
            redis_error=self._at_redis.error,
            behind=behind,
            applied=None if redis is None else sum(at or 0 for at in redis.positions.values()),
            served_version=self._gateway.models.current().version,
            catalogue_age_s=self._gateway.stats.catalogue.age_s,
            quality=None if redis is None else redis.quality,
        )
        return Tick(
            at_ms=now_ms,
            events_per_s=_rounded(
                self._events.per_s(None if kafka is None else kafka.events, now_s)
            ),
            answers_per_s=None if answered is None else _rounded(answered + (ranked or 0)),
            http_per_s=_rounded(self._http.per_s(self._n_http(), now_s)) or 0.0,
            lag=lag,
            behind=behind,
            latency_ms=self._latency(),
            model=self._model(redis, now_ms),
            quality=_quality(facts.quality),
            problems=self._problems.found(facts),
        )

    def _count(self, ranked: float) -> None:
        self._n_ranked += int(ranked)

    def _n_http(self) -> int:
        return self._gateway.stats.requests.total()

    def _latency(self) -> Latency | None:
        p50, p99 = (self._durations.percentile_ms(share) for share in (0.5, 0.99))
        return None if p50 is None or p99 is None else Latency(p50, p99)

    def _model(self, redis: RedisSeen | None, now_ms: int) -> LiveModel:
        """Return the current model; without Redis, the one that this gateway answers with."""
        announced = None if redis is None else redis.announced
        if announced is not None:
            version, ranker, at_ms = announced.version, announced.ranker, announced.snapshot_at_ms
            items, users = announced.items, announced.users
        else:
            served = self._gateway.models.current()
            version, at_ms = served.version, served.snapshot_at_ms
            ranker = served.model.recipe.ranker
            users, items = served.model.n_users, len(served.model.item_ids)
        return LiveModel(version, max(now_ms - at_ms, 0) / 1000, ranker, items, users)


def _lag(kafka: KafkaSeen, redis: RedisSeen) -> list[PartitionLag]:
    """Return what is behind in each partition. Redis may be newer than Kafka's ends."""
    found = []
    for partition, (begin, end) in kafka.likes.items():
        at = redis.positions.get(partition)
        found.append(PartitionLag(partition.partition, max(end - max(at or 0, begin), 0)))
    return found


def _quality(measured: MeasuredQuality | None) -> LiveQuality | None:
    return None if measured is None else LiveQuality(round(measured.hit_rate, 4), measured.samples)


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)
