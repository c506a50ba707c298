"""The likes that every model has to predict: the same new likes, each from the likes before it. Pure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from consumers.prequential.probes import Probe
from likewise.evaluation.bisect.events import apply
from likewise.messages.events import Like

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from likewise.evaluation.bisect.events import Likes, LoggedEvent
    from likewise.messages.ids import ItemId, UserId

Probes = dict["UserId", list[Probe]]


def probes_after(
    events: Sequence[LoggedEvent],
    start: int,
    *,
    limit: int,
    seed: int,
    excluded: AbstractSet[UserId] = frozenset(),
) -> Probes:
    """Return at most `limit` new likes among the events from index `start` on, by user; drawn uniformly.

    A like is new if its user did not like the item right before it. Likes of excluded users are none.
    """
    new = [index for index, user_id, _ in _new_likes(events, start) if user_id not in excluded]
    drawn = set(new if len(new) <= limit else random.Random(seed).sample(new, limit))
    probes: Probes = {}
    for index, user_id, before in _new_likes(events, start):
        if index in drawn:
            event = events[index].event
            if isinstance(event, Like):
                probe = Probe(event.item_id, frozenset(before), events[index].time_ms)
                probes.setdefault(user_id, []).append(probe)
    return probes


def _new_likes(
    events: Sequence[LoggedEvent], start: int
) -> Iterator[tuple[int, UserId, set[ItemId]]]:
    """Yield the index of each new like, its user, and what the user likes before it."""
    likes: Likes = {}
    for index, one in enumerate(events):
        if index >= start and isinstance(one.event, Like):
            before = likes.get(one.event.user_id, set())
            if one.event.item_id not in before:
                yield index, one.event.user_id, before
        apply(likes, one.event)
