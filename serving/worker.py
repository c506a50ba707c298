"""The server's loop: read, look up, rank, send, commit.

Requests are answered at least once: offsets are committed when the broker has the replies, and
never past an open request. If a server is killed at any instant, the next owner of its partitions
answers what is open.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from likewise.log.port import held_back
from likewise.retry import StoppedError
from likewise.service.clock import now_ms
from likewise.service.logs import get_logger
from serving.answering_about_users import asks_about_users
from serving.backlog import Backlog
from serving.commits import Commits
from serving.in_flight import Batch, InFlight
from serving.intake import Intake
from serving.item_fields import asks_for_fields, with_fields
from serving.ledger import Ledger
from serving.lookups import Lookups
from serving.outbox import Outbox
from serving.queues import Queues
from serving.ranker import Ranker
from serving.reader import Reader
from serving.unrouted import Unrouted
from serving.waiting import LIST_TIMEOUT_MS, Waiting

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from likewise.log.topics import Topics
    from likewise.settings import Settings
    from serving.incoming import OpenRequest
    from serving.outgoing import Reply
    from serving.ports import Ports
    from serving.stats import ServingStats
    from serving.store_view import BatchContext

# Short, so that an answer soon follows its ranking, or the like that it waits for.
POLL_TIMEOUT_WHILE_BUSY_MS = 5
# A batch takes a fraction of a second. A machine may be a hundred times slower, not a thousand.
LONGEST_RANKING_S = 180.0


class ServingWorker:
    """Answers the requests of its partitions, as one member of a consumer group."""

    def __init__(
        self,
        ports: Ports,
        executor: Executor,
        topics: Topics,
        settings: Settings,
        *,
        stop: threading.Event,
        stats: ServingStats,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """Connect the parts without I/O. `run` ends when `stop` is set.

        `executor` has `serving.threads` threads, which rank batches.
        """
        self.stats = stats
        self._ports = ports
        self._topics = topics
        self._settings = serving = settings.serving
        self._stop = stop
        self._clock_ms = clock_ms
        self._ledger = Ledger()
        self._backlog = Backlog(serving.max_batch)
        self._waiting = Waiting(
            serving.after_timeout_ms,
            clock_ms,
            list_timeout_ms=LIST_TIMEOUT_MS if ports.impressions.on else 0,
        )
        self._queues = Queues(Unrouted(ports.reply_topics), self._backlog, self._waiting)
        self._in_flight = InFlight(serving.threads)
        self._commits = Commits(ports.source, self._ledger, ports.member.retry)
        self._intake = Intake(
            Reader(ports, self._ledger, self._queues, self._commits, stats),
            self._queues,
            ports.reply_topics,
            ports.member.retry,
            ports.catalogue,
            default_reply_topic=topics.replies,
            max_batch=serving.max_batch,
            clock_ms=clock_ms,
        )
        self._lookups = Lookups(ports, ports.member.retry, clock_ms)
        self._ranker = Ranker(ports, executor, serving.threads, settings, stats, clock_ms)
        self._outbox = Outbox(ports, topics, stats, clock_ms)
        self._next_lookup_s = 0.0

    def run(self) -> None:
        """Answer requests until `stop` is set, then send what is in flight.

        Unavailable servers are waited for. If one is unavailable when `stop` is set, the next owner
        of the partitions answers what is open.

        Raises:
            SettingsError: a server refuses our credentials or lacks a setting.
            ForeignDataError: Redis holds something else under our keys.
        """
        self.stats.heartbeat.beat(ready=False)  # from here on, silence is a fault
        log = get_logger()
        log.info(
            "serving",
            topic=self._topics.requests,
            group=self._settings.group,
            model=self._ports.models.current().version,
        )
        try:
            while not self._stop.is_set():
                self.run_once()
                self._ports.member.rejoin_if_stalled(known=self._ledger.oldest())
            for batch in self._in_flight.all():
                self._deliver(batch)
            self._commit(at_once=True)
        except StoppedError:
            log.warning("stopped while a server was unavailable; no request is lost")

    def run_once(self) -> None:
        """Run one turn of the loop: read, start a batch, deliver the batches that are ranked."""
        batch = self._next_batch()
        if batch.record_ids or not self._in_flight:
            self._ledger.start(batch.record_ids)
            self._in_flight.add(batch)
        for ranked in self._in_flight.finished():
            self._deliver(ranked)

    def _next_batch(self) -> Batch:
        """Read ahead, look up the requests whose turn it is, and rank them or begin to."""
        outgoing = self._intake.fill(self._poll_timeout_ms())
        requests = self._due_requests()
        if not requests and not self._lookup_is_due():
            return Batch.of(outgoing)
        if requests:
            self.stats.on_batch(len(requests))
        context = self._look_up(requests)
        ready, errors = self._waiting.sort_out(requests, context.walks)
        outgoing += errors
        ready, costly = self._backlog.within_budget(ready, context)
        if costly and asks_about_users(ready[0].request):  # `cost_of` makes each of them costly
            return Batch.of([*outgoing, self._answer_about_users(ready[0])])
        if costly or self._backlog or self._in_flight:
            ranking = self._ranker.submit(ready, context)
            return Batch.of(outgoing, ready, ranking, costly=costly)
        with self.stats.heartbeat.busy("ranking", at_most_s=LONGEST_RANKING_S):
            replies = self._ranker.rank(ready, context)
        return Batch.of([*outgoing, *replies])

    def _answer_about_users(self, asked: OpenRequest) -> Reply:
        """Answer the request in this thread, which waits for a store that cannot be reached."""
        with self.stats.heartbeat.busy("ranking", at_most_s=LONGEST_RANKING_S):
            return self._ports.member.retry(lambda: self._ranker.answer_about_users(asked))

    def _poll_timeout_ms(self) -> int:
        if (self._backlog and not self._backlog.stalled) or self._waiting.due(limit=1):
            return 0
        if self._waiting or self._in_flight or self._queues.unrouted:
            return POLL_TIMEOUT_WHILE_BUSY_MS
        return self._settings.poll_timeout_ms

    def _due_requests(self) -> list[OpenRequest]:
        """Return at most a batch: what has waited long enough, then those whose turn it is."""
        requests = self._waiting.due(limit=self._settings.max_batch)
        room = self._settings.max_batch - len(requests)
        costly = not requests and self._in_flight.has_room_for_costly
        return requests + self._backlog.take(room, costly=costly)

    def _lookup_is_due(self) -> bool:
        return bool(self._waiting) or time.monotonic() >= self._next_lookup_s

    def _look_up(self, requests: Sequence[OpenRequest]) -> BatchContext:
        """Return what the store holds for the requests now, and follow the announced model."""
        context = self._lookups.look_up(requests)
        self._waiting.note_applied(context)
        self._next_lookup_s = time.monotonic() + self._settings.model_check_interval_s
        return context

    def _deliver(self, batch: Batch) -> None:
        """Send the replies of a batch once they are ranked, and commit how far that is."""
        with self.stats.heartbeat.busy("ranking", at_most_s=LONGEST_RANKING_S):
            replies = batch.replies()
        if asks_for_fields(replies):
            replies = self._ports.member.retry(
                lambda: with_fields(replies, self._ports.store_view.items)
            )
        self.stats.waiting = len(self._waiting)
        self.stats.backlog = len(self._backlog)
        self._outbox.send(replies)
        self._ledger.close(batch.record_ids)
        self._commit()

    def _commit(self, *, at_once: bool = False) -> None:
        self._commits.commit(at_once=at_once)
        self.stats.lag = self._commits.lag()
        self.stats.held_back = held_back(self._ports.source, self._topics.requests)
