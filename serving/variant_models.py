"""The models of running experiments, next to the current one.

A thread loads what the variants name, and releases it when no running experiment names it any more.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from likewise.errors import ModelFileError, ModelStoreError
from likewise.models.holder import load_model
from likewise.service.logs import get_logger
from serving.alternatives import Alternatives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.messages.experiments import Experiment, Variant
    from likewise.models.holder import ModelHolder, ServedModel
    from likewise.models.place import Place

LOOK_EVERY_S = 0.5
RETRY_EVERY_S = 10.0


class Running(Protocol):
    """Knows the running experiments: `serving.catalogue_follower.CatalogueFollower` is one."""

    @property
    def experiments(self) -> tuple[Experiment, ...]: ...


class _Named(NamedTuple):
    """How a variant names its model."""

    version: str | None
    ranker: str | None

    @classmethod
    def by(cls, variant: Variant) -> Self | None:
        """Return the name in a variant; None if the current model answers."""
        if variant.model is None and variant.ranker is None:
            return None
        return cls(variant.model, variant.ranker)


class VariantModels:
    """The models that the variants of running experiments name. Thread-safe."""

    def __init__(
        self,
        place: Place,
        running: Running,
        models: ModelHolder,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read nothing yet. `place` is that of the models."""
        self._place = place
        self._running = running
        self._models = models
        self._clock_s = clock_s
        self._alternatives = Alternatives(place, clock_s=clock_s)
        self._loaded: dict[_Named, ServedModel] = {}
        # Names of models that cannot be loaded, and when to try again.
        self._missing: dict[_Named, float] = {}
        self._left = threading.Event()

    def of(self, variant: Variant, current: ServedModel) -> ServedModel | None:
        """Return the model that answers for a variant; None until it is loaded. No I/O."""
        named = _Named.by(variant)
        return current if named is None else self._loaded.get(named)

    def look(self) -> None:
        """Load what running experiments name, and release the rest. Blocks while models are loaded."""
        variants = [one for experiment in self._running.experiments for one in experiment.variants]
        wanted = {named: None for one in variants if (named := _Named.by(one)) is not None}
        if not wanted and not self._loaded and not self._missing:
            return
        self._alternatives.keep_only({named.ranker for named in wanted})
        self._loaded = {named: one for named, one in self._loaded.items() if named in wanted}
        self._missing = {named: at for named, at in self._missing.items() if named in wanted}
        for named in wanted:
            found = self._found(named)
            if found is not None:
                self._loaded = {**self._loaded, named: found}  # replaced, because others read it
                self._missing.pop(named, None)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Look every half second in a thread during a `with` block."""
        thread = threading.Thread(target=self._run, name="variant-models", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._left.set()
            thread.join()

    def _run(self) -> None:
        while not self._left.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception:  # noqa: BLE001  # whatever is wrong with a model, others are loaded later
                get_logger().exception("cannot load the models of experiments")

    def _found(self, named: _Named) -> ServedModel | None:
        """Return the model of this name; None, and one line in the log, if it cannot be loaded."""
        if named.ranker is not None:
            found = self._alternatives.get(named.ranker)
            if found is None:
                self._note_missing(
                    named, f"there is no ranker {named.ranker!r} (indexer.alternatives)"
                )
            return found
        current = self._models.current()
        if named in self._loaded:
            return self._loaded[named]
        if named.version is None or current.version == named.version:
            return current
        if self._clock_s() < self._missing.get(named, 0.0):
            return None
        try:
            return load_model(self._place, named.version)
        except (ModelFileError, ModelStoreError) as error:
            self._note_missing(named, str(error))
            return None

    def _note_missing(self, named: _Named, reason: str) -> None:
        if named not in self._missing:
            get_logger().error(
                "an experiment names a model that cannot be loaded; its lists do not count",
                model=named.version or named.ranker,
                reason=reason,
            )
        self._missing[named] = self._clock_s() + RETRY_EVERY_S
