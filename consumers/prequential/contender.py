"""The model of a prequential canary, tested with the same likes as the current model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.prequential.scoring import predicted
from likewise.errors import LikewiseError, TransientError
from likewise.experiments.probing import Pair, fields_of
from likewise.experiments.runs import run_of
from likewise.messages.announcements import Announcement, encode_announcement
from likewise.models.holder import ModelHolder
from likewise.service.logs import get_logger
from likewise.store.attribution_port import AttributionUpdate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from consumers.prequential.probes import Probe
    from consumers.prequential.stats import Outcome
    from likewise.messages.experiments import Experiment
    from likewise.messages.ids import ItemId
    from likewise.models.holder import ServedModel
    from likewise.models.place import Place
    from likewise.store.port import LikeStore


class Contender:
    """Loads the new model while a prequential canary runs, and counts what both models predict. Not thread-safe."""

    def __init__(
        self, place: Place, store: LikeStore, canary: Callable[[], Experiment | None]
    ) -> None:
        """Load nothing yet; `canary` returns the one that runs, without I/O."""
        self._place = place
        self._store = store
        self._canary = canary
        self._experiment: Experiment | None = None
        self._models: ModelHolder | None = None
        self._failed = False
        self._log = get_logger()

    def follow(self, current: ServedModel) -> None:
        """Start to load the model of a canary that runs; release it when there is none. Returns at once."""
        experiment = self._canary()
        if experiment != self._experiment:
            self.close()
            self._experiment, self._failed = experiment, False
        if experiment is None:
            return
        if self._models is None:
            self._models = ModelHolder(self._place, current)
        self._models.follow(_announcement(experiment.variants[1].model or ""))

    def compare(
        self,
        current: ServedModel,
        probes: Sequence[Probe],
        outcomes: Sequence[Outcome],
        retired: Collection[ItemId],
    ) -> None:
        """Count which of the probes each model hits; `outcomes` are those of the current one, in order.

        Nothing is counted without a canary, before its model is loaded, or of likes from before the new
        model's snapshot, which it may know. A write that fails is not repeated, so that no like counts twice.
        """
        experiment, models = self._experiment, self._models
        if experiment is None or models is None:
            return
        contender = models.current()
        if [current.version, contender.version] != [one.model for one in experiment.variants]:
            return
        both = [
            (probe, outcome.kind == "hit")
            for probe, outcome in zip(probes, outcomes, strict=True)
            if not 0 < probe.at_ms < contender.snapshot_at_ms
        ]
        hits = self._predicted(contender, [probe for probe, _ in both], retired)
        pairs = [
            Pair(probe.group, by_current, by_contender)
            for (probe, by_current), by_contender in zip(both, hits, strict=True)
        ]
        if pairs:
            self._add(experiment, pairs)

    def close(self) -> None:
        """Release the new model. Blocks until a load that runs has ended."""
        if self._models is not None:
            self._models.close()
            self._models = None

    def _predicted(
        self, contender: ServedModel, probes: Sequence[Probe], retired: Collection[ItemId]
    ) -> list[bool]:
        """Return of each probe whether the new model hits it. A model that cannot rank hits none."""
        try:
            return predicted(contender.model, probes, retired)
        except Exception:  # noqa: BLE001  # whatever is wrong with the model, the canary has to find it
            if not self._failed:
                self._log.exception("the model of a canary cannot rank", model=contender.version)
            self._failed = True
            return [False] * len(probes)

    def _add(self, experiment: Experiment, pairs: Sequence[Pair]) -> None:
        run = run_of(experiment)
        update = AttributionUpdate(counts={run.key: fields_of(pairs, run.variants)})
        try:
            self._store.apply_attribution(update)
        except TransientError:
            pass  # the consumer reports it
        except LikewiseError as error:
            self._log.warning("sampled likes do not count for the canary", reason=str(error))


def _announcement(version: str) -> bytes:
    """Return what makes a `ModelHolder` load this version: only the version counts."""
    return encode_announcement(
        Announcement(version=version, snapshot_at_ms=0, users=0, items=0, likes=0, ranker="")
    )
