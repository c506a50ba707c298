"""The evaluator: answers the sampler's questions with the current model, in a thread of its own."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager, suppress
from contextvars import copy_context
from math import ceil
from queue import Empty, Queue
from typing import TYPE_CHECKING

from consumers.prequential.sampler import Allowance, Sampler
from consumers.prequential.scoring import CUTOFF, judge
from likewise.errors import TransientError
from likewise.models.holder import ModelHolder, wait_for_first_model
from likewise.retry import StoppedError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from consumers.prequential.questions import Question
    from consumers.prequential.stats import QualityStats
    from likewise.messages.ids import ItemId
    from likewise.models.holder import ServedModel
    from likewise.store.port import LikeStore

# Questions are gathered for so long: ten at once cost hardly more than one.
_TURN_S = 0.5
# Room for what is asked while the model ranks for so long.
_LONGEST_RANKING_S = 5.0
_LOOK_INTERVAL_S = 1.0
_LOG_INTERVAL_S = 60.0


@contextmanager
def examining(
    directory: Path, store: LikeStore, samples_per_s: float, stats: QualityStats
) -> Iterator[Sampler]:
    """Answer questions for the length of a `with` block; yields what asks them.

    Nothing is asked before there is a model in `directory`. Whatever goes wrong is logged and
    ends up in no one's way.
    """
    questions: Queue[Question] = Queue(ceil(samples_per_s * _LONGEST_RANKING_S))
    stop = threading.Event()
    evaluator = PrequentialEvaluator(directory, store, questions, stats, stop=stop)
    # The log's context (the service's name) comes along.
    thread = threading.Thread(
        target=copy_context().run, args=[evaluator.run], name="evaluator", daemon=True
    )
    thread.start()
    try:
        yield Sampler(store, Allowance(samples_per_s), questions, stats)
    finally:
        stop.set()
        thread.join()


class PrequentialEvaluator:
    """Takes questions off a queue and counts how many the current model answers."""

    def __init__(
        self,
        directory: Path,
        store: LikeStore,
        questions: Queue[Question],
        stats: QualityStats,
        *,
        stop: threading.Event,
    ) -> None:
        """Read nothing yet; `stop` is what will end `run`."""
        self._directory = directory
        self._store = store
        self._questions = questions
        self._stats = stats
        self._stop = stop
        self._log = get_logger()
        self._retired_version: int | None = None
        self._retired: Collection[ItemId] = frozenset()
        self._next_look_s = 0.0
        self._next_line_s = time.monotonic() + _LOG_INTERVAL_S
        self._said = 0
        self._broken: str | None = None

    def run(self) -> None:
        """Wait for a model, then answer until told to stop. Raises nothing."""
        try:
            first = wait_for_first_model(self._directory, self._store, self._stop)
            with closing(ModelHolder(self._directory, first)) as models:
                while not self._stop.is_set():
                    self._run_once(models)
        except StoppedError:
            return
        except Exception:  # noqa: BLE001  # likes have to be applied, whatever becomes of this
            self._log.exception("quality is not measured any more; likes are applied as before")
        finally:
            self._stats.model_version = None

    def _run_once(self, models: ModelHolder) -> None:
        self._look(models)
        current = models.current()
        self._stats.model_version = current.version
        questions = self._fair(self._gather(), current)
        if questions:
            self._answer(current, questions)
        self._say()

    def _look(self, models: ModelHolder) -> None:
        """See, once a second, which model is meant and what is retired."""
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + _LOOK_INTERVAL_S
        with suppress(TransientError):  # the consumer says so itself; what is known will do
            lookup = self._store.lookup([], [])
            models.see(lookup.model_announcement)
            if lookup.retired_version != self._retired_version:
                self._retired_version, self._retired = self._store.retired()

    def _gather(self) -> list[Question]:
        """Return what is asked within a moment."""
        self._stop.wait(_TURN_S)
        questions: list[Question] = []
        with suppress(Empty):
            while True:
                questions.append(self._questions.get_nowait())
        return questions

    def _fair(self, questions: list[Question], current: ServedModel) -> list[Question]:
        """Return the questions that tell something of the model.

        A like from before the model's snapshot may be in the model: after Redis has lost it, the
        log is read again. An item that is retired is never recommended, on purpose.
        """
        fair = []
        for question in questions:
            if 0 < question.at_ms < current.snapshot_at_ms:
                self._stats.unasked["seen_by_model"] += 1
            elif question.item_id in self._retired:
                self._stats.unasked["retired_item"] += 1
            else:
                fair.append(question)
        return fair

    def _answer(self, current: ServedModel, questions: list[Question]) -> None:
        try:
            verdicts = judge(current.model, questions, self._retired)
        except Exception:  # noqa: BLE001  # the next model may be better
            self._stats.unasked["failed"] += len(questions)
            if self._broken != current.version:
                self._broken = current.version
                self._log.exception("quality can't be measured", model=current.version)
            return
        self._stats.count(verdicts)

    def _say(self) -> None:
        """Log how it stands, at most once a minute and only when there is news."""
        asked = self._stats.questions.total()
        now_s = time.monotonic()
        if asked == self._said or now_s < self._next_line_s:
            return
        self._said, self._next_line_s = asked, now_s + _LOG_INTERVAL_S
        self._log.info(
            "quality",
            **{
                f"hit_rate_at_{CUTOFF}": round(self._stats.hit_rate or 0.0, 4),
                "popular_hit_rate": round(self._stats.popular_hit_rate or 0.0, 4),
            },
            of_the_last=self._stats.window,
            model=self._stats.model_version,
        )
