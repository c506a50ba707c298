"""Simulated experiments: the verdict may be looked at whenever one likes, and finds what docs/experiments.md promises."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.experiments import (
    CROWD,
    Crowd,
    Events,
    alarms,
    experiment_of,
    found_after,
    looks,
    simulate,
    t_test,
)
from likewise.experiments.attribution import Memory, fold
from likewise.experiments.kept import Liked
from likewise.experiments.runs import run_of
from likewise.experiments.tally import Fields, add_fields, from_fields, to_fields
from likewise.messages.exposures import Exposure
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from likewise.messages.experiments import Experiment, Kind

pytestmark = pytest.mark.timeout(600)  # of a machine that has other work, too

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"
EXPERIMENTS = 1_000
ROW = re.compile(r"\| ([\d.]+) \| (\d+) \| ([\d,]+) \| ([\d,]+) \|")


def traffic(kind: Kind, hit_rate: float, lists: float) -> int:
    """Return the number of lists that the documentation names for a difference of 10%."""
    text = PAGE.read_text()
    [named] = [
        found.group(3 if kind == "split" else 4)
        for found in ROW.finditer(text)
        if (float(found[1]), float(found[2])) == (hit_rate, lists)
    ]
    return int(named.replace(",", ""))


@pytest.mark.parametrize(("kind", "share"), [("split", 0.5), ("split", 0.1), ("interleaved", 0.5)])
def test_at_most_one_in_twenty_equal_variants_is_ever_called_different(
    kind: Kind, share: float
) -> None:
    experiment, draw = experiment_of(kind, share), np.random.default_rng(11)
    raised, looked = 0, 0
    for number in range(EXPERIMENTS):
        # Users who return, with very unequal activity; every other crowd stops after two likes.
        crowd = CROWD._replace(most_likes=2, hit_rate=0.3) if number % 2 else CROWD
        tallies = list(looks(experiment, crowd, draw))
        raised += any(alarms(experiment, tally) for tally in tallies)
        looked += len(tallies)
    assert looked > 15 * EXPERIMENTS
    assert raised <= 0.05 * EXPERIMENTS


def test_a_test_at_a_fixed_horizon_that_is_looked_at_as_often_raises_many_false_alarms() -> None:
    experiment, draw = experiment_of("split"), np.random.default_rng(12)
    raised = sum(
        any(t_test(tally, users=True) for tally in looks(experiment, CROWD, draw))
        for _ in range(100)
    )
    assert raised > 15


@pytest.mark.parametrize(
    ("kind", "hit_rate", "lists"), [("split", 0.3, 10), ("interleaved", 0.3, 10)]
)
def test_a_difference_of_a_tenth_is_found_with_the_traffic_that_the_documentation_names(
    kind: Kind, hit_rate: float, lists: float
) -> None:
    named = traffic(kind, hit_rate, lists)
    crowd = Crowd(int(1.1 * named / lists), hit_rate, lists, tiring=1.0)
    draw = np.random.default_rng(13)
    experiments = 100
    found = [found_after(experiment_of(kind), crowd, draw) for _ in range(experiments)]
    assert sum(one is not None and one <= named for one in found) >= 0.8 * experiments


@pytest.mark.parametrize("kind", ["split", "interleaved"])
def test_attribution_counts_simulated_records_as_the_simulation_does(kind: Kind) -> None:
    experiment, crowd = experiment_of(kind), Crowd(users=200, hit_rate=0.3)
    [*_, simulated] = looks(experiment, crowd, np.random.default_rng(14))
    records = records_until(
        sum(variant.likes for variant in simulated.variants.values()),
        experiment,
        simulate(experiment, crowd, np.random.default_rng(14)),
    )
    random.Random(14).shuffle(records)

    memory, counted = Memory(), Fields()
    for start in range(0, len(records), 100):
        by_user: dict[UserId, list[Exposure | Liked]] = defaultdict(list)
        for user, record in records[start : start + 100]:
            by_user[user].append(record)
        [change] = fold([run_of(experiment)], by_user, memory).values()
        add_fields(counted, to_fields(change.tally))

    tally = from_fields(counted, simulated.variants)
    assert tally.cross == simulated.cross
    for name, variant in simulated.variants.items():
        for field in ("lists", "likes", "y2", *(("users", "n2", "ny") if kind == "split" else ())):
            assert getattr(tally.variants[name], field) == getattr(variant, field), (name, field)


def records_until(
    likes: int, experiment: Experiment, events: Events
) -> list[tuple[UserId, Exposure | Liked]]:
    """Return the records of the lists up to this like; each list has one item of each variant."""
    sequence = np.argsort(events.time, kind="stable")
    last = int(np.searchsorted(np.cumsum(events.likes[sequence]), likes))
    records: list[tuple[UserId, Exposure | Liked]] = []
    for number in sequence[: last + 1].tolist():
        user, at_ms = UserId(f"u{events.user[number]}"), int(1e6 * (1 + events.time[number]))
        treated, items = bool(events.treated[number]), (ItemId(f"a{number}"), ItemId(f"b{number}"))
        shown = Exposure(
            recommendation_id=f"r{number}",
            user_id=user,
            shown_at_ms=at_ms,
            items=items,
            models=("m",),
            experiment=experiment.name,
            variant=experiment.variants[treated].name if experiment.kind == "split" else None,
            placed_by=(0, 1) if experiment.kind == "interleaved" else (),
        )
        records.append((user, shown))
        if events.likes[number]:
            records.append((user, Liked(at_ms + 1, items[treated])))
    return records
