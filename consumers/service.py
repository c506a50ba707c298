"""The consumer as a service: topics made sure of, group joined, events applied until the stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.worker import ConsumerStats, ConsumerWorker
from likewise.backoff import StoppedError, retry
from likewise.errors import SettingsError
from likewise.logs import get_logger
from likewise.topics import Topics

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from likewise.errors import TransientError
    from likewise.settings import Settings
    from likewise.store import LikeStore
    from likewise.streams import Broker


def run_consumer(
    settings: Settings,
    broker: Broker,
    store: LikeStore,
    stop: threading.Event,
    *,
    stats: ConsumerStats | None = None,
) -> None:
    """Apply events until `stop` is set; servers that are not up yet are waited for.

    `stats` is filled as the work goes. Broker and store stay open: they are the caller's.

    Raises:
        SettingsError: a server refuses our credentials, or a topic is missing and may not be made.
        ForeignDataError: Redis holds something else under our keys.
    """
    stats = stats or ConsumerStats()
    topics = Topics(settings.kafka.topic_prefix)

    def start() -> ConsumerWorker:
        if settings.kafka.create_topics:
            broker.ensure_topics(topics.specs(settings.kafka.partitions))
        _require_topics(broker, [topics.likes, topics.dead_letters])
        return ConsumerWorker(broker, store, topics, settings.consumer, stop=stop, stats=stats)

    def note_failure(error: TransientError, wait_s: float) -> None:
        get_logger().warning("trying again", reason=str(error), in_s=round(wait_s, 2))

    try:
        worker = retry(start, stop=stop, on_failure=note_failure)
    except StoppedError:
        return
    worker.run()


def _require_topics(broker: Broker, names: Sequence[str]) -> None:
    if missing := [name for name in names if not broker.partitions(name)]:
        raise SettingsError(
            f"there is no topic {' and no topic '.join(missing)}; create what is missing, or set "
            "kafka.create_topics (LIKEWISE_KAFKA_CREATE_TOPICS) to true"
        )
