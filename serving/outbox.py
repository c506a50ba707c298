"""Sends replies, exposures and dead letters, and counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.service.loop import log_dead_letters
from serving.dispatch import Dispatch
from serving.exposing import ExposureTopic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from likewise.log.topics import Topics
    from likewise.messages.dead_letters import DeadLetter
    from serving.outgoing import Reply
    from serving.ports import Ports
    from serving.stats import ServingStats


class Outbox:
    """Sends until the broker has confirmed everything."""

    def __init__(
        self,
        ports: Ports,
        topics: Topics,
        stats: ServingStats,
        clock_ms: Callable[[], int],
    ) -> None:
        self._sink = ports.sink
        self._reply_topics = ports.reply_topics
        self._dead_letters_topic = topics.dead_letters
        self._exposures = ExposureTopic(ports.sink, topics.exposures, stats)
        self._retry = ports.member.retry
        self._stats = stats
        self._clock_ms = clock_ms

    def send(self, outgoing: Sequence[Reply | DeadLetter]) -> None:
        """Return once the broker has every reply, exposure and dead letter.

        Raises:
            StoppedError: the worker was told to stop before.
            SettingsError: the broker does not let us write dead letters.
        """
        if not outgoing:
            return
        dispatch = Dispatch(
            outgoing,
            self._sink,
            self._reply_topics,
            self._dead_letters_topic,
            self._exposures,
        )
        self._retry(dispatch.attempt)
        if dispatch.dead_letters:
            log_dead_letters(dispatch.dead_letters)
        self._stats.batches += 1
        self._stats.dead_letters += len(dispatch.dead_letters)
        for reply in dispatch.confirmed:
            self._stats.count(reply, now_ms=self._clock_ms())
