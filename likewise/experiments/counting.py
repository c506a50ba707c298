"""From lists and the places of their credited items to the counts of variants."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from likewise.experiments.tally import PLACES, ExperimentTally, VariantTally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from likewise.experiments.kept import Credited, Shown
    from likewise.experiments.runs import Run
    from likewise.messages.ids import ItemId

Totals = dict[str, dict[str, tuple[int, int]]]
"""Lists and credited pairs of one user in one run: by scenario, empty for all requests, and variant."""


@dataclass(slots=True)
class RunChange:
    """What some records change in the counts of a run."""

    tally: ExperimentTally = field(default_factory=ExperimentTally)
    items: dict[str, set[ItemId]] = field(default_factory=dict)
    """The items that were shown, by variant; some may be counted already."""
    late: int = 0
    """Records that no longer counted, because they came too late."""
    dropped: int = 0
    """Lists and likes of users who have more of them than count."""

    def counts(self, scenario: str, variant: str) -> VariantTally:
        """Return the change of one variant's counts, to be added to."""
        by_variant = self.tally.variants
        if scenario:
            by_variant = self.tally.by_scenario.setdefault(scenario, {})
        return by_variant.setdefault(variant, VariantTally())

    def note_items(self, run: Run, shown: Shown) -> None:
        """Note the items that each variant showed in this list."""
        for variant, places in _placed(run, shown):
            self.items.setdefault(variant, set()).update(shown.items[place] for place in places)


def change_counts(
    run: Run,
    totals: Totals,
    before: Mapping[str, Credited],
    after: Mapping[str, Credited],
    change: RunChange,
) -> None:
    """Add what replacing a user's lists `before` by those `after` changes, and update the user's totals.

    Both are by recommendation id.
    """
    lists: Counter[tuple[str, str]] = Counter()
    likes: Counter[tuple[str, str]] = Counter()
    for sign, these, others in ((-1, before, after), (1, after, before)):
        for name, credited in these.items():
            if others.get(name) == credited:
                continue
            for scenario in {"", credited.shown.scenario}:
                for variant, placed in _placed(run, credited.shown):
                    places = [place for place in credited.places if place in placed]
                    counts = change.counts(scenario, variant)
                    _count(counts, run, credited.shown, placed, places, sign)
                    lists[scenario, variant] += sign
                    likes[scenario, variant] += sign * len(places)
    if run.experiment is not None:
        _change_totals(run, totals, lists, likes, change)


def _placed(run: Run, shown: Shown) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield the variants that the list counts for, each with the places that it filled."""
    if not run.interleaved:
        yield shown.variant, range(len(shown.items))
        return
    for number, variant in enumerate(run.variants):
        yield variant, [place for place, by in enumerate(shown.placed_by) if by == number]


def _count(
    counts: VariantTally,
    run: Run,
    shown: Shown,
    placed: Sequence[int],
    credited: Sequence[int],
    sign: int,
) -> None:
    counts.lists += sign
    counts.shown += sign * len(placed)
    counts.likes += sign * len(credited)
    counts.hits += sign * bool(credited)
    counts.popular += 0 if run.interleaved else sign * shown.popular
    counts.latency[shown.latency] += sign
    for place in placed:
        counts.shown_at[min(place, PLACES - 1)] += sign
    for place in credited:
        counts.likes_at[min(place, PLACES - 1)] += sign


def _change_totals(
    run: Run,
    totals: Totals,
    lists: Mapping[tuple[str, str], int],
    likes: Mapping[tuple[str, str], int],
    change: RunChange,
) -> None:
    """Change the user's totals and the sums over users of their squares and products."""
    change.tally.cross -= _cross(run, totals)
    for (scenario, variant), more in lists.items():
        of_scenario = totals.setdefault(scenario, {})
        n, y = of_scenario.get(variant, (0, 0))
        n_now, y_now = n + more, y + likes[scenario, variant]
        of_scenario[variant] = n_now, y_now
        counts = change.counts(scenario, variant)
        counts.users += (n_now > 0) - (n > 0)
        counts.n2 += n_now * n_now - n * n
        counts.ny += n_now * y_now - n * y
        counts.y2 += y_now * y_now - y * y
    change.tally.cross += _cross(run, totals)


def _cross(run: Run, totals: Totals) -> int:
    if not run.interleaved:
        return 0
    first, second = (totals.get("", {}).get(variant, (0, 0))[1] for variant in run.variants)
    return first * second
