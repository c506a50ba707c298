"""Ranks batches: in the loop's thread with the help of others, or whole in one of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.ranking.blocks import THIS_THREAD, Threads
from serving.answering import answer
from serving.answering_about_users import answer_about_users
from serving.experiments import Experiments
from serving.querying import QuerySettings
from serving.recommendation_ids import RecommendationIds
from serving.rules import asks_for_catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from likewise.models.holder import ServedModel
    from likewise.settings import Settings
    from serving.incoming import OpenRequest
    from serving.lookups import AnsweringPorts
    from serving.outgoing import Reply
    from serving.stats import AnsweringStats
    from serving.store_view import BatchContext


class Ranker:
    """Answers batches with the current model. See docs/decisions/0014."""

    def __init__(
        self,
        ports: AnsweringPorts,
        executor: Executor,
        threads: int,
        settings: Settings,
        stats: AnsweringStats,
        clock_ms: Callable[[], int],
    ) -> None:
        """`executor` has so many `threads`."""
        self._models = ports.models
        self._store_view = ports.store_view
        self._catalogue = ports.catalogue
        self._impressions = ports.impressions
        self._new_items = ports.new_items
        self._executor = executor
        self._shared = Threads(executor.map, threads)
        self._experiments = Experiments(
            ports.catalogue, ports.variants, settings.experiments, stats, clock_ms
        )
        self._settings = QuerySettings(
            settings.serving.explain_limit, settings.impressions, settings.signals.weights
        )
        self._ids = RecommendationIds()
        self._stats = stats
        self._clock_ms = clock_ms

    def rank(
        self,
        batch: Sequence[OpenRequest],
        context: BatchContext,
        served: ServedModel | None = None,
    ) -> list[Reply]:
        """Return the replies to a lone batch, which all threads share. Blocks.

        `served` is the model to rank by, if it is not the current one.
        """
        return self._answer(batch, context, served, self._shared)

    def rank_here(
        self,
        batch: Sequence[OpenRequest],
        context: BatchContext,
        served: ServedModel | None = None,
    ) -> list[Reply]:
        """Return the replies to a batch, which the calling thread ranks alone; see `rank`."""
        return self._answer(batch, context, served, THIS_THREAD)

    def submit(self, batch: Sequence[OpenRequest], context: BatchContext) -> Future[list[Reply]]:
        """Rank a batch in one thread, while the loop continues and other threads rank other batches."""
        return self._executor.submit(self.rank_here, batch, context)

    def answer_about_users(self, asked: OpenRequest) -> Reply:
        """Return the reply to a request with `users_for` or `users_like`. Reads the store.

        Raises:
            TransientError: the store cannot be reached.
        """
        return answer_about_users(
            self._models.current(),
            asked,
            self._store_view.current,
            self._store_view.kinds_in_use,
            recommendation_id=self._ids.new(),
            now_ms=self._clock_ms(),
        )

    def _answer(
        self,
        batch: Sequence[OpenRequest],
        context: BatchContext,
        other: ServedModel | None,
        threads: Threads,
    ) -> list[Reply]:
        # Only this frame holds the model. The client libraries keep exceptions, those keep the
        # frames that called the library, and those would keep old models and their open files.
        served = other or self._models.current()
        if other is None:
            self._stats.model_version = served.version
            self._stats.model_snapshot_at_ms = served.snapshot_at_ms
        now_ms = self._clock_ms()

        def rank(some: Sequence[OpenRequest], by: ServedModel) -> list[Reply]:
            needs_catalogue = any(asks_for_catalogue(one.request) for one in some)
            return answer(
                by,
                some,
                context,
                ids=self._ids,
                settings=self._settings,
                now_ms=now_ms,
                additions=self._new_items.for_model(by.version),
                view=self._catalogue.view(by.model) if needs_catalogue else None,
                threads=threads,
            )

        if other is None and self._experiments.on:
            replies = self._experiments.answer(batch, served, rank)
        else:
            replies = rank(batch, served)
        self._impressions.note(batch, replies, context.walks, now_ms=now_ms)
        return replies
