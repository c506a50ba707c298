"""The effect of the request options `diversity` and `novelty` on accuracy and variety."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.evaluation.metrics.lists import METRICS, coverage, intra_list_diversity, per_user
from likewise.evaluation.ranking import rank

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from indexer.progress import Progress
    from likewise.evaluation.likes.held_out import HeldOut
    from likewise.ranking.model import Model
    from likewise.ranking.queries import RowQuery

# (diversity, novelty) of a request; the first pair is the default.
_ASKED = ((0.0, 0.0), (0.3, 0.0), (0.6, 0.0), (0.0, 0.2), (0.0, 0.4), (0.3, 0.2))
_USERS = 1_000
_SHOWN = ("recall", "ndcg", "novelty", "popular_share")


@dataclass(frozen=True, slots=True)
class Traded:
    """The figures of a model at one setting of diversity and novelty."""

    diversity: float
    novelty: float
    users: int
    figures: dict[str, float]
    """By metric: means over the users, and the coverage of their lists."""
    ms_per_query: float


def trade_off(
    model: Model, held_out: HeldOut, users: NDArray[np.intp], *, k: int, progress: Progress
) -> list[Traded]:
    """Return the figures at each setting, all on the same sample of `users`."""
    users = users[:: -(-len(users) // _USERS)]
    queries = held_out.queries()
    progress.step("diversity and novelty")
    return [
        _traded(model, held_out, users, [queries[user] for user in users], asked, k, progress)
        for asked in _ASKED
    ]


def _traded(
    model: Model,
    held_out: HeldOut,
    users: NDArray[np.intp],
    queries: list[RowQuery],
    asked: tuple[float, float],
    k: int,
    progress: Progress,
) -> Traded:
    diversity, novelty = asked
    lists = rank(model, queries, k=k, progress=progress, diversity=diversity, novelty=novelty)
    means = per_user(lists.top, held_out, users).mean(axis=0)
    by_name = dict(zip(METRICS, means.tolist(), strict=True))
    within = intra_list_diversity(lists.top, held_out.fit.user_items)
    figures = {name: by_name[name] for name in _SHOWN}
    figures["coverage"] = coverage(lists.top, len(held_out.fit.item_ids))
    figures["intra_list_diversity"] = float(within.mean())
    return Traded(diversity, novelty, len(users), figures, lists.ms_per_query)
