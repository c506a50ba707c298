"""From valid requests to replies: what each request is ranked by, and what its answer leaves out.

Pure, except for the log line about a request that breaks the ranking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.messages.replies import (
    Because,
    ErrorBody,
    ModelStamp,
    Recommendations,
    RecommendedItem,
)
from likewise.ranking.blocks import THIS_THREAD
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend
from likewise.service.logs import get_logger
from serving.outgoing import Reply, error_reply

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from likewise.messages.ids import ItemId
    from likewise.messages.requests import Request
    from likewise.models.holder import ServedModel
    from likewise.ranking.blocks import Threads
    from likewise.ranking.recommend import Ranked
    from serving.incoming import OpenRequest
    from serving.store_view import BatchContext


def answer(
    served: ServedModel,
    batch: Sequence[OpenRequest],
    context: BatchContext,
    *,
    explain_limit: int,
    now_ms: int,
    threads: Threads = THIS_THREAD,
) -> list[Reply]:
    """Return one reply for each request, in no particular order.

    It holds no retired item, nothing that the request excludes, and nothing that the user likes now
    unless the request asks for that.
    """
    replies = []
    ready: list[tuple[OpenRequest, Query]] = []
    for open_request in batch:
        problem = _problem(served, open_request, context)
        if problem is None:
            ready.append((open_request, _query(open_request, context, explain_limit)))
        else:
            replies.append(error_reply(open_request, problem))
    stamp = ModelStamp(served.version, round(max(now_ms - served.snapshot_at_ms, 0) / 1000, 3))
    return replies + _rank(served, ready, context, stamp, threads)


def _problem(
    served: ServedModel, open_request: OpenRequest, context: BatchContext
) -> ErrorBody | None:
    request = open_request.request
    if request.similar_to is not None and request.similar_to not in served.model.item_rows:
        return ErrorBody("unknown_item", "the model does not know the item in `similar_to`")
    if request.user_id is not None and request.user_id not in context.likes:
        return _internal_error()
    return None


def _query(open_request: OpenRequest, context: BatchContext, explain_limit: int) -> Query:
    request = open_request.request
    likes_now = context.likes[request.user_id] if request.user_id is not None else ()
    if request.similar_to is not None:
        liked = frozenset([request.similar_to])
    elif request.liked is not None:
        liked = frozenset(request.liked)
    else:
        liked = frozenset(likes_now)
    return Query(
        liked=liked,
        banned=_banned(request, liked, likes_now),
        count=request.count,
        explain=explain_limit if request.explain else 0,
        diversity=request.diversity,
        novelty=request.novelty,
        fill=request.fill,
    )


def _banned(
    request: Request, liked: frozenset[ItemId], likes_now: Collection[ItemId]
) -> frozenset[ItemId]:
    """Return what must not be in the answer: `liked` itself if that is all, which is faster."""
    if request.include_liked:
        itself = () if request.similar_to is None else (request.similar_to,)
        return frozenset((*itself, *request.exclude))
    also = (*request.exclude, *(likes_now if request.similar_to is not None else ()))
    return liked.union(also) if also else liked


def _rank(
    served: ServedModel,
    ready: Sequence[tuple[OpenRequest, Query]],
    context: BatchContext,
    stamp: ModelStamp,
    threads: Threads,
) -> list[Reply]:
    """Rank all at once. If that fails, rank each alone, so that only the one at fault gets an error."""
    if not ready:
        return []
    try:
        queries = [query for _, query in ready]
        ranked = recommend(served.model, queries, context.retired, threads=threads)
    except Exception:  # noqa: BLE001  # one request must never cost the others their answers
        get_logger().exception("ranking failed", requests=len(ready), model=served.version)
        if len(ready) == 1:
            return [error_reply(ready[0][0], _internal_error())]
        return [reply for one in ready for reply in _rank(served, [one], context, stamp, threads)]
    return [
        _reply(open_request, answer, stamp)
        for (open_request, _), answer in zip(ready, ranked, strict=True)
    ]


def _reply(open_request: OpenRequest, ranked: Ranked, stamp: ModelStamp) -> Reply:
    explain = open_request.request.explain
    items = tuple(
        RecommendedItem(
            item.item_id,
            item.score,
            tuple(Because(*share) for share in item.because) if explain else None,
        )
        for item in ranked.items
    )
    body = Recommendations(
        items=items,
        source=ranked.source,
        model=stamp,
        user_id=open_request.request.user_id,
        request_id=open_request.route.request_id,
    )
    return Reply(open_request.record, open_request.route, body)


def _internal_error() -> ErrorBody:
    return ErrorBody("internal", "the server failed on this request; its log says more")
