"""Answers requests that take part in experiments: by their variant, or by two whose lists are merged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from likewise.messages.exposures import Exposure
from likewise.messages.ids import UserId
from likewise.messages.replies import Recommendations
from serving.merging import merged
from serving.outgoing import record_id_of_outgoing
from serving.participation import may_take_part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from likewise.messages.experiments import Experiment
    from likewise.models.holder import ServedModel
    from likewise.settings.experiments import ExperimentSettings
    from serving.catalogue_follower import CatalogueFollower
    from serving.incoming import OpenRequest, RecordId
    from serving.outgoing import Reply
    from serving.participation import Participation
    from serving.stats import AnsweringStats
    from serving.variant_models import VariantModels

    Rank = Callable[[Sequence[OpenRequest], ServedModel], list[Reply]]


class _Plan(NamedTuple):
    """The models that rank a request, and whether its list counts for its experiment."""

    models: tuple[ServedModel, ...]
    counts: bool = False


class Experiments:
    """Answers batches while there are experiments. Thread-safe."""

    def __init__(
        self,
        catalogue: CatalogueFollower,
        variants: VariantModels,
        settings: ExperimentSettings,
        stats: AnsweringStats,
        clock_ms: Callable[[], int],
    ) -> None:
        self._catalogue = catalogue
        self._variants = variants
        self._all_lists = settings.lists == "all"
        self._stats = stats
        self._clock_ms = clock_ms

    @property
    def on(self) -> bool:
        """Whether an experiment runs, or all lists are exposed. Otherwise `answer` changes nothing."""
        return bool(self._catalogue.experiments) or self._all_lists

    def answer(self, batch: Sequence[OpenRequest], current: ServedModel, rank: Rank) -> list[Reply]:
        """Return one reply for each request; `rank` ranks some of them by a model.

        A reply that counts names its experiment, and has an exposure. If a model of an experiment is not
        loaded, none of its lists counts: users of one variant alone would not be a fair sample.
        """
        running = self._catalogue.experiments
        plans = [self._plan(asked.part, current, running) for asked in batch]
        first, second = _ranked(batch, plans, rank)
        now_ms = self._clock_ms()
        return [
            self._finished(asked, plan, first[at], second.get(at), now_ms=now_ms)
            for asked, plan in zip(batch, plans, strict=True)
            for at in [asked.record_id]
        ]

    def _plan(
        self, part: Participation | None, current: ServedModel, running: Sequence[Experiment]
    ) -> _Plan:
        if (
            part is None or part.experiment not in running
        ):  # it was stopped after the request was read
            return _Plan((current,))
        loaded = {
            variant.name: served
            for variant in part.experiment.variants
            if (served := self._variants.of(variant, current)) is not None
        }
        if len(loaded) < len(part.experiment.variants):
            self._stats.lists_not_counted += 1
            return _Plan((loaded.get(part.variants[0].name, current),))
        return _Plan(tuple(loaded[variant.name] for variant in part.variants), counts=True)

    def _finished(
        self, asked: OpenRequest, plan: _Plan, first: Reply, second: Reply | None, *, now_ms: int
    ) -> Reply:
        """Return the reply that the user gets, with its exposure if the list counts."""
        body, part = first.body, asked.part
        if not isinstance(body, Recommendations):
            return first
        if part is None:
            counts = self._all_lists and may_take_part(asked.request)
            return _exposed(first, body, asked, plan, now_ms=now_ms) if counts else first
        if not plan.counts:
            return first
        name = part.experiment.name
        if second is None:
            body = structs.replace(body, experiment=name, variant=part.variants[0].name)
            return _exposed(first, body, asked, plan, now_ms=now_ms)
        if not isinstance(second.body, Recommendations):
            return first
        needs_view = asked.request.max_per is not None
        view = self._catalogue.view(plan.models[0].model) if needs_view else None
        body, placed_by = merged(asked.request, body, second.body, view)
        body = structs.replace(body, experiment=name)
        return _exposed(first, body, asked, plan, placed_by, now_ms=now_ms)


def _ranked(
    batch: Sequence[OpenRequest], plans: Sequence[_Plan], rank: Rank
) -> tuple[dict[RecordId, Reply], dict[RecordId, Reply]]:
    """Return the replies of the first ranking of each request, and those of the second where there is one.

    What one model ranks is ranked together.
    """
    groups: dict[tuple[int, int], tuple[ServedModel, list[OpenRequest]]] = {}
    for asked, plan in zip(batch, plans, strict=True):
        for place, served in enumerate(plan.models):
            group = groups.setdefault((place, id(served)), (served, []))
            if place and asked.part is not None:
                group[1].append(replace(asked, request=asked.part.requests[place]))
            else:
                group[1].append(asked)
    found: tuple[dict[RecordId, Reply], dict[RecordId, Reply]] = ({}, {})
    for (place, _), (served, some) in groups.items():
        found[place].update((record_id_of_outgoing(one), one) for one in rank(some, served))
    return found


def _exposed(
    reply: Reply,
    body: Recommendations,
    asked: OpenRequest,
    plan: _Plan,
    placed_by: tuple[int, ...] = (),
    *,
    now_ms: int,
) -> Reply:
    """Return the reply with this body and the exposure of its list."""
    items = tuple(item.item_id for item in body.items)
    popular = plan.models[0].model.most_popular
    exposure = Exposure(
        recommendation_id=body.recommendation_id,
        user_id=asked.request.user_id or UserId(""),
        shown_at_ms=now_ms,
        items=items,
        models=tuple(served.version for served in plan.models),
        experiment=body.experiment,
        variant=body.variant,
        scenario=body.scenario,
        placed_by=placed_by,
        latency_ms=float(max(now_ms - asked.received_at_ms, 0)),
        popular=sum(item in popular for item in items),
    )
    return replace(reply, body=body, exposure=exposure)
