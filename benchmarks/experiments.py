"""Experiments: how often equal variants raise a false alarm, and how much traffic a difference of 10% needs.

python -m benchmarks.experiments        # prints the tables of docs/experiments.md; some minutes

Users arrive at any time, return as often as they like (log-normal), like by their own habit (beta) and tire.
Tallies are those of the lists so far at every hundredth like; the verdict is that of likewise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

import numpy as np
import typer
from numpy.typing import NDArray

from likewise.experiments.tally import ExperimentTally, VariantTally
from likewise.experiments.verdict import verdict_of
from likewise.messages.experiments import Experiment, Kind, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

Numbers: TypeAlias = NDArray[np.int64]

EVERY_LIKES = 100
DIFFERENCE = 0.1
POWER = 0.85
"""Of the named traffic: a little above the promised 80%, because it is an estimate itself."""
_Z = 1.96
"""What a test at a fixed horizon compares with, for 5% of false alarms at one look."""


class Crowd(NamedTuple):
    """How users behave. They arrive evenly over the time of the experiment."""

    users: int
    hit_rate: float = 0.1
    """Likes of a list of the control, of a user who has not tired."""
    lists: float = 10.0
    """Lists of a user, on average."""
    activity: float = 1.0
    """The sigma of their log-normal distribution."""
    habit: float = 0.7
    """The coefficient of variation of the users' hit rates."""
    tiring: float = 0.98
    """What is left of the hit rate after each list."""
    most_likes: int = 1_000_000
    """How many likes a user makes, at most."""


CROWD = Crowd(users=1_500, hit_rate=0.2)
"""Users whose 3,000 likes or so are looked at thirty times."""


class Events(NamedTuple):
    """Every list of one simulated experiment, one user after another."""

    lists: Numbers
    """Of each user."""
    user: Numbers
    time: NDArray[np.float64]
    order: Numbers
    """How many lists the user had before."""
    treated: NDArray[np.bool_]
    """Split: whether the user has the variant. Interleaved: whether a like goes to the variant."""
    likes: Numbers


def experiment_of(kind: Kind, share: float = 0.5) -> Experiment:
    """Return an experiment whose variant has this share of the users."""
    variants = (Variant(name="control", share=1 - share), Variant(name="variant", share=share))
    return Experiment(name="simulated", kind=kind, variants=variants, seed="s", started_at_ms=0)


def looks(
    experiment: Experiment, crowd: Crowd, draw: np.random.Generator, difference: float = 0.0
) -> Iterator[ExperimentTally]:
    """Yield the tallies at every hundredth like, of a variant that users like so much more than the control."""
    events = simulate(experiment, crowd, draw, difference)
    columns = _split(events) if experiment.kind == "split" else _interleaved(events)
    sequence = np.argsort(events.time, kind="stable")
    likes = np.cumsum(events.likes[sequence])
    at = np.searchsorted(likes, np.arange(EVERY_LIKES, likes[-1] + 1, EVERY_LIKES))
    seen = {name: np.cumsum(column[sequence])[at].tolist() for name, column in columns.items()}
    for row in zip(*seen.values(), strict=True):
        yield _tally(dict(zip(seen, row, strict=True)))


def alarms(experiment: Experiment, tally: ExperimentTally) -> bool:
    """Return whether the verdict calls the variant better or worse."""
    return verdict_of(experiment, tally).comparisons[0].decision in {"better", "worse"}


def found_after(experiment: Experiment, crowd: Crowd, draw: np.random.Generator) -> int | None:
    """Return after how many lists a variant that users like 10% more is called better; None if it never is."""
    for tally in looks(experiment, crowd, draw, DIFFERENCE):
        if verdict_of(experiment, tally).comparisons[0].decision == "better":
            return lists_of(experiment, tally)
    return None


def lists_of(experiment: Experiment, tally: ExperimentTally) -> int:
    """Return the number of lists; an interleaved one is counted for both variants."""
    counts = [variant.lists for variant in tally.variants.values()]
    return sum(counts) if experiment.kind == "split" else counts[0]


def t_test(tally: ExperimentTally, *, users: bool) -> bool:
    """Return whether a t-test at 5% finds a difference: of users, or as if lists were independent of each other."""
    difference, variance = 0.0, 0.0
    for sign, side in zip((-1, 1), tally.variants.values(), strict=True):
        if not side.lists:
            return False
        rate = side.likes / side.lists
        difference += sign * rate
        residuals = side.y2 - 2 * rate * side.ny + rate * rate * side.n2
        variance += (residuals if users else side.likes * (1 - rate)) / side.lists**2
    return bool(difference**2 > _Z**2 * variance)


