"""The server's loop: poll, read, look up, rank, send, commit.

Requests are answered at least once: offsets are committed when the broker has the replies, and
never past a request that still waits. Killed at any instant, a successor answers what is open.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from likewise.log.port import held_back
from likewise.messages.replies import ErrorBody
from likewise.ranking.recommend import THIS_THREAD
from likewise.retry import StoppedError, retry
from likewise.service.logs import get_logger
from serving.answering import answer
from serving.backlog import MAX_BATCHES_AHEAD, Backlog
from serving.commits import Commits
from serving.cost import COSTLY, cost_of
from serving.dispatch import Dispatch
from serving.in_flight import Batch, InFlight
from serving.incoming import OpenRequest, read_request, record_id_of
from serving.outgoing import error_reply, record_id_of_outgoing, refusal
from serving.stats import ServingStats
from serving.threads import Later, NoThreads
from serving.unrouted import Unrouted
from serving.waiting import Applied, Standing, Waiting, judge

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Sequence

    from likewise.errors import TransientError
    from likewise.log.port import Sink, Source
    from likewise.log.topics import Topics
    from likewise.messages.dead_letters import DeadLetter
    from likewise.models.holder import ModelHolder
    from likewise.ranking.recommend import Threads
    from likewise.records import Record, Span, TopicPartition
    from likewise.service.stall_detector import StallDetector
    from likewise.settings import ServingSettings
    from serving.lost_requests import LostRequests
    from serving.outgoing import Reply
    from serving.reply_topics import ReplyTopics
    from serving.store_view import BatchContext, StoreView
    from serving.threads import Beside, Promise

T = TypeVar("T")

# Short, so that an answer follows the like it waits for at once, or its ranking.
POLL_TIMEOUT_WHILE_WAITING_MS = 5
# Somebody waits for each answer: after an outage the next try must not be far.
LONGEST_RETRY_S = 2.0
# A batch is bounded to a fraction of a second; a machine may be a hundred times slower, not a thousand.
LONGEST_RANKING_S = 180.0


def now_ms() -> int:
    """Return the milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class ServingWorker:
    """Answers the requests of its partitions, as one member of a consumer group.

    Any number of workers share the partitions. Source and sink stay open: they are the caller's.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        store_view: StoreView,
        models: ModelHolder,
        reply_topics: ReplyTopics,
        topics: Topics,
        settings: ServingSettings,
        stall_detector: StallDetector,
        *,
        stop: threading.Event,
        stats: ServingStats | None = None,
        clock_ms: Callable[[], int] = now_ms,
        beside: Beside | None = None,
        lost: LostRequests | None = None,
    ) -> None:
        """Take up the parts; `stop` is what will end `run`, `beside` where a batch is ranked."""
        self.stats = stats or ServingStats()
        self._source = source
        self._sink = sink
        self._store_view = store_view
        self.stats.keeping = store_view.watch.keeping
        self._models = models
        self._reply_topics = reply_topics
        self._topics = topics
        self._settings = settings
        self._stall_detector = stall_detector
        self._stop = stop
        self._clock_ms = clock_ms
        self._beside = beside or NoThreads()
        self._lost = lost
        self._log = get_logger()
        self._backlog = Backlog(settings.max_batch)
        self._waiting = Waiting()
        self._in_flight = InFlight(self._beside.sharing.at_once)
        self._unrouted = Unrouted(reply_topics)
        held = (self._waiting, self._backlog, self._in_flight, self._unrouted)
        self._commits = Commits(source, held)
        self._applied = Applied()
        self._next_look_s = 0.0

    def run(self) -> None:
        """Answer until told to stop; then finish what is in hand.

        Servers out of reach are waited for. What is still open when the stop comes is left to
        the next member, whole.

        Raises:
            SettingsError: a server refuses our credentials or lacks a setting.
            ForeignDataError: Redis holds something else under our keys.
        """
        self.stats.heartbeat.beat(ready=False)  # from here on, silence is a fault
        self._log.info(
            "serving",
            topic=self._topics.requests,
            group=self._settings.group,
            model=self._models.current().version,
        )
        try:
            while not self._stop.is_set():
                self.run_once()
                self._rejoin_if_stalled()
            self._deliver(self._in_flight.all())
            self._commit(at_once=True)
        except StoppedError:
            self._log.warning("stopped while a server was out of reach; nothing is lost")

    def run_once(self) -> None:
        """Do one turn of the loop: everything that one poll brings, and what no longer waits.

        While others wait, a batch is ranked beside the turns that follow its own: as many batches
        at once as there are threads.
        """
        batch = self._take_up()
        if batch.places or not self._in_flight:
            self._in_flight.add(batch)
        self._deliver(self._in_flight.finished())

    def _take_up(self) -> Batch:
        """Read, look up and begin to rank what is due."""
        outgoing = self._read_ahead()
        asked = self._due()
        room = self._settings.max_batch - len(asked)
        asked += self._backlog.take(room, costly=not asked and self._in_flight.has_room_for_costly)
        places = {*map(record_id_of_outgoing, outgoing), *(one.record_id for one in asked)}
        if not asked and not self._look_is_due():
            return Batch(places, outgoing, Later(list))
        if asked:
            self.stats.on_batch(len(asked))
        known = self._look_up(asked)
        ready, errors = self._sort_out(asked, known)
        ready, costly = self._within_budget(ready, known)
        answers: Promise[list[Reply]]
        if costly or self._backlog or self._in_flight:
            answers = self._beside.begin(partial(self._answer, ready, known, THIS_THREAD))
        else:
            answers = Later(partial(self._answer, ready, known, self._beside.sharing))
        return Batch(places, [*outgoing, *errors], answers, costly)

    def _within_budget(
        self, ready: list[OpenRequest], known: BatchContext
    ) -> tuple[list[OpenRequest], bool]:
        """Return what is ranked now, and whether it is one costly request; the rest is put back.

        Only now is known how much the users like.
        """
        costs = [cost_of(one.request, known.n_likes(one.request.user_id)) for one in ready]
        if len(ready) < 2 or (max(costs) <= COSTLY and sum(costs) <= self._backlog.budget):
            return ready, bool(ready) and costs[0] > COSTLY
        kept: list[OpenRequest] = []
        put_back: list[tuple[OpenRequest, float]] = []
        spent = 0.0
        for one, cost in zip(ready, costs, strict=True):
            if cost > COSTLY or (kept and spent + cost > self._backlog.budget):
                put_back.append((one, cost))
            else:
                kept.append(one)
                spent += cost
        for one, cost in reversed(put_back):
            self._backlog.put_back(one, cost)
        return kept, False

    def _answer(
        self, ready: Sequence[OpenRequest], known: BatchContext, threads: Threads
    ) -> list[Reply]:
        # No frame that calls the client libraries has the model among its locals: what they keep
        # of an exception keeps these frames, and with them old models and their open files.
        served = self._models.current()
        self.stats.model_version = served.version
        self.stats.model_snapshot_at_ms = served.snapshot_at_ms
        return answer(
            served,
            ready,
            known,
            explain_limit=self._settings.explain_limit,
            now_ms=self._clock_ms(),
            threads=threads,
        )

    def _read_ahead(self) -> list[Reply | DeadLetter]:
        """Fill the backlog while there is more, for a fair choice; return what needs no ranking."""
        refused: list[Reply | DeadLetter] = [*self._line_up(self._persist(self._unrouted.take))]
        polled = self._poll(self._poll_timeout_ms())
        refused += self._read(polled)
        for _ in range(MAX_BATCHES_AHEAD - 1):
            if len(polled) < self._settings.max_batch or not self._backlog.has_room:
                break
            polled = self._poll(0)
            refused += self._read(polled)
        return refused

    def _poll(self, timeout_ms: int) -> list[Record]:
        """Return the next records; what was lost with a rebalance is forgotten."""
        polled: list[Record] = []
        spans: dict[TopicPartition, Span] = {}
        if self._backlog.has_room:
            polled = self._persist(lambda: self._source.poll(timeout_ms))
            spans = self._source.spans()
        else:
            self._source.keep_alive()
        assigned = self._source.assignment()
        keeps_all = self._store_view.watch.look()
        self.stats.heartbeat.beat(ready=self._source.is_member() and keeps_all)
        self._backlog.keep_only(assigned)
        self._waiting.keep_only(assigned)
        self._unrouted.keep_only(assigned)
        self._commits.keep_only(assigned)
        if self._commits.rebalanced:
            self._commits.take_over(lambda: self._persist(self._source.committed))
        self._commits.note_read(spans)
        if self._lost is not None:
            self.stats.lost += self._lost.count(assigned, spans)
        return [record for record in polled if not self._commits.is_known(record_id_of(record))]

    def _poll_timeout_ms(self) -> int:
        if (self._backlog and not self._backlog.stalled) or (self._waiting and self._due()):
            return 0
        if self._waiting or self._in_flight or self._unrouted:
            return POLL_TIMEOUT_WHILE_WAITING_MS
        return self._settings.poll_timeout_ms

    def _read(self, records: Iterable[Record]) -> list[Reply | DeadLetter]:
        """Put what is understood on the backlog; return what is said to the rest."""
        refused: list[Reply | DeadLetter] = []
        for record in records:
            read = read_request(
                record,
                default_reply_topic=self._topics.replies,
                received_at_ms=self._clock_ms(),
            )
            if not isinstance(read, OpenRequest):
                refused.append(refusal(read))
            elif self._reply_topics.knows(read.route) or not self._holds_unrouted(read):
                refused += self._line_up([read])
        return refused

    def _line_up(self, asked: Iterable[OpenRequest]) -> list[Reply]:
        """Put requests on the backlog; return what is said to those that it does not take."""
        return [error_reply(one, _TOO_COSTLY) for one in asked if not self._backlog.admit(one)]

    def _holds_unrouted(self, asked: OpenRequest) -> bool:
        return self._persist(lambda: self._unrouted.hold(asked))

    def _due(self) -> list[OpenRequest]:
        """Return what has waited and, as far as the last look shows, need not any longer."""
        return self._waiting.due(
            self._applied,
            now_ms=self._clock_ms(),
            after_timeout_ms=self._settings.after_timeout_ms,
            limit=self._settings.max_batch,
        )

    def _look_is_due(self) -> bool:
        return bool(self._waiting) or time.monotonic() >= self._next_look_s

    def _look_up(self, asked: Iterable[OpenRequest]) -> BatchContext:
        """Return what the store knows of the users who ask, now; see also which model is meant."""
        users = {one.request.user_id for one in asked if one.request.user_id is not None}
        named = [one.request.after.partition + 1 for one in asked if one.request.after is not None]
        known = self._persist(lambda: self._store_view.look_up(users, max(named, default=1)))
        self._applied = Applied(known.positions, self._clock_ms() - known.partitions_age_ms)
        self._next_look_s = time.monotonic() + self._settings.model_check_interval_s
        self._models.see(known.announcement)
        return known

    def _sort_out(
        self, asked: Iterable[OpenRequest], known: BatchContext
    ) -> tuple[list[OpenRequest], list[Reply]]:
        """Return what can be answered and what gets an error; the rest waits."""
        ready: list[OpenRequest] = []
        errors: list[Reply] = []
        for one in asked:
            verdict = judge(
                one,
                self._applied,
                now_ms=self._clock_ms(),
                after_timeout_ms=self._settings.after_timeout_ms,
            )
            if verdict is Standing.WAITING and self._waiting.hold(one):
                continue
            self._waiting.release(one)
            if verdict is Standing.READY:
                ready.append(one)
            else:
                error = verdict if isinstance(verdict, ErrorBody) else _overloaded()
                errors.append(error_reply(one, error))
        return ready, errors

    def _deliver(self, batches: Iterable[Batch]) -> None:
        """Send what is said to each, when it is there, and commit how far that is."""
        for batch in batches:
            with self.stats.heartbeat.busy("ranking", at_most_s=LONGEST_RANKING_S):
                answers = batch.answers.result()
            self._send([*batch.outgoing, *answers])
            self._commit()

    def _send(self, outgoing: Sequence[Reply | DeadLetter]) -> None:
        """Return once the broker has every reply and dead letter."""
        self.stats.waiting = len(self._waiting)
        self.stats.backlog = len(self._backlog)
        if not outgoing:
            return
        dispatch = Dispatch(outgoing, self._sink, self._reply_topics, self._topics.dead_letters)
        self._persist(dispatch.attempt)
        if letters := dispatch.dead_letters:
            self._log.warning(
                "requests that can't be replied to go to the dead letters",
                count=len(letters),
                first=f"{letters[0].source.partition}:{letters[0].offset}",
                reason=f"{letters[0].code}: {letters[0].detail}",
            )
        self.stats.batches += 1
        self.stats.dead_letters += len(letters)
        for reply in dispatch.confirmed:
            self.stats.count(reply, now_ms=self._clock_ms())

    def _commit(self, *, at_once: bool = False) -> None:
        # What went to others while a server was waited for is theirs to commit; should it come
        # back, it is read and committed again.
        self._commits.keep_only(self._source.assignment())
        n_open = len(self._waiting) + len(self._backlog) + len(self._unrouted)
        n_open += self._in_flight.requests
        offsets, notes = self._commits.due(n_open, at_once=at_once)
        if offsets:
            self._persist(lambda: self._source.commit(offsets, notes))
            self._commits.note_committed(offsets, notes)
        self.stats.lag = self._commits.behind()
        self.stats.held_back = held_back(self._source)

    def _rejoin_if_stalled(self) -> None:
        """Join the group anew where a partition, whoever has it, is not read on in."""
        if standing := self._stall_detector.partitions(known=self._commits.oldest_open()):
            self._log.error(
                "requests are there and nobody reads them; joining the group anew",
                partitions=[partition.partition for partition in standing],
            )
            self.stats.rejoins += 1
            self._persist(self._source.rejoin)

    def _persist(self, attempt: Callable[[], T]) -> T:
        """Return what the attempt returns, however long its server is out of reach."""
        return retry(
            attempt,
            stop=self._stop,
            on_failure=self._note_failure,
            while_waiting=self._source.keep_alive,
            longest_s=LONGEST_RETRY_S,
        )

    def _note_failure(self, error: TransientError, wait_s: float) -> None:
        self.stats.retries += 1
        self.stats.server_errors[error.server] += 1
        self.stats.heartbeat.beat(ready=False)
        self._log.warning("trying again", reason=str(error), in_s=round(wait_s, 2))


_TOO_COSTLY = ErrorBody(
    "overloaded", "the requests in line that name this reply topic cost too much already"
)


def _overloaded() -> ErrorBody:
    return ErrorBody("overloaded", "too many requests wait for their `after` already")
