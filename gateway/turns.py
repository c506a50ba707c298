"""The thread that answers: look up what has arrived, rank it, settle it.

Concurrent requests gather by themselves: while one batch is looked up or ranked, the next ones queue. A
lone request is ranked at once. The parts are those of a server; see `serving.worker`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import LikewiseError, ReplyError, TransientError
from likewise.service.logs import get_logger
from serving.answering_about_users import asks_about_users
from serving.backlog import Backlog
from serving.item_fields import asks_for_fields, with_fields
from serving.lookups import Lookups
from serving.outgoing import Reply, record_id_of_outgoing
from serving.ranker import Ranker
from serving.waiting import LIST_TIMEOUT_MS, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from gateway.stats import GatewayStats
    from likewise.models.holder import ModelHolder, ServedModel
    from likewise.settings import Settings
    from serving.catalogue_follower import CatalogueFollower
    from serving.impressions import Impressions
    from serving.incoming import OpenRequest, RecordId
    from serving.new_items import NewItems
    from serving.store_view import BatchContext, StoreView
    from serving.variant_models import VariantModels

    Results = Sequence[tuple[RecordId, Reply | BaseException]]

_LOOK_WHILE_WAITING_S = 0.002
_INTERNAL = ReplyError("internal", "the gateway failed on this request; its log says more")
_TOO_COSTLY = ReplyError("overloaded", "the requests in line cost too much already")


class RankingPorts(NamedTuple):
    """What answers are made from."""

    store_view: StoreView
    models: ModelHolder
    impressions: Impressions
    new_items: NewItems
    catalogue: CatalogueFollower
    variants: VariantModels


class Turns:
    """Answers what is put into it, in batches, and passes the results to `settle`."""

    def __init__(
        self,
        ports: RankingPorts,
        executor: Executor,
        settings: Settings,
        stats: GatewayStats,
        settle: Callable[[Results], None],
        clock_ms: Callable[[], int],
    ) -> None:
        """`executor` has `gateway.threads` threads; `settle` is called from any of them."""
        gateway = settings.gateway
        self.ready = False
        self._store_view = ports.store_view
        self._executor = executor
        self._stats = stats
        self._settle = settle
        self._clock_ms = clock_ms
        self._max_batch = gateway.max_batch
        self._look_every_s = settings.serving.model_check_interval_s
        self._backlog = Backlog(gateway.max_batch)
        self._waiting = Waiting(
            gateway.wait_timeout_ms,
            clock_ms,
            list_timeout_ms=LIST_TIMEOUT_MS if ports.impressions.on else 0,
        )
        self._lookups = Lookups(ports, lambda attempt: attempt(), clock_ms)
        self._ranker = Ranker(ports, executor, gateway.threads, settings, stats, clock_ms)
        self._most_costly = max(gateway.threads - 1, 1)  # a thread is left for other requests
        self._n_costly = 0
        self._free_threads = threading.Semaphore(gateway.threads)
        self._served: dict[RecordId, ServedModel] = {}
        self._inbox: deque[OpenRequest] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._next_look_s = 0.0
        self._turned_at_s = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since the last turn."""
        return time.monotonic() - self._turned_at_s

    def put(self, asked: OpenRequest, served: ServedModel | None) -> None:
        """Queue a request; `served` is another model than the current one. Any thread may call it."""
        if served is not None:
            self._served[asked.record_id] = served
        with self._changed:
            self._inbox.append(asked)
            self._changed.notify()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer in a thread during a `with` block; at its end, answer what is left."""
        thread = threading.Thread(target=self._run, name="answers", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._stopping = True
                self._changed.notify()
            thread.join()

    def _run(self) -> None:
        while True:
            with (
                self._free_threads
            ):  # while all threads rank, requests gather: large batches cost least
                pass
            self._admit(self._arrivals())
            self._turned_at_s = time.monotonic()
            if self._stopping and not self._backlog:
                return
            requests = self._due_requests()
            if requests or self._waiting or time.monotonic() >= self._next_look_s:
                self._answer(requests)

    def _arrivals(self) -> list[OpenRequest]:
        """Remove and return what has arrived. Waits if there is nothing to do before the next look."""
        with self._changed:
            idle = not self._inbox and (not self._backlog or self._backlog.stalled)
            if idle and not self._stopping:
                self._changed.wait(self._pause_s())
            arrived = list(self._inbox)
            self._inbox.clear()
        return arrived

    def _pause_s(self) -> float:
        """Return how long nothing is to be done unless something arrives."""
        until_look_s = max(self._next_look_s - time.monotonic(), 0.0)
        if not self._waiting:
            return until_look_s
        if self.ready and self._waiting.due(limit=1):  # the last look saw what it waits for
            return 0.0
        return min(until_look_s, _LOOK_WHILE_WAITING_S)

    def _admit(self, requests: Sequence[OpenRequest]) -> None:
        self._fail([one for one in requests if not self._backlog.admit(one)], _TOO_COSTLY)

    def _due_requests(self) -> list[OpenRequest]:
        requests = self._waiting.due(limit=self._max_batch)
        costly = not requests and self._n_costly < self._most_costly
        return requests + self._backlog.take(self._max_batch - len(requests), costly=costly)

    def _answer(self, requests: Sequence[OpenRequest]) -> None:
        """Look up the requests, and rank those that are ready, in this thread or another."""
        self._next_look_s = time.monotonic() + self._look_every_s
        try:
            ready, costly, context = self._look_up(requests)
        except LikewiseError as error:
            if isinstance(error, TransientError):
                self.ready = False
            self._fail(requests, error)
            return
        except Exception:  # noqa: BLE001  # this thread must survive whatever a request holds
            get_logger().exception("a look-up failed", requests=len(requests))
            self._fail(requests, _INTERNAL)
            return
        if ready:
            self._stats.count_batch(len(ready))
            self._free_threads.acquire()
            if costly or self._backlog or self._inbox:
                self._n_costly += costly
                work = self._executor.submit(self._replies, ready, context)
                work.add_done_callback(lambda done: self._ranked(ready, done, costly=costly))
            else:
                done: Future[Sequence[Reply]] = _done(
                    lambda: self._replies(ready, context, alone=True)
                )
                self._ranked(ready, done)

    def _look_up(
        self, requests: Sequence[OpenRequest]
    ) -> tuple[list[OpenRequest], bool, BatchContext]:
        """Return what can be ranked now, and whether that is one costly request."""
        context = self._lookups.look_up(requests)
        self.ready = True
        self._waiting.note_applied(context)
        ready, errors = self._waiting.sort_out(requests, context.walks)
        self._resolve(errors)
        ready, costly = self._backlog.within_budget(ready, context)
        return ready, costly, context

    def _replies(
        self, batch: Sequence[OpenRequest], context: BatchContext, *, alone: bool = False
    ) -> Sequence[Reply]:
        replies: list[Reply] = []
        for served, some in self._by_model(batch):
            if asks_about_users(some[0].request):  # `cost_of` makes each of them costly
                replies += [self._ranker.answer_about_users(one) for one in some]
            elif alone:
                replies += self._ranker.rank(some, context, served)
            else:
                replies += self._ranker.rank_here(some, context, served)
        if not asks_for_fields([*replies]):
            return replies
        found = with_fields([*replies], self._store_view.items)
        return [one for one in found if isinstance(one, Reply)]

    def _by_model(
        self, batch: Sequence[OpenRequest]
    ) -> list[tuple[ServedModel | None, Sequence[OpenRequest]]]:
        """Return the requests by the model that they name; None is the current one."""
        if not self._served:
            return [(None, batch)]
        models = {one.record_id: self._served.pop(one.record_id, None) for one in batch}
        distinct = {id(served): served for served in models.values()}
        return [
            (served, [one for one in batch if models[one.record_id] is served])
            for served in distinct.values()
        ]

    def _ranked(
        self,
        batch: Sequence[OpenRequest],
        done: Future[Sequence[Reply]],
        *,
        costly: bool = False,
    ) -> None:
        self._free_threads.release()
        if costly:
            with self._changed:
                self._n_costly -= 1
                self._changed.notify()
        error = done.exception()
        if error is None:
            self._resolve(done.result())
        elif isinstance(error, LikewiseError):
            self._fail(batch, error)
        else:
            get_logger().error("ranking failed", requests=len(batch), exc_info=error)
            self._fail(batch, _INTERNAL)

    def _resolve(self, replies: Sequence[Reply]) -> None:
        if replies:
            self._settle([(record_id_of_outgoing(one), one) for one in replies])

    def _fail(self, requests: Sequence[OpenRequest], error: BaseException) -> None:
        if requests:
            self._settle([(one.record_id, error) for one in requests])


def _done(call: Callable[[], Sequence[Reply]]) -> Future[Sequence[Reply]]:
    done: Future[Sequence[Reply]] = Future()
    try:
        done.set_result(call())
    except Exception as error:  # noqa: BLE001  # as an executor does
        done.set_exception(error)
    return done
