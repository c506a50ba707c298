"""What a user's likes and signals count in a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.messages.ids import DISLIKE, HIDE, SignalKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from likewise.messages.ids import ItemId
    from likewise.store.signals_port import SignalsOfUser

NEVER_SHOWN = frozenset({DISLIKE, HIDE})
"""Kinds of signals whose items are never shown to their user."""


def kinds_that_count(weights: Mapping[str, float]) -> frozenset[SignalKind]:
    """Return the kinds that change an answer, with these weights."""
    return NEVER_SHOWN.union(map(SignalKind, weights))


def never_shown(signals: SignalsOfUser) -> Iterator[Collection[ItemId]]:
    """Yield the items that the user dislikes or has hidden."""
    return (signals[kind] for kind in NEVER_SHOWN if kind in signals)


def weights_of(
    liked: Collection[ItemId],
    signals: SignalsOfUser,
    weights: Mapping[str, float],
    without: Collection[ItemId] = (),
) -> dict[ItemId, float] | None:
    """Return the weights of items that do not count as a like does; None if there are none.

    The largest weight of an item counts, as in the model. One below 0 takes precedence, also over
    a like.
    """
    found: dict[ItemId, float] = {}
    ordered = sorted(weights.items(), key=lambda one: (one[1] < 0, abs(one[1])))
    for kind, weight in ordered:
        found.update(dict.fromkeys(signals.get(SignalKind(kind), ()), weight))
    for item_id in without:
        found.pop(item_id, None)
    for item_id in found.keys() & frozenset(liked):
        if 0 < found[item_id] <= 1:
            del found[item_id]
    return found or None
