"""Publishing in bulk: many events in flight, and every one confirmed or counted as failed."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.errors import TransientError, UndeliverableError
from likewise.messages.events import encode_event, event_key
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from likewise.log.port import Delivery, Sink
    from likewise.messages.events import Event

BULK_LINGER_MS = 20
"""The linger for a bulk sink: larger batches matter more than a fast first event."""

CONFIRMATION_TIMEOUT_S = 30.0
_MAX_UNCONFIRMED = 20_000
_SHOWN_FAILURES = 5


@dataclass(slots=True)
class Published:
    """How many events were confirmed and failed, and the offset after the last in each partition."""

    confirmed: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    """The messages of the first few failures."""
    next_offsets: dict[TopicPartition, int] = field(default_factory=dict)


class BulkPublisher:
    """Sends events to one topic, keyed so that a user's events stay in order. Not thread-safe."""

    def __init__(self, sink: Sink, topic: str) -> None:
        """Send nothing yet. The caller closes the sink."""
        self.published = Published()
        self._sink = sink
        self._topic = topic
        self._unconfirmed: deque[Delivery] = deque()

    def publish(self, event: Event, *, timestamp_ms: int | None = None) -> None:
        """Queue the event; blocks while too many are in flight.

        An event that the broker refuses is counted as failed.

        Raises:
            TransientError: the broker accepts or confirms no more events; give up.
        """
        self.send(encode_event(event, timestamp_ms=timestamp_ms), event_key(event))

    def send(self, value: bytes, key: bytes) -> None:
        """Queue a record as `publish` queues an event."""
        try:
            delivery = self._sink.send(self._topic, value, key=key)
        except UndeliverableError as error:
            self._count_failure(error)
            return
        self._unconfirmed.append(delivery)
        if len(self._unconfirmed) >= _MAX_UNCONFIRMED:
            self._make_room()

    def finish(self) -> Published:
        """Return once every event is confirmed or counted as failed; within half a minute."""
        self._confirm(0)
        return self.published

    def _make_room(self) -> None:
        before = self.published.confirmed
        self._confirm(_MAX_UNCONFIRMED // 2)
        if self.published.confirmed == before:
            raise TransientError(
                f"the broker has confirmed none of {_MAX_UNCONFIRMED // 2:,} events within "
                f"{CONFIRMATION_TIMEOUT_S:g} s: {self.published.failures[0]}"
            )

    def _confirm(self, leave: int) -> None:
        # One deadline for all: without a broker, each event would wait for its own.
        deadline_s = time.monotonic() + CONFIRMATION_TIMEOUT_S
        while len(self._unconfirmed) > leave:
            delivery = self._unconfirmed.popleft()
            try:
                number, offset = delivery.result(max(0.0, deadline_s - time.monotonic()))
            except (TransientError, UndeliverableError) as error:
                self._count_failure(error)
                continue
            self.published.confirmed += 1
            partition = TopicPartition(self._topic, number)
            next_offsets = self.published.next_offsets
            next_offsets[partition] = max(next_offsets.get(partition, 0), offset + 1)

    def _count_failure(self, error: Exception) -> None:
        self.published.failed += 1
        if self.published.failed <= _SHOWN_FAILURES:
            self.published.failures.append(str(error))
