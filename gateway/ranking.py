"""Ranks in process: answers the requests of this process as a server does those of a topic.

Concurrent requests gather by themselves: while one batch is ranked, the next ones queue. A lone request
is ranked at once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.problem import Problem
from likewise.errors import LikewiseError, ReplyError
from likewise.messages.replies import ErrorReply, Recommendations
from likewise.messages.reply_routes import ReplyRoute
from likewise.records import Unsent
from likewise.service.logs import get_logger
from serving.answering_about_users import asks_about_users
from serving.backlog import Backlog
from serving.cost import COSTLY, cost_of, within_budget
from serving.incoming import OpenRequest
from serving.item_fields import asks_for_fields, with_fields
from serving.lookups import Lookups
from serving.outgoing import Reply, record_id_of_outgoing
from serving.ranker import Ranker
from serving.scenarios import resolved
from serving.waiting import LIST_TIMEOUT_MS, Applied, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from gateway.stats import GatewayStats
    from likewise.messages.requests import Request
    from likewise.models.holder import ModelHolder
    from likewise.settings import Settings
    from serving.catalogue_follower import CatalogueFollower
    from serving.impressions import Impressions
    from serving.incoming import RecordId
    from serving.new_items import NewItems
    from serving.store_view import BatchContext, StoreView

    _Results = Sequence[tuple[RecordId, Reply | BaseException]]

_ROUTE = ReplyRoute("")
_LOOK_WHILE_WAITING_S = 0.005
_STOPPING = Problem("stopping", "the gateway is stopping")


class RankingPorts(NamedTuple):
    """What answers are made from."""

    store_view: StoreView
    models: ModelHolder
    impressions: Impressions
    new_items: NewItems
    catalogue: CatalogueFollower


class Answers:
    """Answers requests. `ask` is for the loop's thread."""

    def __init__(
        self,
        ports: RankingPorts,
        executor: Executor,
        settings: Settings,
        stats: GatewayStats,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`executor` has `gateway.threads` threads."""
        gateway = settings.gateway
        self._ports = ports
        self._executor = executor
        self._stats = stats
        self._clock_ms = clock_ms
        self._max_batch = gateway.max_batch
        self._limit = gateway.max_requests_in_flight
        self._look_every_s = settings.serving.model_check_interval_s
        self._backlog = Backlog(gateway.max_batch)
        self._waiting = Waiting(
            gateway.wait_timeout_ms,
            clock_ms,
            list_timeout_ms=LIST_TIMEOUT_MS if ports.impressions.on else 0,
        )
        self._lookups = Lookups(ports, lambda attempt: attempt(), clock_ms)
        self._ranker = Ranker(ports, executor, gateway.threads, settings, stats, clock_ms)
        self._free_threads = threading.Semaphore(gateway.threads)
        self._numbers = count()
        self._asked: dict[RecordId, asyncio.Future[Recommendations]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: deque[OpenRequest] = deque()
        self._arrived = threading.Condition()
        self._stopping = False

    async def ask(self, request: Request, ranker: str | None = None) -> Recommendations:
        """Return the answer to a request.

        Raises:
            ReplyError: the answer is an error.
            TransientError: the store cannot be reached.
        """
        if ranker is not None:
            raise Problem("unknown_ranker", f"`ranker`: there is no ranker {ranker[:64]!r}")
        if self._stopping:
            raise _STOPPING
        if len(self._asked) >= self._limit:
            raise ReplyError("overloaded", f"{self._limit} requests are being answered already")
        record = Unsent(b"", offset=next(self._numbers))
        open_request = OpenRequest(record, request, _ROUTE, self._clock_ms())
        asked = resolved(open_request, self._ports.catalogue.scenario)
        if isinstance(asked, Reply):
            return _result(asked)
        self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Recommendations] = self._loop.create_future()
        self._asked[asked.record_id] = answer
        with self._arrived:
            self._inbox.append(asked)
            self._arrived.notify()
        try:
            return await answer
        finally:
            del self._asked[asked.record_id]

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Answer in a thread during a `with` block; at its end, answer what is left."""
        thread = threading.Thread(target=self._run, name="answers", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._arrived:
                self._stopping = True
                self._arrived.notify()
            thread.join()

    def _run(self) -> None:
        next_look_s = 0.0
        while True:
            self._admit(self._next_arrivals(next_look_s))
            if self._stopping and not self._backlog:
                self._fail(self._waiting.due(limit=self._limit), _STOPPING)
                return
            requests = self._due_requests()
            if not requests and not self._waiting and time.monotonic() < next_look_s:
                continue
            next_look_s = time.monotonic() + self._look_every_s
            try:
                self._answer(requests)
            except LikewiseError as error:
                self._fail(requests, error)
            except Exception:  # noqa: BLE001  # this thread must survive whatever a request holds
                get_logger().exception("answering failed", requests=len(requests))
                self._fail(requests, ReplyError("internal", "the gateway failed on this request"))

    def _next_arrivals(self, until_s: float) -> list[OpenRequest]:
        """Remove and return the requests that arrived; waits for the first, until the next look."""
        with self._arrived:
            if not self._inbox and not self._backlog and not self._stopping:
                timeout_s = until_s - time.monotonic()
                if self._waiting:
                    timeout_s = min(timeout_s, _LOOK_WHILE_WAITING_S)
                self._arrived.wait(max(timeout_s, 0))
            arrived = list(self._inbox)
            self._inbox.clear()
        return arrived

    def _admit(self, requests: Sequence[OpenRequest]) -> None:
        refused = [one for one in requests if not self._backlog.admit(one)]
        if refused:
            self._fail(refused, ReplyError("overloaded", "the requests in line cost too much"))

    def _due_requests(self) -> list[OpenRequest]:
        requests = self._waiting.due(limit=self._max_batch)
        return requests + self._backlog.take(self._max_batch - len(requests), costly=not requests)

    def _answer(self, requests: Sequence[OpenRequest]) -> None:
        """Look up the requests, and answer them in this thread or begin to in another."""
        if requests:
            self._stats.on_batch(len(requests))
        context = self._lookups.look_up(requests)
        self._waiting.applied = Applied(
            context.positions, self._clock_ms() - context.partitions_age_ms
        )
        ready, errors = self._waiting.sort_out(requests, context.walks)
        self._resolve(errors)
        costs = [
            cost_of(one.request, context.n_likes(one.request.user_id), context.n_more(one))
            for one in ready
        ]
        ready, put_back = within_budget(ready, costs, self._backlog.budget)
        for request, cost in reversed(put_back):
            self._backlog.put_back(request, cost)
        if not ready:
            return
        costly = len(ready) == 1 and costs[0] > COSTLY
        self._free_threads.acquire()
        if costly or self._backlog or self._inbox:
            work = self._executor.submit(self._replies, ready, context)
            work.add_done_callback(lambda done: self._ranked(ready, done))
        else:
            try:
                self._resolve(self._replies(ready, context, alone=True))
            finally:
                self._free_threads.release()

    def _replies(
        self, ready: Sequence[OpenRequest], context: BatchContext, *, alone: bool = False
    ) -> Sequence[Any]:
        if asks_about_users(ready[0].request):  # `cost_of` makes each of them costly
            return [self._ranker.answer_about_users(ready[0])]
        if alone:
            return self._with_fields(self._ranker.rank(ready, context))
        return self._with_fields(self._ranker.rank_here(ready, context))

    def _with_fields(self, replies: Sequence[Reply]) -> Sequence[Any]:
        if asks_for_fields([*replies]):
            return with_fields([*replies], self._ports.store_view.items)
        return replies

    def _ranked(self, ready: Sequence[OpenRequest], done: Future[Sequence[Reply]]) -> None:
        self._free_threads.release()
        error = done.exception()
        if error is None:
            self._resolve(done.result())
        else:
            self._fail(ready, error)

    def _resolve(self, replies: Sequence[Reply]) -> None:
        self._settle_in_loop([(record_id_of_outgoing(one), one) for one in replies])

    def _fail(self, requests: Sequence[OpenRequest], error: BaseException) -> None:
        self._settle_in_loop([(one.record_id, error) for one in requests])

    def _settle_in_loop(self, results: _Results) -> None:
        if results and self._loop is not None:
            self._loop.call_soon_threadsafe(self._settle, results)

    def _settle(self, results: _Results) -> None:
        for record_id, result in results:
            answer = self._asked.get(record_id)
            if answer is None or answer.done():  # its client has gone
                continue
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                try:
                    answer.set_result(_result(result))
                except ReplyError as error:
                    answer.set_exception(error)


def _result(reply: Reply) -> Recommendations:
    body = reply.body
    if isinstance(body, ErrorReply):
        raise ReplyError(body.error.code, body.error.message)
    return body
