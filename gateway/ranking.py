"""Ranks in process: `ask` is what endpoints call."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from msgspec import structs

from gateway.problem import Problem
from gateway.turns import RankingPorts as RankingPorts
from gateway.turns import Turns
from likewise.errors import ReplyError
from likewise.messages.replies import ErrorReply, Recommendations
from likewise.messages.reply_routes import ReplyRoute
from likewise.records import Unsent
from likewise.service.clock import now_ms
from serving.incoming import OpenRequest
from serving.outgoing import Reply
from serving.scenarios import resolved

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from gateway.stats import GatewayStats
    from gateway.turns import Results
    from likewise.messages.exposures import Exposure
    from likewise.messages.requests import Request
    from likewise.settings import Settings
    from serving.alternatives import Alternatives
    from serving.incoming import RecordId

# Requests over HTTP have no record in a log, and no reply topic.
_NO_VALUE = b""
_NO_ROUTE = ReplyRoute("")


class Answers:
    """Answers requests with a bounded queue. `ask` is for the loop's thread."""

    def __init__(
        self,
        ports: RankingPorts,
        alternatives: Alternatives,
        executor: Executor,
        settings: Settings,
        stats: GatewayStats,
        expose: Callable[[Exposure], None],
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`executor` has `gateway.threads` threads. `expose` must not block."""
        self._turns = Turns(ports, executor, settings, stats, self._settle_in_loop, clock_ms)
        self._catalogue = ports.catalogue
        self._expose = expose
        self._alternatives = alternatives
        self._clock_ms = clock_ms
        self._limit = settings.gateway.max_requests_in_flight
        self._longest_wait_ms = settings.gateway.wait_timeout_ms
        self._numbers = count()
        self._asked: dict[RecordId, asyncio.Future[Recommendations]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def ready(self) -> bool:
        """Whether the store answered when it was last asked."""
        return self._turns.ready

    @property
    def silent_s(self) -> float:
        """Seconds since the thread that answers has turned."""
        return self._turns.silent_s

    def answering(self) -> AbstractContextManager[None]:
        """Answer during a `with` block; at its end, answer what is left."""
        return self._turns.running()

    async def ask(self, request: Request, ranker: str | None = None) -> Recommendations:
        """Return the answer to a request, by the current model or by another ranker.

        Raises:
            ReplyError: the answer is an error.
            Problem: there is no such ranker.
            TransientError: the store cannot be reached.
        """
        if len(self._asked) >= self._limit:
            raise ReplyError("overloaded", f"{self._limit} requests are being answered already")
        served = None
        if ranker is not None:
            served = await asyncio.to_thread(self._alternatives.get, ranker)
            if served is None:
                raise Problem(
                    "unknown_ranker", f"there is no ranker {ranker[:64]!r}", field="ranker"
                )
        record = Unsent(_NO_VALUE, offset=next(self._numbers))
        asked = OpenRequest(record, request, _NO_ROUTE, self._clock_ms())
        running = self._catalogue.experiments if ranker is None else ()
        if running or request.scenario is not None:
            with_defaults = resolved(asked, self._catalogue.scenario, running)
            if isinstance(with_defaults, Reply):
                return _result(with_defaults)
            asked = with_defaults
        if (asked.request.deadline_ms or 0) > self._longest_wait_ms:
            # With it, a request with `after` could be in flight for an hour.
            asked = replace(asked, request=structs.replace(asked.request, deadline_ms=None))
        if self._loop is None:  # looking it up is a call to the system
            self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Recommendations] = self._loop.create_future()
        record_id = asked.record_id
        self._asked[record_id] = answer
        self._turns.put(asked, served)
        try:
            return await answer
        finally:
            del self._asked[record_id]

    def _settle_in_loop(self, results: Results) -> None:
        """Settle a batch. One wake-up of the loop is enough for all of it."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits for this any more
                self._loop.call_soon_threadsafe(self._settle, results)

    def _settle(self, results: Results) -> None:
        for record_id, result in results:
            answer = self._asked.get(record_id)
            if answer is None or answer.done():  # its client has gone
                continue
            if isinstance(result, BaseException):
                answer.set_exception(result)
            elif isinstance(result.body, ErrorReply):
                error = result.body.error
                answer.set_exception(ReplyError(error.code, error.message))
            else:
                answer.set_result(result.body)
                if result.exposure is not None:
                    self._expose(result.exposure)


def _result(reply: Reply) -> Recommendations:
    if isinstance(reply.body, ErrorReply):
        raise ReplyError(reply.body.error.code, reply.body.error.message)
    return reply.body
