"""Requests by the thousand through topics, from one thread, and the clock on their replies."""

from __future__ import annotations

import random
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.rig import PATIENCE_S, TookTooLongError, user_of
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.reply_routes import CORRELATION_HEADER, REPLY_TOPIC_HEADER, partition_header
from likewise.messages.requests import Request, encode_request
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from likewise.log.port import Delivery
    from likewise.settings import Settings

_FIRST_ANSWER_EVERY_S = 0.5
_ID_BYTES = 8
# Until a reply comes there is nothing to do: asking more often takes a core from what is measured.
_IDLE_WAIT_MS = 20


class _Sent(NamedTuple):
    """A request without a reply yet: when it was due (monotonic), and how it reaches the broker."""

    due_s: float
    delivery: Delivery


class Load:
    """A requester of one deployment: users at random, replies to one partition.

    One thread sends and receives, so that it takes the least from the two cores that it shares
    with broker and worker.
    """

    def __init__(self, settings: Settings, users: int) -> None:
        """Find the end of the reply topic."""
        topics = Topics(settings.kafka.topic_prefix)
        self._requests = topics.requests
        self._broker = KafkaBroker(settings.kafka)
        self._sink = self._broker.sink()
        partition = TopicPartition(topics.replies, 0)
        self._reader = self._broker.reader(self._broker.end_offsets([partition]))
        self._headers = [(REPLY_TOPIC_HEADER, topics.replies.encode()), partition_header(0)]
        self._users = users
        self._random = random.Random(0)
        self._in_flight: dict[bytes, _Sent] = {}
        # Replies to a requester before this one must not pass for replies to this one.
        self._last_id = secrets.randbits(62)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _where: TracebackType | None
    ) -> None:
        self._sink.close()
        self._reader.close()
        self._broker.close()

    def wait_for_an_answer(self) -> float:
        """Return at what time (monotonic) the first reply came; asks again every half second."""
        deadline_s = time.monotonic() + PATIENCE_S
        next_s = 0.0
        while time.monotonic() < deadline_s:
            if time.monotonic() >= next_s:
                next_s = time.monotonic() + _FIRST_ANSWER_EVERY_S
                self._send(next_s)
            if self._received(1):
                answered_s = time.monotonic()
                self._drain()
                return answered_s
        raise TookTooLongError("no server answers")

    def saturate(self, seconds: float, *, window: int) -> float:
        """Return replies a second with `window` requests under way all the time.

        The first quarter of the time is not counted: batches grow meanwhile.
        """
        began_s = time.monotonic()
        counted_from_s, ends_s = began_s + seconds / 4, began_s + seconds
        replies = 0
        while (now_s := time.monotonic()) < ends_s:
            while len(self._in_flight) < window:
                self._send(now_s)
            received = len(self._received(_IDLE_WAIT_MS))
            replies += received if now_s >= counted_from_s else 0
        rate = replies / (time.monotonic() - counted_from_s)
        self._drain()
        return rate

    def at_rate(self, per_s: float, seconds: float) -> list[float]:
        """Return the latency in ms of each request, sent at even distances.

        Counted from when a request was due, not from when it was sent: a requester that falls
        behind may not hide that others wait.
        """
        latencies_ms: list[float] = []
        schedule = deque(self._schedule(per_s, seconds))
        while schedule or self._in_flight:
            now_s = time.monotonic()
            while schedule and schedule[0] <= now_s:
                self._send(schedule.popleft())
            until_next_ms = 1000 * (schedule[0] - time.monotonic()) if schedule else _IDLE_WAIT_MS
            latencies_ms += self._received(max(1, int(until_next_ms)))
            if not schedule and now_s > self._last_s + PATIENCE_S:
                raise self._unanswered()
        return latencies_ms

    def _schedule(self, per_s: float, seconds: float) -> Iterator[float]:
        began_s = time.monotonic() + 0.05
        self._last_s = began_s + seconds
        for number in range(max(int(per_s * seconds), 1)):
            yield began_s + number / per_s

    def _send(self, due_s: float) -> None:
        self._last_id += 1
        correlation_id = self._last_id.to_bytes(_ID_BYTES, "big")
        user_id = user_of(self._random.randrange(self._users))
        delivery = self._sink.send(
            self._requests,
            encode_request(Request(user_id=user_id)),
            key=user_id.encode(),
            headers=[(CORRELATION_HEADER, correlation_id), *self._headers],
        )
        self._in_flight[correlation_id] = _Sent(due_s, delivery)

    def _received(self, wait_ms: int) -> list[float]:
        """Return the latencies in ms of the replies that have come; waits so long for the first."""
        records = self._reader.poll(wait_ms)
        now_s = time.monotonic()
        latencies_ms = []
        for record in records:
            correlation_id = dict(record.headers).get(CORRELATION_HEADER, b"")
            sent = self._in_flight.pop(correlation_id, None)
            if sent is not None:  # None: a request answered twice
                latencies_ms.append((now_s - sent.due_s) * 1000)
        return latencies_ms

    def _drain(self) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while self._in_flight:
            self._received(_IDLE_WAIT_MS)
            if time.monotonic() > deadline_s:
                raise self._unanswered()

    def _unanswered(self) -> TookTooLongError:
        """Return an error that says where in the log the requests are that nobody answers."""
        at = sorted(sent.delivery.result(PATIENCE_S) for sent in self._in_flight.values())
        places = ", ".join(f"{partition}:{offset}" for partition, offset in at)
        return TookTooLongError(f"{len(at)} requests stay unanswered; they are at {places}")


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of the values does not exceed (nearest rank)."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
