"""Answers to `users_for` and `users_like`: users of the model, ranked again by their current likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from likewise.messages.ids import DISLIKE, HIDE, ItemId, ItemRow, UserId
from likewise.messages.replies import ErrorBody, RankedUser
from likewise.ranking.similar_users import Candidates, item_scores, users_for, users_like

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from likewise.messages.ids import SignalKind
    from likewise.messages.requests import Request
    from likewise.ranking.model import Model
    from likewise.store.signals_port import SignalsOfUser

# Candidates per user asked for: some have liked the item since, or been forgotten.
_CANDIDATES_PER_USER = 2
_MORE_CANDIDATES = 20

Users = tuple[RankedUser, ...]


class CurrentState(Protocol):
    """The part of the store that holds what users like and dislike now."""

    def liked_items(self, users: Sequence[UserId]) -> Sequence[Collection[ItemId]]:
        """See `LikeStore`."""

    def signals(
        self, users: Sequence[UserId], kinds: Collection[SignalKind]
    ) -> Sequence[SignalsOfUser]:
        """See `SignalStore`."""


class _Candidate(NamedTuple):
    user_id: UserId
    score: float
    likes: Collection[ItemId]


def users_by_taste(
    model: Model, request: Request, state: CurrentState, kinds: Collection[SignalKind]
) -> Users | ErrorBody:
    """Return the users that the request asks for, best first. Two round trips to the store at most.

    Only users who still have likes. `users_for` leaves out who likes, dislikes or hides the item,
    `users_like` the user in question.

    Raises:
        TransientError: the store cannot be reached.
    """
    if model.user_ids is None:
        return ErrorBody(
            "no_user_ids", "the model holds no user ids; set model.user_ids and build a model"
        )
    if request.users_for is None:
        return _users_like(model, request, state)
    row = model.item_rows.get(request.users_for)
    if row is None:
        return ErrorBody("unknown_item", "the model does not know the item in `users_for`")
    return _users_for(model, request.users_for, row, request.count, state, kinds)


def _users_like(model: Model, request: Request, state: CurrentState) -> Users:
    (liked,) = state.liked_items([request.users_like or UserId("")])
    found = users_like(model, liked, _with_spare(request.count))
    candidates = _candidates(model, found, state)
    return tuple(
        RankedUser(one.user_id, one.score)
        for one in candidates
        if one.user_id != request.users_like
    )[: request.count]


def _users_for(
    model: Model,
    item_id: ItemId,
    row: ItemRow,
    count: int,
    state: CurrentState,
    kinds: Collection[SignalKind],
) -> Users:
    found = users_for(model, row, _with_spare(count))
    candidates = [one for one in _candidates(model, found, state) if item_id not in one.likes]
    if refusals := {DISLIKE, HIDE}.intersection(kinds):
        signals = state.signals([one.user_id for one in candidates], refusals)
        candidates = [
            one
            for one, theirs in zip(candidates, signals, strict=True)
            if not any(item_id in items for items in theirs.values())
        ]
    scores = item_scores(model, row, [one.likes for one in candidates])
    best = np.argsort(-scores, kind="stable")[:count].tolist()
    return tuple(
        RankedUser(candidates[place].user_id, float(scores[place]))
        for place in best
        if scores[place] > 0
    )


def _candidates(model: Model, found: Candidates, state: CurrentState) -> list[_Candidate]:
    """Return the users of these rows who still have likes, with those."""
    user_ids = model.user_ids or []
    users = [user_ids[row] for row in found.rows]
    likes = state.liked_items(users)
    return [
        _Candidate(user, score, liked)
        for user, score, liked in zip(users, found.scores.tolist(), likes, strict=True)
        if liked
    ]


def _with_spare(count: int) -> int:
    return _CANDIDATES_PER_USER * count + _MORE_CANDIDATES
