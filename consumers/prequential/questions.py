"""Which likes of a batch are asked about, and what each user liked before. Pure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.events import ForgetUser, Like, Unlike

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, UserId


class Question(NamedTuple):
    """Would the model have recommended this item to somebody with these likes?

    Nothing in it says who that was. `at_ms` is the timestamp of the like's record.
    """

    item_id: ItemId
    liked: frozenset[ItemId]
    at_ms: int


def choose(events: Sequence[Event], limit: int, *, seed: int) -> dict[int, Like]:
    """Return at most `limit` likes by their place in the batch, in order; each has equal chances.

    Events that are no likes take up their share of the sample, so that the choice costs the same
    however large the batch is.
    """
    places: Sequence[int] = range(len(events))
    if limit < len(events):
        places = sorted(random.Random(seed).sample(places, limit))
    return {place: event for place in places if isinstance(event := events[place], Like)}


def questions_of(
    events: Sequence[Event],
    timestamps_ms: Sequence[int],
    chosen: Mapping[int, Like],
    before: Mapping[UserId, set[ItemId]],
) -> list[Question]:
    """Return a question for each chosen like of something that its user did not like already.

    `before` holds the likes of every chosen user before the batch. Each question's `liked` is
    what the user likes right before the like: earlier events of the batch are in, it is not.
    """
    likes = {user_id: set(items) for user_id, items in before.items()}
    questions = []
    for place, event in enumerate(events[: max(chosen, default=-1) + 1]):
        if getattr(event, "user_id", None) not in likes:
            continue
        match event:
            case Like(user_id, item_id):
                theirs = likes[user_id]
                if place in chosen and item_id not in theirs:
                    questions.append(Question(item_id, frozenset(theirs), timestamps_ms[place]))
                theirs.add(item_id)
            case Unlike(user_id, item_id):
                likes[user_id].discard(item_id)
            case ForgetUser(user_id):
                likes[user_id].clear()
    return questions
