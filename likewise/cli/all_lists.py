"""The lists of all users, as they would be answered now: for mail, caches and reports.

The same likes, signals, rules and ranking as in answers. Nothing is recorded as shown.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from msgspec import structs
from threadpoolctl import threadpool_limits

from likewise.operations.files.lists import SCHEMA
from likewise.ranking.queries import in_rows, rows_of_each
from likewise.ranking.recommend import recommend_rows
from serving.querying import query_of
from serving.store_view import BatchContext
from serving.taste import kinds_that_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from numpy.typing import NDArray

    from likewise.catalogue.view import CatalogueView
    from likewise.messages.ids import UserId
    from likewise.messages.requests import Request
    from likewise.models.holder import ServedModel
    from likewise.store.port import LikeStore
    from likewise.store.signals_port import SignalsOfUser
    from serving.querying import QuerySettings

_USERS_AT_ONCE = 2_048


class Lister:
    """Ranks for users of the store with one model, by one request that applies to each of them."""

    def __init__(
        self,
        store: LikeStore,
        served: ServedModel,
        request: Request,
        settings: QuerySettings,
        *,
        view: CatalogueView | None = None,
    ) -> None:
        """Read what applies to all users. `request` has no subject; its `user_id` is ignored.

        Raises:
            TransientError: the store cannot be reached.
        """
        self._store = store
        self._model = served.model
        self._request = request
        self._settings = settings
        self._view = view
        self._kinds = store.kinds() & kinds_that_count(settings.weights)
        _, self._retired = store.retired()
        (self._retired_rows,) = rows_of_each(self._model, [self._retired])
        self._item_ids = pa.array(self._model.item_ids, pa.string())

    def lists(self, users: Sequence[UserId]) -> pa.Table:
        """Return the lists of these users, in `SCHEMA`. The next users are read while some are ranked.

        Raises:
            TransientError: the store cannot be reached.
        """
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(1, "reading") as reading:
            contexts = _one_ahead(reading, self._read, _batches(users))
            return pa.concat_tables([self._ranked(context) for context in contexts])

    def _read(self, users: Sequence[UserId]) -> BatchContext:
        likes = self._store.liked_items(users)
        signals: Mapping[UserId, SignalsOfUser] = {}
        if self._kinds:
            found = self._store.signals(users, self._kinds)
            signals = {user: theirs for user, theirs in zip(users, found, strict=True) if theirs}
        known = dict(zip(users, likes, strict=True))
        return BatchContext(known, [], self._retired, None, signals=signals)

    def _ranked(self, context: BatchContext) -> pa.Table:
        now_ms = time.time_ns() // 1_000_000
        queries = [
            query_of(
                structs.replace(self._request, user_id=user),
                context,
                self._settings,
                self._view,
                now_ms=now_ms,
            )
            for user in context.likes
        ]
        answers = recommend_rows(self._model, in_rows(self._model, queries), self._retired_rows)
        lengths = [len(answer.rows) for answer in answers]
        rows = np.concatenate([answer.rows for answer in answers])
        known = np.repeat([answer.known > 0 for answer in answers], lengths)
        users = pa.array(list(context.likes), pa.string())
        return pa.Table.from_arrays(
            [
                users.take(pa.array(np.repeat(np.arange(len(lengths)), lengths))),
                pa.array(_ranks(lengths)),
                self._item_ids.take(pa.array(rows)),
                pa.array(np.concatenate([answer.scores for answer in answers])),
                pa.array(["popular", "model"]).take(pa.array(known.astype(np.int8))),
            ],
            schema=SCHEMA,
        )


def _one_ahead(
    executor: Executor,
    read: Callable[[Sequence[UserId]], BatchContext],
    batches: Iterable[Sequence[UserId]],
) -> Iterator[BatchContext]:
    """Yield what `read` returns for each batch, while the next one is being read."""
    waiting: Future[BatchContext] | None = None
    for users in batches:
        following = executor.submit(read, users)
        if waiting is not None:
            yield waiting.result()
        waiting = following
    if waiting is not None:
        yield waiting.result()


def _batches(users: Sequence[UserId]) -> Iterator[Sequence[UserId]]:
    return (users[at : at + _USERS_AT_ONCE] for at in range(0, len(users), _USERS_AT_ONCE))


def _ranks(lengths: Sequence[int]) -> NDArray[np.int32]:
    """Return 1, 2, … for each list in turn, int32."""
    ends = np.cumsum(lengths)
    starts = np.repeat(ends - lengths, lengths)
    return (np.arange(len(starts)) - starts + 1).astype(np.int32)
