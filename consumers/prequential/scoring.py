"""From questions to verdicts, through the code that serves. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.prequential.stats import Verdict
from likewise.ranking.queries import Query
from likewise.ranking.recommend import recommend

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from consumers.prequential.questions import Question
    from likewise.messages.ids import ItemId
    from likewise.ranking.model import Model

CUTOFF = 20
"""An item counts as recommended when it is among so many."""


def judge(
    model: Model, questions: Sequence[Question], retired: Collection[ItemId]
) -> list[Verdict]:
    """Return a verdict for each question: what a server would have answered right before the like.

    The popular list is that of the same model, less what the user likes and what is retired: what
    a server gives to a stranger.
    """
    personal = [Query(liked=asked.liked, banned=asked.liked, count=CUTOFF) for asked in questions]
    popular = [Query(liked=(), banned=asked.liked, count=CUTOFF) for asked in questions]
    given = recommend(model, personal + popular, retired)
    lists = [{item.item_id for item in answer.items} for answer in given]
    verdicts = []
    for number, (item_id, _, _) in enumerate(questions):
        if item_id in lists[number]:
            verdict = Verdict("hit", item_id in lists[number + len(questions)])
        elif item_id in model.item_rows:
            verdict = Verdict("miss", item_id in lists[number + len(questions)])
        else:
            verdict = Verdict("unknown_item", popular=False)
        verdicts.append(verdict)
    return verdicts
