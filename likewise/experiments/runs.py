"""What is counted: the runs of experiments, and the lists outside experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from likewise.experiments.assignment import unit_of

if TYPE_CHECKING:
    from likewise.messages.experiments import Experiment
    from likewise.messages.exposures import Exposure
    from likewise.messages.ids import UserId

OUTSIDE: Final = ""
"""The key of the lists outside experiments, and the name of their only variant."""


class Run(NamedTuple):
    """One run of an experiment: a name that is started again counts from zero."""

    key: str
    variants: tuple[str, ...]
    window_ms: int
    experiment: Experiment | None = None

    @property
    def interleaved(self) -> bool:
        """Whether two variants share each list."""
        return self.experiment is not None and self.experiment.kind == "interleaved"

    @property
    def shows_lists(self) -> bool:
        """Whether lists and likes count; a prequential canary shows none."""
        return self.experiment is None or self.experiment.kind != "prequential"

    @property
    def since_ms(self) -> int:
        """The time before which nothing counts."""
        return 0 if self.experiment is None else self.experiment.started_at_ms

    def takes(self, user_id: UserId) -> bool:
        """Whether the likes of this user can count.

        Users that the definition excludes are among them: they may have been shown lists before.
        """
        one = self.experiment
        return one is None or unit_of(one.seed, user_id) < one.share

    def counts(self, exposure: Exposure) -> bool:
        """Whether the list of a user whom the run takes counts; one of an unknown variant does not."""
        one = self.experiment
        if one is None:
            return exposure.experiment is None
        return (
            exposure.experiment == one.name
            and exposure.shown_at_ms >= self.since_ms
            and (self.interleaved or exposure.variant in self.variants)
        )


def run_of(experiment: Experiment) -> Run:
    """Return the run of an experiment; see `run_key`."""
    names = tuple(variant.name for variant in experiment.variants)
    return Run(run_key(experiment), names, int(1000 * experiment.window_s), experiment)


def run_key(experiment: Experiment) -> str:
    """Return the name under which the store keeps the counts of this run."""
    return f"{experiment.name}@{experiment.started_at_ms}"


def outside_experiments(window_s: float) -> Run:
    """Return the run that counts the lists of users outside experiments."""
    return Run(OUTSIDE, (OUTSIDE,), int(1000 * window_s))
