"""The consumer as a service: create the topics, join the group, apply events until the stop."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from consumers.attribution.service import attributing
from consumers.preflight import warn_of_retention
from consumers.prequential.stats import QualityStats
from consumers.stats import ConsumerStats
from consumers.worker import ConsumerWorker
from likewise.errors import SettingsError
from likewise.log.topics import Topics
from likewise.models.place import models_place, stats_of
from likewise.retry import StoppedError, retry
from likewise.service.loop import log_retry
from likewise.service.topic_creation import create_topics

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from consumers.attribution.runs import Runs
    from consumers.prequential.sampler import Sampler
    from likewise.log.port import Broker
    from likewise.settings import Settings
    from likewise.store.port import LikeStore


def run_consumer(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    stop: threading.Event,
    *,
    stats: ConsumerStats | None = None,
) -> None:
    """Apply events until `stop` is set; wait for servers that are not up yet.

    Updates `stats` all the time. Broker and store stay open: they are the caller's.

    Raises:
        SettingsError: a server refuses our credentials, or a topic is missing and must not be
            created.
        ForeignDataError: a key of ours holds data that likewise did not write.
    """
    stats = stats or ConsumerStats()
    stats.model_store = stats_of(models_place(settings))
    topics = Topics(settings.kafka.topic_prefix)

    def start(sampler: Sampler | None) -> ConsumerWorker:
        if settings.kafka.create_topics:
            create_topics(broker, topics, settings.kafka.partitions)
        _require_topics(broker, [topics.likes, topics.dead_letters])
        warn_of_retention(broker, topics.likes)
        for topic in topics.documents:
            warn_of_retention(broker, topic, compacted=True)
        return ConsumerWorker(settings, broker, store, stop, stats=stats, sampler=sampler)

    with (
        attributing(settings, broker, store, stats.attribution) as runs,
        _sampling(settings, store, stats, runs) as sampler,
    ):
        try:
            worker = retry(lambda: start(sampler), stop=stop, on_failure=log_retry)
        except StoppedError:
            return
        # All objects so far live on; collecting garbage among them took a tenth of the time.
        gc.freeze()
        worker.run()


@contextmanager
def _sampling(
    settings: Settings, store: LikeStore, stats: ConsumerStats, runs: Runs
) -> Iterator[Sampler | None]:
    """Yield the sampler for the length of a `with` block; None if quality is not measured."""
    samples_per_s = settings.consumer.quality_samples_per_s
    if not samples_per_s:
        yield None
        return
    # Imported here: it needs the numerical libraries, which applying likes does not.
    from consumers.prequential.evaluator import evaluating

    stats.quality = QualityStats()
    with evaluating(
        models_place(settings), store, samples_per_s, stats.quality, canary=lambda: runs.canary
    ) as sampler:
        yield sampler


def _require_topics(broker: Broker, names: Sequence[str]) -> None:
    if missing := [name for name in names if not broker.partitions(name)]:
        raise SettingsError(
            f"there is no topic {' and no topic '.join(missing)}; create it, or set "
            "kafka.create_topics (LIKEWISE_KAFKA_CREATE_TOPICS) to true"
        )