def simulate(
    experiment: Experiment, crowd: Crowd, draw: np.random.Generator, difference: float = 0.0
) -> Events:
    """Return the lists and likes of one experiment; see `looks`."""
    activity = draw.lognormal(-(crowd.activity**2) / 2, crowd.activity, crowd.users)
    lists = 1 + draw.poisson((crowd.lists - 1) * activity)
    spread = (1 - crowd.hit_rate) / crowd.hit_rate / crowd.habit**2 - 1
    habit = draw.beta(crowd.hit_rate * spread, (1 - crowd.hit_rate) * spread, crowd.users)
    user = np.repeat(np.arange(crowd.users), lists)
    order = _before(np.ones_like(user), lists)
    rate = habit[user] * crowd.tiring**order
    share = experiment.variants[1].share
    if experiment.kind == "split":
        treated = (draw.random(crowd.users) < share)[user]
        rate = np.where(treated, rate * (1 + difference), rate)
    else:  # each variant fills half of a list
        treated = draw.random(len(user)) < (1 + difference) / (2 + difference)
        rate = rate * (1 + difference / 2)
    liked = (draw.random(len(user)) < rate).astype(np.int64)
    liked[_before(liked, lists) >= crowd.most_likes] = 0
    arrival = draw.random(crowd.users)
    time = arrival[user] + (order + draw.random(len(user))) / (2 * crowd.lists * activity[user])
    return Events(lists, user, time, order, treated, liked)


def _before(values: Numbers, lists: Numbers) -> Numbers:
    """Return the sums of the user's earlier values, [events]."""
    sums = np.cumsum(values) - values
    return np.asarray(sums - np.repeat(sums[np.cumsum(lists) - lists], lists))


def _split(events: Events) -> dict[str, Numbers]:
    """Return what each list adds to the sums of a `VariantTally`, by side and name."""
    y, likes, n = _before(events.likes, events.lists), events.likes, events.order
    added = {
        "users": (n == 0).astype(np.int64),
        "lists": np.ones_like(n),
        "likes": likes,
        "n2": 2 * n + 1,
        "ny": y + likes * (n + 1),
        "y2": likes * (2 * y + 1),
    }
    sides = {"control": ~events.treated, "variant": events.treated}
    return {
        f"{side}.{name}": column * members
        for side, members in sides.items()
        for name, column in added.items()
    }


def _interleaved(events: Events) -> dict[str, Numbers]:
    """Return what each list adds to the sums, by side and name, and to `cross`."""
    variant = events.likes * events.treated
    control = events.likes - variant
    y, z = _before(control, events.lists), _before(variant, events.lists)
    lists = np.ones_like(control)
    return {
        "control.lists": lists,
        "control.likes": control,
        "control.y2": control * (2 * y + 1),
        "variant.lists": lists,
        "variant.likes": variant,
        "variant.y2": variant * (2 * z + 1),
        "cross": variant * y + control * z,
    }


def _tally(sums: dict[str, int]) -> ExperimentTally:
    tally = ExperimentTally({"control": VariantTally(), "variant": VariantTally()})
    for name, value in sums.items():
        side, _, field = name.partition(".")
        if field:
            setattr(tally.variants[side], field, value)
        else:
            tally.cross = value
    return tally


_HIT_RATES = (0.05, 0.1, 0.3)
_LISTS = (1.0, 10.0, 50.0)
_LIKES = 8_000
"""A little more than are needed where users come once."""


def _needed(kind: Kind, hit_rate: float, lists: float, experiments: int) -> float:
    """Return after how many lists the difference is found with a probability of `POWER`, to two digits."""
    crowd = Crowd(0, hit_rate, lists, tiring=1.0)
    # As many users as are needed and a few more, so that most have made all their lists by then.
    again = crowd.habit**2 * (1 + lists * math.exp(crowd.activity**2))
    likes = _LIKES * (1 + hit_rate * (again - 1)) if kind == "split" else _LIKES
    crowd = crowd._replace(users=int(likes / hit_rate / lists))
    draw = np.random.default_rng(1)
    found = [found_after(experiment_of(kind), crowd, draw) for _ in range(experiments)]
    lists_needed = np.quantile([one or np.inf for one in found], POWER, method="higher")
    return float(f"{lists_needed:.2g}")


def _traffic(experiments: int) -> None:
    typer.echo("| likes a list | lists a user | split | interleaved |\n| --- | --- | --- | --- |")
    for hit_rate in _HIT_RATES:
        for lists in _LISTS:
            split = _needed("split", hit_rate, lists, experiments)
            shared = _needed("interleaved", hit_rate, lists, experiments)
            typer.echo(f"| {hit_rate} | {lists:.0f} | {split:,.0f} | {shared:,.0f} |")


def _false_alarms(experiments: int) -> None:
    typer.echo("| users | verdict | t-test of users | t-test of lists |\n| --- | --- | --- | --- |")
    for share in (0.5, 0.1):
        experiment, draw = experiment_of("split", share), np.random.default_rng(1)
        raised = np.zeros(3)
        for _ in range(experiments):
            tallies = list(looks(experiment, CROWD, draw))
            raised += (
                any(alarms(experiment, tally) for tally in tallies),
                any(t_test(tally, users=True) for tally in tallies),
                any(t_test(tally, users=False) for tally in tallies),
            )
        cells = " | ".join(f"{share:.1%}" for share in raised / experiments)
        typer.echo(f"| {1 - share:.0%} and {share:.0%} | {cells} |")


def main(
    experiments: Annotated[int, typer.Option(help="How many to simulate for each figure.")] = 200,
) -> None:
    """Print the tables."""
    _false_alarms(experiments)
    _traffic(experiments)


if __name__ == "__main__":
    typer.run(main)
