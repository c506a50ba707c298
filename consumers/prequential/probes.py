"""Which likes of a batch are sampled, and what each user liked before. Pure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

from likewise.experiments.probing import group_of
from likewise.messages.events import ForgetUser, Like, Unlike

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.messages.events import Event
    from likewise.messages.ids import ItemId, UserId


class Probe(NamedTuple):
    """A new like to predict from the likes before it: is the item among the recommendations?

    It does not name the user, whose group `group_of` returns. `at_ms` is the timestamp of the like's record.
    """

    item_id: ItemId
    liked: frozenset[ItemId]
    at_ms: int
    group: int = 0


def sample(events: Sequence[Event], limit: int, *, seed: int) -> dict[int, Like]:
    """Return at most `limit` likes by their index in the batch, in order, chosen uniformly.

    Other events use up their share of the sample, so that the cost does not depend on the size of
    the batch.
    """
    indexes: Sequence[int] = range(len(events))
    if limit < len(events):
        indexes = sorted(random.Random(seed).sample(indexes, limit))
    return {index: event for index in indexes if isinstance(event := events[index], Like)}


def probes_of(
    events: Sequence[Event],
    timestamps_ms: Sequence[int],
    sampled: Mapping[int, Like],
    before: Mapping[UserId, set[ItemId]],
) -> list[Probe]:
    """Return a probe for each sampled like of an item that its user did not like yet.

    `before` holds the likes of every sampled user before the batch. `Probe.liked` is what the user
    likes right before the like: it includes earlier events of the batch, but not the like itself.
    """
    likes = {user_id: set(items) for user_id, items in before.items()}
    probes = []
    for index, event in enumerate(events[: max(sampled, default=-1) + 1]):
        if getattr(event, "user_id", None) not in likes:
            continue
        match event:
            case Like(user_id, item_id):
                liked = likes[user_id]
                if index in sampled and item_id not in liked:
                    probes.append(
                        Probe(item_id, frozenset(liked), timestamps_ms[index], group_of(user_id))
                    )
                liked.add(item_id)
            case Unlike(user_id, item_id):
                likes[user_id].discard(item_id)
            case ForgetUser(user_id):
                likes[user_id].clear()
    return probes
