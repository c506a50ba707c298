"""From valid requests to replies: what each request is ranked by, and what its answer leaves out.

Pure, except for the log line about a request that breaks the ranking.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.replies import (
    Because,
    ErrorBody,
    ModelStamp,
    Recommendations,
    RecommendedItem,
)
from likewise.ranking.blocks import THIS_THREAD
from likewise.ranking.recommend import recommend
from likewise.service.logs import get_logger
from serving.listing import Lists
from serving.outgoing import Reply, error_reply
from serving.querying import QuerySettings, query_of
from serving.walks import MAX_WALK_ITEMS, MAX_WALK_PAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from likewise.catalogue.view import CatalogueView
    from likewise.messages.requests import Request
    from likewise.models.holder import ServedModel
    from likewise.ranking.additions import Additions
    from likewise.ranking.blocks import Threads
    from likewise.ranking.queries import Query
    from likewise.ranking.recommend import Ranked
    from serving.incoming import OpenRequest
    from serving.recommendation_ids import RecommendationIds
    from serving.store_view import BatchContext


class _Stamps(NamedTuple):
    """What marks the replies of a batch."""

    model: ModelStamp
    ids: RecommendationIds


def answer(
    served: ServedModel,
    batch: Sequence[OpenRequest],
    context: BatchContext,
    *,
    ids: RecommendationIds,
    settings: QuerySettings,
    now_ms: int,
    additions: Additions | None = None,
    view: CatalogueView | None = None,
    threads: Threads = THIS_THREAD,
) -> list[Reply]:
    """Return one reply for each request, in no particular order.

    It holds no retired item, nothing that the request excludes, no item of the pages before, and
    nothing that the user likes now unless the request asks for that. `view` is the catalogue for
    the model's items, if one of the requests needs it; `additions` are items that the model does not
    have.
    """
    replies = []
    new = () if additions is None else additions.item_ids
    ready: list[tuple[OpenRequest, Query]] = []
    for open_request in batch:
        problem = _problem(served, open_request, context)
        if problem is None:
            walk = context.walk_of(open_request)
            query = query_of(
                open_request.request,
                context,
                settings,
                view,
                new,
                before=() if walk is None else walk.items,
                now_ms=now_ms,
            )
            ready.append((open_request, query))
        else:
            replies.append(error_reply(open_request, problem))
    stamp = stamp_of(served, now_ms=now_ms)
    by_model = partial(
        recommend, served.model, retired=context.retired, additions=additions, threads=threads
    )
    ranked = (served.model.item_rows, {} if additions is None else additions.places)
    lists = Lists(context.trending, view, ranked, context.retired, now_ms)
    return replies + _rank(partial(lists.rank, by_model), ready, _Stamps(stamp, ids))


def stamp_of(served: ServedModel, *, now_ms: int) -> ModelStamp:
    """Return how replies name the model."""
    return ModelStamp(served.version, round(max(now_ms - served.snapshot_at_ms, 0) / 1000, 3))


def internal_error() -> ErrorBody:
    """Return the error for a request on which the server failed."""
    return ErrorBody("internal", "the server failed on this request; its log says more")


def _problem(
    served: ServedModel, open_request: OpenRequest, context: BatchContext
) -> ErrorBody | None:
    request = open_request.request
    if request.similar_to is not None and request.similar_to not in served.model.item_rows:
        return ErrorBody("unknown_item", "the model does not know the item in `similar_to`")
    if request.user_id is not None and request.user_id not in context.likes:
        return internal_error()
    walk = context.walk_of(open_request)
    if walk is not None and (
        walk.n_items + request.count > MAX_WALK_ITEMS or walk.number > MAX_WALK_PAGES
    ):
        return ErrorBody(
            "too_large",
            f"`next_of`: the lists before hold {walk.n_items} items on {walk.number - 1} pages; with "
            f"this page there may be up to {MAX_WALK_ITEMS} items on {MAX_WALK_PAGES} pages",
        )
    return None


def _rank(
    rank: Callable[[Sequence[tuple[Request, Query]]], list[Ranked]],
    ready: Sequence[tuple[OpenRequest, Query]],
    stamps: _Stamps,
) -> list[Reply]:
    """Rank all at once. If that fails, rank each alone, so that only the one at fault gets an error."""
    if not ready:
        return []
    try:
        ranked = rank([(one.request, query) for one, query in ready])
    except Exception:  # noqa: BLE001  # one request must never cost the others their answers
        get_logger().exception("ranking failed", requests=len(ready), model=stamps.model.version)
        if len(ready) == 1:
            return [error_reply(ready[0][0], internal_error())]
        return [reply for one in ready for reply in _rank(rank, [one], stamps)]
    return [
        _reply(open_request, answer, stamps)
        for (open_request, _), answer in zip(ready, ranked, strict=True)
    ]


def _reply(open_request: OpenRequest, ranked: Ranked, stamps: _Stamps) -> Reply:
    request = open_request.request
    explain = request.explain
    pinned = {pin.item_id for pin in request.pin} if request.pin else ()
    items = tuple(
        RecommendedItem(
            item.item_id,
            item.score,
            tuple(Because(*share) for share in item.because) if explain else None,
            pinned=item.item_id in pinned,
            explored=item.item_id in ranked.explored,
        )
        for item in ranked.items
    )
    body = Recommendations(
        items=items,
        source=ranked.source,
        model=stamps.model,
        recommendation_id=stamps.ids.new()
        if request.next_of is None
        else stamps.ids.following(request.next_of),
        scenario=request.scenario,
        user_id=request.user_id,
        request_id=open_request.route.request_id,
    )
    return Reply(open_request.record, open_request.route, body, fields=request.fields)
