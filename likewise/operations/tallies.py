"""Reading what experiments have counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.experiments.probing import tally_of_pairs
from likewise.experiments.runs import OUTSIDE, run_of
from likewise.experiments.tally import ExperimentTally, from_fields

if TYPE_CHECKING:
    from likewise.messages.experiments import Experiment
    from likewise.store.attribution_port import AttributionStore


def tally_of(store: AttributionStore, experiment: Experiment) -> ExperimentTally:
    """Return what the experiment has counted since it was started; zeros before the first list.

    Of a prequential canary, lists are sampled likes; see `tally_of_pairs`.

    Raises:
        TransientError: the store cannot be reached.
    """
    run = run_of(experiment)
    stored = store.tally(run.key, run.variants)
    if experiment.kind == "prequential":
        return tally_of_pairs(stored.fields, run.variants)
    return from_fields(stored.fields, run.variants, stored.items)


def tally_outside_experiments(store: AttributionStore) -> ExperimentTally:
    """Return the counts of lists outside experiments; all zero unless `experiments.lists` is `all`.

    Their only variant is the empty string. Users are not counted.

    Raises:
        TransientError: the store cannot be reached.
    """
    stored = store.tally(OUTSIDE, [OUTSIDE])
    return from_fields(stored.fields, [OUTSIDE], stored.items)
