"""Requests answered again by a given model, through the code that serves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.replies import Recommendations
from serving.answering import answer
from serving.incoming import record_id_of
from serving.querying import QuerySettings
from serving.recommendation_ids import RecommendationIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from indexer.progress import Progress
    from likewise.messages.ids import ItemId, UserId
    from likewise.models.holder import ServedModel
    from serving.incoming import OpenRequest
    from serving.store_view import BatchContext

_BATCH = 256


class PastRequest(NamedTuple):
    """A request, and what its user liked when it was made (empty where it names none)."""

    asked: OpenRequest
    likes: set[ItemId]


def answer_again(
    served: ServedModel, requests: Sequence[PastRequest], known: BatchContext, progress: Progress
) -> list[list[ItemId] | None]:
    """Return what the model would recommend to each request, in order; None for an error reply.

    Of what is `known` now, the likes are taken back to those of the request.
    """
    answers: dict[object, list[ItemId]] = {}
    ids = RecommendationIds()
    progress.expect(len(requests))
    for batch in _batches(requests):
        likes: dict[UserId, set[ItemId]] = {
            one.asked.request.user_id: one.likes
            for one in batch
            if one.asked.request.user_id is not None
        }
        replies = answer(
            served,
            [one.asked for one in batch],
            replace(known, likes=likes),
            ids=ids,
            settings=QuerySettings(),  # explains nothing: that would take most of the time
            now_ms=served.snapshot_at_ms,
        )
        for reply in replies:
            if isinstance(reply.body, Recommendations):
                answers[record_id_of(reply.record)] = [item.item_id for item in reply.body.items]
        progress.advance(len(batch))
    return [answers.get(one.asked.record_id) for one in requests]


def _batches(requests: Sequence[PastRequest]) -> Iterator[list[PastRequest]]:
    """Yield requests that can be answered together: a user's likes may differ between requests."""
    batch: list[PastRequest] = []
    users: set[UserId] = set()
    for one in requests:
        user_id = one.asked.request.user_id
        if len(batch) == _BATCH or user_id in users:
            yield batch
            batch, users = [], set()
        batch.append(one)
        if user_id is not None:
            users.add(user_id)
    if batch:
        yield batch
