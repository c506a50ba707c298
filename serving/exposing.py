"""Sends exposures: which lists users were shown, for the experiments that they count for.

An exposure that Kafka refuses, now and later, is dropped. It never costs a user the answer.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError, TransientError
from likewise.messages.exposures import encode_exposure
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from likewise.log.port import Delivery, Sink
    from likewise.messages.exposures import Exposure
    from serving.stats import AnsweringStats

_LOG_EVERY_S = 60.0


class ExposureTopic:
    """The topic `exposures`, and what became of the records for it. Thread-safe."""

    def __init__(self, sink: Sink, topic: str, stats: AnsweringStats) -> None:
        self._sink = sink
        self._topic = topic
        self._stats = stats
        self._counting = threading.Lock()
        self._next_log_s = 0.0

    def send(self, exposure: Exposure) -> Delivery | None:
        """Hand an exposure to the producer; None if Kafka refuses it, which drops it.

        Raises:
            TransientError: the producer has no room, or Kafka cannot be reached.
        """
        try:
            return self._sink.send(
                self._topic, encode_exposure(exposure), key=exposure.user_id.encode()
            )
        except TransientError:
            raise
        except LikewiseError as error:
            self.drop(error)
            return None

    def send_without_waiting(self, exposure: Exposure) -> None:
        """Hand an exposure to the producer, and count what becomes of it. Never raises."""
        try:
            delivery = self.send(exposure)
        except TransientError as error:
            self.drop(error)
            return
        if delivery is not None:
            delivery.add_done_callback(lambda: self._note_result(delivery))

    def _note_result(self, delivery: Delivery) -> None:
        try:
            self.confirm(delivery, 0.0)
        except TransientError as error:
            self.drop(error)

    def confirm(self, delivery: Delivery, timeout_s: float) -> None:
        """Return once Kafka has the exposure, or refuses it, which drops it.

        Raises:
            TransientError: it is not confirmed.
        """
        try:
            delivery.result(timeout_s)
        except TransientError:
            raise
        except LikewiseError as error:
            self.drop(error)
        else:
            with self._counting:
                self._stats.exposures += 1

    def drop(self, reason: object) -> None:
        """Count an exposure that is not sent. Logs at most one line a minute."""
        with self._counting:
            self._stats.exposures_dropped += 1
            now_s = time.monotonic()
            if now_s < self._next_log_s:
                return
            self._next_log_s = now_s + _LOG_EVERY_S
        get_logger().error("exposures are dropped", topic=self._topic, reason=str(reason))


class ExposureBatch:
    """The exposures of one batch of replies, sent until Kafka has confirmed or refused each."""

    def __init__(self, topic: ExposureTopic) -> None:
        self._topic = topic
        self._unsent: list[Exposure] = []
        self._pending: list[tuple[Exposure, Delivery]] = []
        self._known: set[str] = set()

    def __bool__(self) -> bool:
        """Whether some are not confirmed."""
        return bool(self._unsent or self._pending)

    def add(self, exposure: Exposure) -> None:
        """Add an exposure, unless it was added before."""
        if exposure.recommendation_id not in self._known:
            self._known.add(exposure.recommendation_id)
            self._unsent.append(exposure)

    def start(self) -> None:
        """Hand all to the producer.

        Raises:
            TransientError: some are left. The next call continues with those.
        """
        while self._unsent:
            delivery = self._topic.send(self._unsent[-1])
            exposure = self._unsent.pop()
            if delivery is not None:
                self._pending.append((exposure, delivery))

    def confirm(self, deadline_s: float) -> None:
        """Return once Kafka has what was started, or refuses it. `deadline_s` is on the monotonic clock.

        Raises:
            TransientError: some are not confirmed. `start` sends those again.
        """
        failure: TransientError | None = None
        for exposure, delivery in self._pending:
            try:
                self._topic.confirm(delivery, max(deadline_s - time.monotonic(), 0.0))
            except TransientError as error:
                failure = error
                self._unsent.append(exposure)
        self._pending.clear()
        if failure is not None:
            raise failure
