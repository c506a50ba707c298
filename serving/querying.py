"""From a request to the query that it is ranked by: what it counts, and what it leaves out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from likewise.ranking.queries import Query
from likewise.settings import ImpressionsSettings
from likewise.store.shown_port import Viewer
from serving.rotation import demoted
from serving.rules import rules_of
from serving.taste import never_shown, weights_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from likewise.catalogue.view import CatalogueView
    from likewise.messages.ids import ItemId
    from likewise.messages.requests import Request
    from serving.store_view import BatchContext


class QuerySettings(NamedTuple):
    """The settings that queries depend on."""

    explain_limit: int = 0
    impressions: ImpressionsSettings = ImpressionsSettings()
    weights: Mapping[str, float] = {}
    """Of the kinds of signals whose weight is not 0."""


def query_of(
    request: Request,
    context: BatchContext,
    settings: QuerySettings,
    view: CatalogueView | None = None,
    additions: Sequence[ItemId] = (),
    *,
    before: Collection[ItemId] = (),
    now_ms: int,
) -> Query:
    """Return the query that answers a request without errors; `before` are items of earlier pages."""
    likes_now = context.likes[request.user_id] if request.user_id is not None else ()
    weights = None
    if request.similar_to is not None:
        liked = frozenset([request.similar_to])
    elif request.liked is not None:
        liked = frozenset(request.liked)
    else:
        liked = frozenset(likes_now)
        if signals := context.signals_of(request.user_id):
            weights = weights_of(liked, signals, settings.weights, request.without)
    rules = rules_of(request, view, additions)
    return Query(
        liked=liked.difference(request.without) if request.without else liked,
        banned=_banned(request, context, liked, likes_now, before),
        count=request.count,
        explain=settings.explain_limit if request.explain else 0,
        diversity=request.diversity,
        novelty=request.novelty,
        fill=request.fill,
        weights=weights,
        only=None if request.only is None else frozenset(request.only),
        pins=tuple((pin.item_id, pin.place) for pin in request.pin) if request.pin else (),
        source="popular" if request.source == "popular" else "model",
        allowed=rules.allowed,
        boost=rules.boost,
        max_per=rules.max_per,
        additions=rules.additions,
        demoted=_demoted(request, context, likes_now, settings.impressions, now_ms=now_ms),
    )


def _banned(
    request: Request,
    context: BatchContext,
    liked: frozenset[ItemId],
    likes_now: Collection[ItemId],
    before: Collection[ItemId],
) -> frozenset[ItemId]:
    """Return what must not be in the answer: `liked` itself if that is all, which is faster."""
    left_out: list[Collection[ItemId]] = []
    if request.exclude:
        left_out.append(request.exclude)
    if before:
        left_out.append(before)
    if signals := context.signals_of(request.user_id):
        left_out += never_shown(signals)
    if request.include_liked:
        itself = () if request.similar_to is None else (request.similar_to,)
        return frozenset(itself).union(*left_out)
    if request.similar_to is not None:
        left_out.append(likes_now)
    return liked.union(*left_out) if left_out else liked


def _demoted(
    request: Request,
    context: BatchContext,
    likes_now: Collection[ItemId],
    settings: ImpressionsSettings,
    *,
    now_ms: int,
) -> dict[ItemId, float] | None:
    if not request.rotation or request.user_id is None:
        return None
    lists = context.shown.get(Viewer("user", request.user_id), ())
    return demoted(lists, likes_now, rotation=request.rotation, now_ms=now_ms, settings=settings)
