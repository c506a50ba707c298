"""Scores probes with the code that serves recommendations. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.prequential.stats import Outcome
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from consumers.prequential.probes import Probe
    from likewise.messages.ids import ItemId
    from likewise.ranking.model import Model

CUTOFF = 20
"""A probe is a hit if its item is among this many recommendations."""


def score(model: Model, probes: Sequence[Probe], retired: Collection[ItemId]) -> list[Outcome]:
    """Return the outcome of each probe: what a server would have recommended right before the like.

    The popular list is that of the same model without the user's likes and retired items, as a
    server gives it to an unknown user.
    """
    personal = _personal(probes)
    popular = [Query(liked=(), banned=probe.liked, count=CUTOFF) for probe in probes]
    answers = recommend(model, personal + popular, retired)
    lists = [{item.item_id for item in answer.items} for answer in answers]
    outcomes = []
    for number, item_id in enumerate(probe.item_id for probe in probes):
        is_popular = item_id in lists[number + len(probes)]
        if item_id in lists[number]:
            outcome = Outcome("hit", is_popular)
        elif item_id in model.item_rows:
            outcome = Outcome("miss", is_popular)
        else:
            outcome = Outcome("unknown_item", popular=False)
        outcomes.append(outcome)
    return outcomes


def predicted(model: Model, probes: Sequence[Probe], retired: Collection[ItemId]) -> list[bool]:
    """Return of each probe whether it is a hit."""
    answers = recommend(model, _personal(probes), retired)
    return [
        any(item.item_id == probe.item_id for item in answer.items)
        for probe, answer in zip(probes, answers, strict=True)
    ]


def _personal(probes: Sequence[Probe]) -> list[Query]:
    return [Query(liked=probe.liked, banned=probe.liked, count=CUTOFF) for probe in probes]
