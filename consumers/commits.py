"""Commits to Kafka what is applied, for monitoring only: where to resume is in Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.log.port import Source
    from likewise.records import TopicPartition


class Commits:
    """The offsets that are applied and not committed. One commit serves many batches: it waits for the broker."""

    def __init__(self, source: Source, *, every_s: float) -> None:
        """A commit is due `every_s` after the last one."""
        self._source = source
        self._every_s = every_s
        self._offsets: dict[TopicPartition, int] = {}
        self._next_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the last commit is so long ago that the next one should not wait."""
        return time.monotonic() >= self._next_s

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note that everything before these offsets is applied."""
        self._offsets.update(offsets)

    def commit(self) -> None:
        """Commit what was noted, due or not; a failure is left to the next commit."""
        if not self._offsets:
            return
        self._next_s = time.monotonic() + self._every_s
        try:
            self._source.commit(self._offsets)
        except TransientError as error:
            get_logger().warning("offsets were not committed", reason=str(error))
        else:
            self._offsets = {}
