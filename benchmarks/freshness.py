"""How soon after `like()` has returned an answer reflects the like."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import typer

from benchmarks.load import Load, percentile
from benchmarks.measure import AsJson, Quick, report
from benchmarks.results import Figure, Result, against, ratio
from benchmarks.rig import deployment, fill, process, publish_model, user_of
from benchmarks.synthetic import item_ids, synthetic_likes
from likewise.client.client import Likewise
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.events import Like, encode_event, event_key
from likewise.messages.ids import ItemId
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from likewise.messages.positions import Position
    from likewise.settings import Settings

QUESTION = """\
Milliseconds from the return of `like()` to an answer that reflects it: `recommend(…, after=position)`
by the same client, while others publish 500 likes a second, sent ten times a second as by an app that
lets them linger: the embedded broker slows down where a partition has thousands of batches. Topics have
six partitions. Floor: the same `recommend` without `after`, which waits for no like. Taken in turn."""

EVENTS_PER_S = 500
_BURSTS_PER_S = 10


class Workload(NamedTuple):
    """How much is measured."""

    users: int
    items: int
    probes: int
    repetitions: int


QUICK = Workload(users=300, items=200, probes=5, repetitions=1)
NORMAL = Workload(users=100_000, items=20_000, probes=200, repetitions=5)


def measure(workload: Workload, *, quick: bool = False) -> Result:
    """Return percentiles of the time to a fresh answer, and to any answer."""
    user_items = synthetic_likes(workload.users, workload.items)
    with deployment() as settings:
        with closing(RedisStore(settings.redis)) as store:
            fill(store, user_items)
        publish_model(settings, user_items)
        with process(settings, "consumers"), process(settings, "serving"):
            with Load(settings, workload.users) as load:
                load.wait_for_an_answer()
            figures = _figures(settings, workload)
    return Result(
        name="freshness",
        title="Freshness",
        question=QUESTION,
        parameters={**workload._asdict(), "likes/s in the background": EVENTS_PER_S},
        figures=figures,
        comparisons=[
            against(figures[1], at_most=50),
            ratio("p99 / p99 without `after`", figures[1], figures[3]),
        ],
        quick=quick,
    )


def _figures(settings: Settings, workload: Workload) -> list[Figure]:
    stop = threading.Event()
    others = threading.Thread(
        target=publish_steadily, args=(settings, workload.users, workload.items, stop)
    )
    others.start()
    try:
        with Likewise(settings=settings.kafka, timeout_s=60) as client:
            _probe(client, workload, seed=0)  # connects, and lets both services settle
            runs = [_probe(client, workload, seed=run + 1) for run in range(workload.repetitions)]
    finally:
        stop.set()
        others.join()
    return [
        Figure(
            f"p{percent}{suffix}", "ms", [percentile(run[at], percent / 100) for run in runs], role
        )
        for at, suffix, role in ((0, "", "candidate"), (1, " without `after`", "floor"))
        for percent in (50, 99)
    ]


def _probe(client: Likewise, workload: Workload, *, seed: int) -> tuple[list[float], list[float]]:
    """Return ms to a fresh answer and to any answer, of users and items at random."""
    rng = random.Random(seed)
    items = item_ids(workload.items)
    fresh_ms, any_ms = [], []
    for _ in range(workload.probes):
        user_id, item_id = user_of(rng.randrange(workload.users)), rng.choice(items)
        position = client.like(user_id, item_id)
        fresh_ms.append(_answer_ms(client, user_id, after=position, without=item_id))
        any_ms.append(_answer_ms(client, user_id))
    return fresh_ms, any_ms


def _answer_ms(
    client: Likewise, user_id: str, *, after: Position | None = None, without: ItemId | None = None
) -> float:
    began_s = time.perf_counter()
    answer = client.recommend(user_id, after=after)
    taken_ms = (time.perf_counter() - began_s) * 1000
    if without in {item.item_id for item in answer.items}:
        raise ValueError(f"{without} was recommended after it was liked")
    return taken_ms


def publish_steadily(settings: Settings, users: int, items: int, stop: threading.Event) -> None:
    """Publish 500 likes a second, in ten bursts, until the stop."""
    rng = random.Random(0)
    likeable = item_ids(items)
    topic = Topics(settings.kafka.topic_prefix).likes
    with closing(KafkaBroker(settings.kafka)) as broker, closing(broker.sink()) as sink:
        next_s = time.monotonic()
        while not stop.is_set():
            for _ in range(EVENTS_PER_S // _BURSTS_PER_S):
                event = Like(user_of(rng.randrange(users)), rng.choice(likeable))
                sink.send(topic, encode_event(event), key=event_key(event))
            next_s += 1 / _BURSTS_PER_S
            stop.wait(max(0.0, next_s - time.monotonic()))


def main(quick: Quick = False, as_json: AsJson = False) -> None:
    """Measure freshness."""
    report(measure(QUICK if quick else NORMAL, quick=quick), as_json=as_json)


if __name__ == "__main__":
    typer.run(main)
