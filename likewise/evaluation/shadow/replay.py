"""The main path: recent requests, what their users liked then and since, and both models' answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from likewise.evaluation.shadow.answers import PastRequest, answer_again
from likewise.evaluation.shadow.comparison import Shadowed
from likewise.evaluation.shadow.history import LikeHistory, RequestTime, read_history
from likewise.evaluation.shadow.requests import read_recent
from likewise.log.topic_listing import TopicListing
from serving.store_view import StoreView

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Set as AbstractSet

    from indexer.progress import Progress
    from likewise.log.port import Broker
    from likewise.log.topics import Topics
    from likewise.messages.ids import ItemId, UserId
    from likewise.models.holder import ServedModel
    from likewise.store.port import LikeStore
    from serving.incoming import OpenRequest
    from serving.store_view import BatchContext

_USERS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class ShadowRun:
    """Requests as both models answer them, and what became of the others."""

    shadowed: list[Shadowed]
    bad: int
    """Records that are no requests."""
    forgotten: int
    """Requests of users who were forgotten since: what they liked is not known any more."""
    unanswered: int
    """Requests that neither model can answer."""


def replay(
    broker: Broker,
    store: LikeStore,
    topics: Topics,
    models: tuple[ServedModel, ServedModel],
    *,
    limit: int,
    progress: Progress,
) -> ShadowRun:
    """Return the last `limit` requests, answered by both models; no reply is sent.

    Each is answered with the likes that its user had when the request was made. A later like counts
    as a hit if it is newer than both snapshots: otherwise one of the models has seen it. Retired and
    excluded items do not count, since neither model could recommend them.

    Raises:
        LikewiseError: there are no requests on the topic.
        TransientError: a server cannot be reached.
    """
    progress.step("reading requests")
    recent = read_recent(broker, topics, limit, progress)
    progress.step("reading likes")
    view = StoreView(store, TopicListing(broker.topic_sizes), topics.likes)
    known = _look_up(view, recent.asked)  # before the history, which then reaches further
    history = _history(broker, topics, recent.asked, progress)
    requests = _taken_back(recent.asked, known, history)
    answers = []
    for name, model in zip("AB", models, strict=True):
        progress.step(f"{name}: answering")
        answers.append(answer_again(model, requests, known, progress))
    known_until_ms = max(model.snapshot_at_ms for model in models)
    shadowed = []
    for (asked, _), a, b in zip(requests, *answers, strict=True):
        if a is not None or b is not None:
            later = _later(asked, known.retired, history, known_until_ms)
            who = asked.request.user_id or asked.record_id
            shadowed.append(Shadowed(who, asked.request.count, a or [], b or [], later))
    forgotten = sum(_forgotten(one, history) for one in recent.asked)
    unanswered = len(recent.asked) - forgotten - len(shadowed)
    return ShadowRun(shadowed, recent.bad, forgotten, unanswered)


def _look_up(view: StoreView, asked: Sequence[OpenRequest]) -> BatchContext:
    users = sorted(_users(asked))
    known = view.look_up(users[:_USERS_AT_ONCE])
    likes = {**known.likes}
    for start in range(_USERS_AT_ONCE, len(users), _USERS_AT_ONCE):
        likes |= view.look_up(users[start : start + _USERS_AT_ONCE]).likes
    return replace(known, likes=likes)


def _history(
    broker: Broker, topics: Topics, asked: Sequence[OpenRequest], progress: Progress
) -> LikeHistory:
    users = _users(asked)
    if not users:
        return LikeHistory(users)
    since_ms = min(one.record.timestamp for one in asked if one.request.user_id is not None)
    progress.step("reading later likes")
    return read_history(broker, topics.likes, users, since_ms=since_ms, progress=progress)


def _taken_back(
    asked: Sequence[OpenRequest], known: BatchContext, history: LikeHistory
) -> list[PastRequest]:
    """Return the requests whose users' likes are known, with the likes of then."""
    requests = []
    for one in asked:
        user_id = one.request.user_id
        if user_id is None:
            requests.append(PastRequest(one, set()))
        elif user_id in known.likes:
            likes = history.likes_at(user_id, known.likes[user_id], _moment(one))
            if likes is not None:
                requests.append(PastRequest(one, likes))
    return requests


def _later(
    asked: OpenRequest, retired: Collection[ItemId], history: LikeHistory, known_until_ms: int
) -> AbstractSet[ItemId]:
    request = asked.request
    if request.user_id is None:
        return frozenset()
    later = history.liked_later(request.user_id, _moment(asked), known_until_ms=known_until_ms)
    return later - {*request.exclude, *retired, request.similar_to}


def _forgotten(asked: OpenRequest, history: LikeHistory) -> bool:
    user_id = asked.request.user_id
    return user_id is not None and history.likes_at(user_id, (), _moment(asked)) is None


def _moment(asked: OpenRequest) -> RequestTime:
    return RequestTime(asked.record.timestamp, asked.request.after)


def _users(asked: Sequence[OpenRequest]) -> set[UserId]:
    return {one.request.user_id for one in asked if one.request.user_id is not None}
