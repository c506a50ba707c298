"""Ranks batches: in the loop's thread with the help of others, or whole in one of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.ranking.blocks import THIS_THREAD, Threads
from serving.answering import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from likewise.models.holder import ModelHolder
    from likewise.settings import ServingSettings
    from serving.incoming import OpenRequest
    from serving.outgoing import Reply
    from serving.stats import ServingStats
    from serving.store_view import BatchContext


class Ranker:
    """Answers batches with the current model. See docs/decisions/0014."""

    def __init__(
        self,
        models: ModelHolder,
        executor: Executor,
        settings: ServingSettings,
        stats: ServingStats,
        clock_ms: Callable[[], int],
    ) -> None:
        """`executor` has `settings.threads` threads."""
        self._models = models
        self._executor = executor
        self._shared = Threads(executor.map, settings.threads)
        self._explain_limit = settings.explain_limit
        self._stats = stats
        self._clock_ms = clock_ms

    def rank(self, batch: Sequence[OpenRequest], context: BatchContext) -> list[Reply]:
        """Return the replies to a lone batch, which all threads share. Blocks."""
        return self._answer(batch, context, self._shared)

    def submit(self, batch: Sequence[OpenRequest], context: BatchContext) -> Future[list[Reply]]:
        """Rank a batch in one thread, while the loop continues and other threads rank other batches."""
        return self._executor.submit(self._answer, batch, context, THIS_THREAD)

    def _answer(
        self, batch: Sequence[OpenRequest], context: BatchContext, threads: Threads
    ) -> list[Reply]:
        # Only this frame holds the model. The client libraries keep exceptions, those keep the
        # frames that called the library, and those would keep old models and their open files.
        served = self._models.current()
        self._stats.model_version = served.version
        self._stats.model_snapshot_at_ms = served.snapshot_at_ms
        return answer(
            served,
            batch,
            context,
            explain_limit=self._explain_limit,
            now_ms=self._clock_ms(),
            threads=threads,
        )
