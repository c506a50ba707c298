"""Receives a client's replies: one partition, one thread, one future for each request."""

from __future__ import annotations

import random
import secrets
import threading
import time
from concurrent.futures import Future
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import LikewiseError, TransientError, UndeliverableError
from likewise.messages.reply_routes import CORRELATION_HEADER, REPLY_TOPIC_HEADER, partition_header
from likewise.retry import delays_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.log.port import Broker, LogReader
    from likewise.records import Record, TopicPartition

_POLL_TIMEOUT_MS = 200
_CLOSE_TIMEOUT_S = 3.0
_LONGEST_RECONNECT_DELAY_S = 2.0
# How long no reply may come before we check whether the reply topic was recreated.
_SILENCE_BEFORE_CHECK_S = 2.0


class Expected(NamedTuple):
    """A reply to come: the headers that the request needs, and the future of the reply's value."""

    headers: list[tuple[str, bytes]]
    value: Future[bytes]


class ReplyInbox:
    """The replies to one client, identified by 16 random bytes each. Thread-safe.

    Reads one partition of the reply topic from its end; the partition is random, so that many
    clients spread. Drops replies to others and replies that come too late.
    """

    def __init__(self, broker: Broker, topic: str) -> None:
        """Find the end of the log, then read from there in a daemon thread.

        Raises:
            UndeliverableError: there is no such topic.
            TransientError: the broker cannot be reached.
        """
        partitions = broker.partitions(topic)
        if not partitions:
            raise UndeliverableError(f"there is no topic {topic}")
        self.partition: TopicPartition = random.choice(partitions)
        self._broker = broker
        self._next_offset = broker.end_offsets([self.partition])[self.partition]
        self._lock = threading.Lock()
        self._waiting: dict[bytes, Future[bytes]] = {}
        self._failure: LikewiseError | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="likewise-replies", daemon=True)
        self._thread.start()

    @contextmanager
    def expecting(self) -> Iterator[Expected]:
        """Wait for one reply during a `with` block.

        Raises:
            LikewiseError: the inbox was closed, or has failed for good.
        """
        correlation_id = secrets.token_bytes(16)
        value: Future[bytes] = Future()
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._waiting[correlation_id] = value
        try:
            yield Expected(self._headers(correlation_id), value)
        finally:
            with self._lock:
                self._waiting.pop(correlation_id, None)

    def close(self) -> None:
        """Stop reading within a few seconds; calls that still wait raise `LikewiseError`."""
        self._stop.set()
        self._fail(LikewiseError("the client was closed"))
        self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        try:
            waits_s = delays_s(random.Random(), longest_s=_LONGEST_RECONNECT_DELAY_S)
            while not self._stop.is_set():
                try:
                    self._read()
                except (TransientError, UndeliverableError):
                    self._stop.wait(next(waits_s))
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would look like a slow server
            failure = LikewiseError(f"reading replies from {self.partition.topic} failed: {error}")
            failure.__cause__ = error
            self._fail(failure)

    def _read(self) -> None:
        """Deliver replies until the inbox is closed or the topic was recreated."""
        with closing(self._broker.reader({self.partition: self._next_offset})) as reader:
            while not self._stop.is_set():
                if not self._deliver_for(reader, _SILENCE_BEFORE_CHECK_S) and self._was_recreated():
                    self._next_offset = 0
                    return

    def _deliver_for(self, reader: LogReader, seconds: float) -> bool:
        """Return whether a reply came, or nobody waits for one."""
        until_s = time.monotonic() + seconds
        heard = False
        while not self._stop.is_set() and time.monotonic() < until_s:
            for record in reader.poll(_POLL_TIMEOUT_MS):
                heard = True
                self._next_offset = record.offset + 1
                self._deliver(record)
        return heard or not self._waiting

    def _was_recreated(self) -> bool:
        return self._broker.end_offsets([self.partition])[self.partition] < self._next_offset

    def _deliver(self, record: Record) -> None:
        correlation_id = dict(record.headers).get(CORRELATION_HEADER)
        with self._lock:
            value = None if correlation_id is None else self._waiting.pop(correlation_id, None)
        if value is not None:
            value.set_result(record.value or b"")

    def _fail(self, failure: LikewiseError) -> None:
        with self._lock:
            self._failure = self._failure or failure
            waiting, self._waiting = self._waiting, {}
        for value in waiting.values():
            value.set_exception(failure)

    def _headers(self, correlation_id: bytes) -> list[tuple[str, bytes]]:
        return [
            (CORRELATION_HEADER, correlation_id),
            (REPLY_TOPIC_HEADER, self.partition.topic.encode()),
            partition_header(self.partition.partition),
        ]
