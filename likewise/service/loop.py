"""What the loops of the workers have in common: retry and count, beat, rejoin a stalled group.

There is no framework here. Each worker is a plain loop that owns one of these objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from likewise.retry import LONGEST_DELAY_S, retry
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Container, Sequence

    from likewise.errors import TransientError
    from likewise.log.port import Source
    from likewise.messages.dead_letters import DeadLetter
    from likewise.records import TopicPartition
    from likewise.service.stall_detector import StallDetector
    from likewise.service.stats import MemberStats, WorkerStats
    from likewise.service.store_watch import StoreWatch

T = TypeVar("T")


def log_retry(error: TransientError, wait_s: float) -> None:
    """Log a failed call and when it is retried; `on_failure` of `likewise.retry.retry`."""
    get_logger().warning("call failed; retrying", reason=str(error), in_s=round(wait_s, 2))


def log_dead_letters(letters: Sequence[DeadLetter]) -> None:
    """Log that these records, at least one, go to the dead-letter topic."""
    first = letters[0]
    get_logger().warning(
        "dead-lettering records",
        count=len(letters),
        first=f"{first.source.topic}/{first.source.partition}:{first.offset}",
        reason=f"{first.code}: {first.detail}",
    )


class Retrier:
    """Calls Kafka or Redis until they answer. Every failure is counted, logged and not ready."""

    def __init__(
        self,
        stats: WorkerStats,
        stop: threading.Event,
        *,
        while_waiting: Callable[[], None] = lambda: None,
        longest_s: float = LONGEST_DELAY_S,
    ) -> None:
        """Call nothing yet. `while_waiting` and `longest_s` are those of `likewise.retry.retry`."""
        self._stats = stats
        self._stop = stop
        self._while_waiting = while_waiting
        self._longest_s = longest_s

    def __call__(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns, however long its server is unavailable. Blocks.

        Raises:
            StoppedError: the worker was told to stop before an attempt succeeded.
        """
        return retry(
            attempt,
            stop=self._stop,
            on_failure=self._note_failure,
            while_waiting=self._while_waiting,
            longest_s=self._longest_s,
        )

    def _note_failure(self, error: TransientError, wait_s: float) -> None:
        self._stats.retries += 1
        self._stats.server_errors[error.server] += 1
        self._stats.heartbeat.beat(ready=False)
        log_retry(error, wait_s)


class GroupMember:
    """A worker's membership in its consumer group."""

    def __init__(
        self,
        source: Source,
        stall_detector: StallDetector,
        store_watch: StoreWatch,
        stats: MemberStats,
        stop: threading.Event,
        *,
        longest_retry_s: float = LONGEST_DELAY_S,
    ) -> None:
        """Take the worker's parts; the source stays open, it is the caller's."""
        self.retry = Retrier(
            stats, stop, while_waiting=source.keep_alive, longest_s=longest_retry_s
        )
        self._source = source
        self._stall_detector = stall_detector
        self._store_watch = store_watch
        self._stats = stats

    def beat(self) -> None:
        """Note that the loop runs. The worker is ready as a member whose store evicts nothing."""
        keeps_all = self._store_watch.look()
        self._stats.heartbeat.beat(ready=self._source.is_member() and keeps_all)

    def rejoin_if_stalled(self, *, known: Container[TopicPartition] = ()) -> None:
        """Rejoin the group if any partition, whoever owns it, has stopped making progress.

        `known` are partitions that rest for a reason that the worker knows.

        Raises:
            StoppedError: the worker was told to stop before the group was rejoined.
        """
        stalled = self._stall_detector.partitions(known=known)
        if not stalled:
            return
        get_logger().error(
            "partitions have stopped making progress; rejoining the group",
            partitions=[f"{topic}/{number}" for topic, number in stalled],
        )
        self._stats.rejoins += 1
        self.retry(self._source.rejoin)
