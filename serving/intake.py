"""Takes requests in: decodes records, and queues what is valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.messages.replies import ErrorBody
from serving.backlog import MAX_BATCHES_AHEAD
from serving.incoming import OpenRequest, read_request
from serving.outgoing import error_reply, refusal
from serving.scenarios import resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from likewise.messages.dead_letters import DeadLetter
    from likewise.records import Record
    from likewise.service.loop import Retrier
    from serving.catalogue_follower import CatalogueFollower
    from serving.outgoing import Reply
    from serving.queues import Queues
    from serving.reader import Reader
    from serving.reply_topics import ReplyTopics

_TOO_COSTLY = ErrorBody(
    "overloaded", "the requests in line that name this reply topic cost too much already"
)


class Intake:
    """Fills the backlog, and answers what cannot be queued."""

    def __init__(
        self,
        reader: Reader,
        queues: Queues,
        reply_topics: ReplyTopics,
        retry: Retrier,
        catalogue: CatalogueFollower,
        *,
        default_reply_topic: str,
        max_batch: int,
        clock_ms: Callable[[], int],
    ) -> None:
        self._reader = reader
        self._queues = queues
        self._reply_topics = reply_topics
        self._retry = retry
        self._catalogue = catalogue
        self._default_reply_topic = default_reply_topic
        self._max_batch = max_batch
        self._clock_ms = clock_ms

    def fill(self, timeout_ms: int) -> list[Reply | DeadLetter]:
        """Read ahead while there is more, so that turns are fair; return what needs no ranking.

        Raises:
            StoppedError: the worker was told to stop while the broker was unavailable.
        """
        refused: list[Reply | DeadLetter] = []
        refused += self._line_up(self._retry(self._queues.unrouted.take))
        records = self._reader.read(timeout_ms)
        refused += self._queue(records)
        for _ in range(MAX_BATCHES_AHEAD - 1):
            if len(records) < self._max_batch or not self._queues.backlog.has_room:
                break
            records = self._reader.read(0)
            refused += self._queue(records)
        return refused

    def _queue(self, records: Iterable[Record]) -> list[Reply | DeadLetter]:
        """Queue the valid requests; return what is replied to the others."""
        refused: list[Reply | DeadLetter] = []
        running = self._catalogue.experiments
        for record in records:
            read = read_request(
                record,
                default_reply_topic=self._default_reply_topic,
                received_at_ms=self._clock_ms(),
            )
            if not isinstance(read, OpenRequest):
                refused.append(refusal(read))
                continue
            asked = resolved(read, self._catalogue.scenario, running)
            if not isinstance(asked, OpenRequest):
                refused.append(asked)
            elif self._reply_topics.settles(asked.route) or not self._hold_unrouted(asked):
                refused += self._line_up([asked])
        return refused

    def _line_up(self, requests: Iterable[OpenRequest]) -> list[Reply]:
        """Put requests on the backlog; return the error replies to those that it refuses."""
        backlog = self._queues.backlog
        return [error_reply(one, _TOO_COSTLY) for one in requests if not backlog.admit(one)]

    def _hold_unrouted(self, request: OpenRequest) -> bool:
        return self._retry(lambda: self._queues.unrouted.hold(request))
