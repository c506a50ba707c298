"""How many events a second one consumer takes from Kafka to Redis, and in how much memory."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import redis
import typer

from benchmarks.measure import AsJson, Full, Quick, alternate, report
from benchmarks.results import Curve, Figure, Plot, Result, against, ratio
from benchmarks.rig import deployment, kilobytes, process, wait_until, with_key_prefix
from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from consumers.service import run_consumer
from consumers.stats import ConsumerStats
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like, encode_event, event_key
from likewise.records import TopicPartition
from likewise.store.keys import Keys
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from likewise.log.port import Source
    from likewise.settings import Settings

QUESTION = """\
Events a second from Kafka to Redis by one consumer process. The events are in the topic before;
joining the group and the first batch are not counted. Floor: the same client polls the same topic
and decodes nothing. Peer: a consumer that does one `SADD` and one commit for each event. Memory:
the resident set of a consumer process while it takes in event after event."""

_TOPICS = Topics()


class Workload(NamedTuple):
    """How much is measured."""

    events: int
    one_by_one: int
    repetitions: int
    memory_events: int
    memory_samples: int = 20


QUICK = Workload(events=25_000, one_by_one=20, repetitions=1, memory_events=4_000, memory_samples=4)
NORMAL = Workload(events=200_000, one_by_one=1_000, repetitions=7, memory_events=600_000)
FULL = NORMAL._replace(memory_events=10_000_000)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return rates of consumer, floor and peer, and the consumer's memory."""
    with deployment() as settings:
        _publish(settings, _events(workload.events))
        rates = _rates(settings, workload)
    with deployment() as settings:
        resident = list(_resident_mb(settings, workload))
    growth = max(mb for _, mb in resident[len(resident) // 4 :]) / resident[len(resident) // 4][1]
    return Result(
        name="ingest",
        title="Ingest",
        question=QUESTION,
        parameters={"events": workload.events, "events for memory": workload.memory_events},
        figures=rates,
        comparisons=[
            ratio("consumer / floor", rates[0], rates[1], at_least=0.5),
            ratio("consumer / one by one", rates[0], rates[2], at_least=10),
            against(Figure("memory, most / after a quarter", "times", [growth]), at_most=1.1),
        ],
        plots=[
            Plot(
                "memory",
                "Resident set of a consumer process",
                "events applied",
                "MB",
                [Curve("consumer", resident)],
            )
        ],
        quick=quick,
    )


def _rates(settings: Settings, workload: Workload) -> list[Figure]:
    runs = _new_names()
    samples = alternate(
        {
            "consumer": lambda: _consumer_rate(settings, next(runs), workload.events),
            "polling alone": lambda: _polling_rate(settings, next(runs), workload.events),
            "one by one": lambda: _one_by_one_rate(settings, next(runs), workload.one_by_one),
        },
        repetitions=workload.repetitions,
        warm_up=False,
    )
    roles = {"polling alone": "floor", "one by one": "peer"}
    return [
        Figure(name, "events/s", values, roles.get(name, "candidate"))
        for name, values in samples.items()
    ]


def _new_names() -> Iterator[str]:
    """Yield names of groups and key prefixes that no run before had."""
    number = 0
    while True:
        number += 1
        yield f"run{number}."


def _consumer_rate(settings: Settings, name: str, events: int) -> float:
    """Run the consumer's own service in this thread, with another looking at how far it is."""
    stop, stats = threading.Event(), ConsumerStats()
    rates: list[float] = []

    def watch() -> None:
        try:
            wait_until(lambda: stats.events_applied > 0, "a first batch", every_s=0.002)
            began_s, before = time.perf_counter(), stats.events_applied
            wait_until(lambda: stats.events_applied >= events, "all events", every_s=0.002)
            rates.append((events - before) / (time.perf_counter() - began_s))
        finally:
            stop.set()

    given = msgspec.structs.replace(
        with_key_prefix(settings, name),
        consumer=msgspec.structs.replace(settings.consumer, group=name),
    )
    with (
        closing(KafkaBroker(given.kafka)) as broker,
        closing(RedisStore(given.redis)) as store,
    ):
        watcher = threading.Thread(target=watch)
        watcher.start()
        run_consumer(given, broker, store, stop, stats=stats)
        watcher.join()
    return rates[0]


def _polling_rate(settings: Settings, name: str, events: int) -> float:
    with (
        closing(KafkaBroker(settings.kafka)) as broker,
        closing(_source(settings, broker, name)) as source,
    ):
        before = _first_batch(source)
        began_s, seen = time.perf_counter(), before
        while seen < events:
            seen += len(source.poll(settings.consumer.poll_timeout_ms))
        return (events - before) / (time.perf_counter() - began_s)


def _one_by_one_rate(settings: Settings, name: str, events: int) -> float:
    keys = Keys(name)
    with (
        closing(KafkaBroker(settings.kafka)) as broker,
        closing(_source(settings, broker, name)) as source,
        closing(redis.Redis.from_url(settings.redis.url)) as client,
    ):
        applied, began_s = 0, 0.0
        while applied < events:
            for record in source.poll(settings.consumer.poll_timeout_ms):
                began_s = began_s or time.perf_counter()
                event = decode_event(record)
                if isinstance(event, Like):
                    client.sadd(keys.likes(event.user_id), event.item_id)
                partition = TopicPartition(record.topic, record.partition)
                source.commit({partition: record.offset + 1})
                applied += 1
                if applied == events:
                    break
        return events / (time.perf_counter() - began_s)


def _source(settings: Settings, broker: KafkaBroker, group: str) -> Source:
    return broker.source(group, [_TOPICS.likes], max_records=settings.consumer.max_records)


def _first_batch(source: Source) -> int:
    found: list[int] = []

    def polled() -> bool:
        found.append(len(source.poll(100)))
        return found[-1] > 0

    wait_until(polled, "records", every_s=0)
    return found[-1]


def _resident_mb(settings: Settings, workload: Workload) -> Iterator[tuple[float, float]]:
    """Yield how many events a consumer process has applied, and its resident set then."""
    step = workload.memory_events // workload.memory_samples
    source = cycle(_events(step))
    with (
        process(settings, "consumers") as consumer,
        closing(RedisStore(settings.redis)) as store,
        closing(KafkaBroker(settings.kafka)) as broker,
    ):
        partitions = broker.partitions(_TOPICS.likes)
        for applied in range(step, workload.memory_events + 1, step):
            _publish(settings, islice(source, step))
            wait_until(
                lambda goal=applied: sum(at or 0 for at in store.positions(partitions)) >= goal,  # type: ignore[misc]  # mypy can't type a default in a lambda
                f"{applied} events applied",
                every_s=0.05,
            )
            yield float(applied), kilobytes(consumer.pid, "VmRSS") / 1000


def _events(events: int) -> list[tuple[bytes, bytes]]:
    """Return keys and values of this many likes, in a random order."""
    users, items = max(10, events // 40), max(100, events // 100)
    # Heavy users of a small catalogue have fewer likes than drawn: take more, and cut.
    likes = synthetic_likes(users * 2, items).tocoo()
    order = np.random.default_rng(0).permutation(likes.nnz)[:events]
    named_users, named_items = user_ids(users * 2), item_ids(items)
    made = [
        Like(named_users[row], named_items[column])
        for row, column in zip(
            likes.coords[0][order].tolist(), likes.coords[1][order].tolist(), strict=True
        )
    ]
    return [(event_key(event), encode_event(event)) for event in islice(cycle(made), events)]


def _publish(settings: Settings, events: Iterable[tuple[bytes, bytes]]) -> None:
    with closing(KafkaBroker(settings.kafka)) as broker, closing(broker.sink(linger_ms=20)) as sink:
        for key, value in events:
            sink.send(_TOPICS.likes, value, key=key)
        sink.flush(60.0)


def main(quick: Quick = False, full: Full = False, as_json: AsJson = False) -> None:
    """Measure ingest."""
    report(measure(QUICK if quick else FULL if full else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
