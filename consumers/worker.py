"""The consumer's loop: poll, decode, fold, apply, commit.

How far each partition is applied stands in Redis and moves together with the likes, so a batch
counts once whatever happens; Kafka's commits follow for monitoring and are never trusted over it.
See docs/decisions/0001-positions-live-in-redis.md.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from consumers.fold import fold
from consumers.starts import choose_start
from likewise.backoff import StoppedError, retry
from likewise.dead_letters import DeadLetter, send_dead_letters
from likewise.errors import InvalidInputError, PositionMovedError, TransientError
from likewise.events import decode_event
from likewise.logs import get_logger
from likewise.store import Advance, Changes
from likewise.streams import TopicPartition

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    from likewise.events import Event
    from likewise.settings import ConsumerSettings
    from likewise.store import LikeStore
    from likewise.streams import Broker, Record, Sink, Source
    from likewise.topics import Topics

T = TypeVar("T")
Batch = dict[TopicPartition, list["Record"]]
"""Records that follow on what is applied: of each partition at least one, in order."""


@dataclass(slots=True)
class ConsumerStats:
    """What a worker has done so far; only it writes, anybody may read."""

    batches: int = 0
    events_applied: int = 0
    dead_letters: int = 0
    retries: int = 0


class ConsumerWorker:
    """Applies the events of the likes topic to the store, as one member of a consumer group.

    Any number of workers share the partitions. A worker holds nothing that is not in the log or
    in the store: it can be killed at any instant.
    """

    def __init__(
        self, broker: Broker, store: LikeStore, topics: Topics, settings: ConsumerSettings
    ) -> None:
        """Connect to nothing yet."""
        self.stats = ConsumerStats()
        self._broker = broker
        self._store = store
        self._topics = topics
        self._settings = settings

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then finish the batch in hand and leave the group.

        Servers out of reach are waited for. A batch that is still refused when `stop` comes is
        left to the next member, whole.

        Raises:
            SettingsError: a server refuses our credentials or lacks a setting.
            ForeignDataError: Redis holds something else under our keys.
        """
        topic, group = self._topics.likes, self._settings.group
        get_logger().info("consuming", topic=topic, group=group)
        try:
            with ExitStack() as stack:
                source, sink = retry(
                    lambda: self._connect(stack), stop=stop, on_failure=self._on_failure
                )
                member = _Member(self, source, sink, stop)
                while not stop.is_set():
                    member.run_once()
        except StoppedError:
            get_logger().warning("stopped while a server was out of reach; nothing is lost")
'''
