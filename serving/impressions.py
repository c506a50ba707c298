"""Writes what was shown to the store, without delaying an answer.

A thread writes while replies are sent. If the store is slower than the answers, what does not fit
into a bounded queue is dropped and counted; so is what the store refuses.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from likewise.errors import LikewiseError
from likewise.messages.replies import Recommendations
from likewise.service.logs import get_logger
from likewise.store.shown_port import ShownList
from serving.outgoing import record_id_of_outgoing
from serving.walks import records_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from likewise.settings import ImpressionsSettings
    from likewise.store.shown_port import ShownRecord, ShownStore
    from serving.incoming import OpenRequest, RecordId
    from serving.outgoing import Reply
    from serving.stats import AnsweringStats
    from serving.walks import Walk

# A record weighs as much as its items, and a little for itself.
_RECORD_WEIGHT = 10
# Some 20 MB, and ten seconds of answers.
_MAX_PENDING_WEIGHT = 500_000
# Redis takes some 2 ms for this, and answers nobody else meanwhile.
_MAX_BATCH_WEIGHT = 10_000
_PAUSE_AFTER_FAILURE_S = 0.2
_LOG_EVERY_S = 60.0
_LONGEST_FLUSH_S = 5.0


class Impressions:
    """What was shown and is not written yet. Thread-safe."""

    def __init__(
        self, store: ShownStore, settings: ImpressionsSettings, stats: AnsweringStats
    ) -> None:
        self._store = store
        self._settings = settings
        self._stats = stats
        self._pending: deque[ShownRecord] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._next_log_s = 0.0

    @property
    def on(self) -> bool:
        """Whether anything is kept."""
        return self._settings.lists > 0

    def note(
        self,
        requests: Iterable[OpenRequest],
        replies: Iterable[Reply],
        walks: Mapping[RecordId, Walk],
        *,
        now_ms: int,
    ) -> None:
        """Queue the lists in the replies to these requests. Never waits for the store."""
        if not self.on:
            return
        asked = {one.record_id: one.request for one in requests}
        records: list[ShownRecord] = []
        for reply in replies:
            body = reply.body
            if isinstance(body, Recommendations):
                record_id = record_id_of_outgoing(reply)
                walk = walks.get(record_id)
                page = 1 if walk is None else walk.number
                items = tuple([item.item_id for item in body.items])
                shown = ShownList(now_ms, body.recommendation_id, page, items)
                records += records_of(asked[record_id], shown, walk, self._settings)
        self._queue(records)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in a thread during a `with` block, and what is left at its end."""
        if not self.on:
            yield
            return
        thread = threading.Thread(target=self._run, name="impressions", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._stopping = True
                self._changed.notify()
            thread.join(_LONGEST_FLUSH_S)

    def write_pending(self) -> bool:
        """Write some of what is queued; return False if the store refused it, which drops it."""
        batch = self._take()
        if not batch:
            return True
        try:
            self._store.record_shown(batch)
        except Exception as error:  # noqa: BLE001  # the thread must survive whatever a list holds
            self._drop(len(batch), error)
            return False
        self._stats.shown_recorded += len(batch)
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pending and not self._stopping:
                    self._changed.wait()
                if not self._pending:
                    return
            if not self.write_pending():
                time.sleep(_PAUSE_AFTER_FAILURE_S)

    def _queue(self, records: list[ShownRecord]) -> None:
        weight = sum(map(_weight, records))
        with self._changed:
            fits = self._weight + weight <= _MAX_PENDING_WEIGHT
            if fits:
                self._pending.extend(records)
                self._weight += weight
                self._changed.notify()
        if not fits:
            self._drop(len(records), None)

    def _take(self) -> list[ShownRecord]:
        taken: list[ShownRecord] = []
        weight = 0
        with self._changed:
            while self._pending and (not taken or weight < _MAX_BATCH_WEIGHT):
                taken.append(self._pending.popleft())
                weight += _weight(taken[-1])
            self._weight -= weight
        return taken

    def _drop(self, count: int, error: Exception | None) -> None:
        with self._changed:
            self._stats.shown_dropped += count
            now_s = time.monotonic()
            if now_s < self._next_log_s:
                return
            self._next_log_s = now_s + _LOG_EVERY_S
        reason = "the store is slower than the answers" if error is None else str(error)
        expected = error is None or isinstance(error, LikewiseError)
        get_logger().warning(
            "what was shown is not recorded", reason=reason, exc_info=None if expected else error
        )


def _weight(record: ShownRecord) -> int:
    return _RECORD_WEIGHT + len(record.shown.items)
