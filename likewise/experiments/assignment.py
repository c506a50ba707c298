"""Which experiment a user takes part in, and in which variant: a hash, so that anybody can recompute it."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.messages.experiments import Experiment, Variant
    from likewise.messages.ids import UserId


class Assignment(NamedTuple):
    """The part of one user in an experiment; `variant` is None if the lists are interleaved."""

    experiment: Experiment
    variant: Variant | None


def unit_of(seed: str, user_id: UserId) -> float:
    """Return a number in [0, 1): the first 8 bytes of SHA-256 of `seed:user_id`, over 2^64."""
    digest = sha256(f"{seed}:{user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assigned(experiment: Experiment, user_id: UserId) -> Assignment | None:
    """Return the user's part in this experiment; None without one.

    Users below `share` take part. The same number divides them among the variants, in their order, in
    proportion to their shares. Nobody takes part in a prequential canary.
    """
    if user_id in experiment.exclude or experiment.kind == "prequential":
        return None
    unit = unit_of(experiment.seed, user_id)
    if unit >= experiment.share:
        return None
    if experiment.kind == "interleaved":
        return Assignment(experiment, None)
    total = sum(variant.share for variant in experiment.variants)
    reached = 0.0
    for variant in experiment.variants:
        reached += variant.share
        if unit / experiment.share < reached / total:
            return Assignment(experiment, variant)
    return Assignment(experiment, experiment.variants[-1])


def find_assignment(
    running: Iterable[Experiment], user_id: UserId, scenario: str | None
) -> Assignment | None:
    """Return the user's part in the first of these experiments that takes the request.

    `running` is in the order of `in_order`. An experiment of a scenario takes only its requests.
    """
    for experiment in running:
        if experiment.scenario is None or experiment.scenario == scenario:
            found = assigned(experiment, user_id)
            if found is not None:
                return found
    return None


def in_order(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Return those that run, in the order in which they take requests: of a scenario first, then the oldest."""
    running = [one for one in experiments if one.stopped_at_ms is None]
    return sorted(running, key=lambda one: (one.scenario is None, one.started_at_ms, one.name))
