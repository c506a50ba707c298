"""What a batch of requests needs to be answered: from the store, and from what was shown before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from serving.walks import find_walk, viewers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from likewise.models.holder import ModelHolder
    from likewise.store.shown_port import Viewer
    from serving.catalogue_follower import CatalogueFollower
    from serving.impressions import Impressions
    from serving.incoming import OpenRequest
    from serving.new_items import NewItems
    from serving.store_view import BatchContext, StoreView
    from serving.variant_models import VariantModels

T = TypeVar("T")


class AnsweringPorts(Protocol):
    """What answers are made from."""

    @property
    def store_view(self) -> StoreView: ...
    @property
    def models(self) -> ModelHolder: ...
    @property
    def impressions(self) -> Impressions: ...
    @property
    def new_items(self) -> NewItems: ...
    @property
    def catalogue(self) -> CatalogueFollower: ...
    @property
    def variants(self) -> VariantModels: ...


class Attempts(Protocol):
    """How to call the store, which may fail: `likewise.service.loop.Retrier` is one."""

    def __call__(self, attempt: Callable[[], T], /) -> T: ...


class Lookups:
    """Looks up batches, and follows the announced model. Not thread-safe."""

    def __init__(
        self, ports: AnsweringPorts, attempts: Attempts, clock_ms: Callable[[], int]
    ) -> None:
        self._ports = ports
        self._attempts = attempts
        self._clock_ms = clock_ms

    def look_up(self, requests: Sequence[OpenRequest]) -> BatchContext:
        """Return what the store holds for the requests now, and follow the announced model.

        Raises whatever `attempts` raises if the store cannot be reached.
        """
        asked = [one.request for one in requests]
        if self._ports.catalogue.experiments:
            asked += [other for one in requests if one.part for other in one.part.requests[1:]]
        users = {one.user_id for one in asked if one.user_id is not None}
        named = (one.after.partition + 1 for one in asked if one.after is not None)
        partitions = max(named, default=1)
        context = self._attempts(lambda: self._ports.store_view.look_up(users, partitions))
        self._ports.models.follow(context.announcement)
        if any(one.source == "trending" for one in asked):
            read = self._ports.store_view.trending
            trending = self._attempts(lambda: read(self._clock_ms()))
            context = replace(context, trending=trending)
        viewers = [viewer for one in asked for viewer in viewers_of(one)]
        return self._with_shown(requests, viewers, context)

    def _with_shown(
        self, requests: Iterable[OpenRequest], viewers: Sequence[Viewer], context: BatchContext
    ) -> BatchContext:
        """Return the context with what these viewers were shown, if there are any."""
        if not viewers or not self._ports.impressions.on:
            return context
        shown = self._attempts(lambda: self._ports.store_view.shown(viewers))
        found = ((one.record_id, find_walk(one.request, shown)) for one in requests)
        walks = {record_id: walk for record_id, walk in found if walk is not None}
        return replace(context, shown=shown, walks=walks)
