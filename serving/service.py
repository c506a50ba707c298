"""The server as a service: a model waited for, group joined, requests answered until the stop."""

from __future__ import annotations

import gc
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from likewise.log.topics import Topics
from likewise.retry import StoppedError, retry
from likewise.service.logs import get_logger
from likewise.service.stall_detector import StallDetector
from serving.first_model import FirstModel
from serving.known_topics import KnownTopics
from serving.lost_requests import LostRequests
from serving.reply_topics import ReplyTopics
from serving.store_view import StoreView

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from likewise.errors import TransientError
    from likewise.log.port import Broker, Source
    from likewise.records import TopicPartition
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from serving.stats import ServingStats

T = TypeVar("T")


def run_server(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    stop: threading.Event,
    *,
    stats: ServingStats | None = None,
) -> None:
    """Answer requests until `stop` is set; servers that are not up yet are waited for.

    Until there is a model the group is not joined: requests wait in the topic. A model that is
    there already is loaded while the group is joined. `stats` is filled as the work goes. Broker
    and store stay open: they are the caller's.

    Raises:
        SettingsError: a server refuses our credentials, a topic is missing and may not be made,
            or the reply topic pattern is no regular expression.
        ForeignDataError: Redis holds something else under our keys.
    """
    topics = Topics(settings.kafka.topic_prefix)
    known_topics = KnownTopics(broker)
    reply_topics = ReplyTopics(known_topics, topics, settings.serving.reply_topic_pattern)
    store_view = StoreView(store, known_topics, topics.likes)

    def persist(attempt: Callable[[], T], while_waiting: Callable[[], None] = lambda: None) -> T:
        return retry(attempt, stop=stop, on_failure=_note_failure, while_waiting=while_waiting)

    def join() -> Source:
        group, batch = settings.serving.group, settings.serving.max_batch
        return persist(lambda: broker.source(group, [topics.requests], max_records=batch))

    try:
        if settings.kafka.create_topics:
            persist(lambda: broker.ensure_topics(topics.specs(settings.kafka.partitions)))
        first = FirstModel(settings.model.directory, store, stop)
        with (
            closing(first.joined(join)) as source,
            closing(first.held()) as models,
            closing(persist(broker.sink, source.keep_alive)) as sink,
        ):
            # Not before: NumPy and what goes with it are imported while the group is joined.
            from threadpoolctl import threadpool_limits

            from serving.threads import RankingThreads
            from serving.worker import ServingWorker

            # Threads of our own share a batch; those of BLAS would wait for each other, spinning.
            with (
                threadpool_limits(1, "blas"),
                closing(RankingThreads(settings.serving.threads)) as threads,
            ):
                worker = ServingWorker(
                    source,
                    sink,
                    store_view,
                    models,
                    reply_topics,
                    topics,
                    settings.serving,
                    _stall_detector(settings, broker, topics),
                    stop=stop,
                    stats=stats,
                    beside=threads,
                    lost=LostRequests(broker, settings.serving.group),
                )
                # What is here stays: to look through it for garbage took a twentieth of the time.
                gc.freeze()
                worker.run()
    except StoppedError:
        return


def _stall_detector(settings: Settings, broker: Broker, topics: Topics) -> StallDetector:
    def reached(partitions: list[TopicPartition]) -> Iterable[int | None]:
        committed = broker.committed(settings.serving.group, partitions)
        return [committed[partition] for partition in partitions]

    return StallDetector(
        broker, topics.requests, reached, patience_s=settings.kafka.group_patience_s
    )


def _note_failure(error: TransientError, wait_s: float) -> None:
    get_logger().warning("trying again", reason=str(error), in_s=round(wait_s, 2))
