"""What became of a version that was tried on a share of the users: a file next to its manifest.

It holds the experiment. So every process that reads the models knows which versions have not proved
themselves, even if Redis has lost its data.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from likewise.errors import InvalidInputError, ModelFileError
from likewise.messages.experiments import (
    MAX_EXPERIMENT_BYTES,
    decode_stored_experiment,
    encode_experiment,
)
from likewise.models.layout import VERSION, fsync
from likewise.models.regular_files import read_regular

if TYPE_CHECKING:
    from likewise.messages.experiments import Experiment
    from likewise.models.place import Place

_FILE = "canary.json"
CURRENT: Final = "current"
"""The variant of the current model, which is the control."""
CANARY: Final = "canary"
"""The variant of the new model."""


def canary_name(version: str) -> str:
    """Return the name of the experiment that tries this version; names of experiments have no dots."""
    return f"canary-{version.lower().replace('.', '-')}"


def write_canary(place: Place, version: str, experiment: Experiment) -> None:
    """Store the experiment next to the version, durably, in place of an earlier one.

    Raises:
        ModelFileError: the version is not there, or its directory cannot be written to.
        ModelStoreError: the model store cannot be used.
    """
    if not isinstance(place, Path):
        if version not in place.names():
            raise ModelFileError(f"model {version} is not in {place}, so it cannot be a canary")
        place.write(version, _FILE, encode_experiment(experiment))
        return
    path = place / version / _FILE
    aside = path.with_suffix(".aside")
    try:
        aside.write_bytes(encode_experiment(experiment))
        fsync(aside)
        os.replace(aside, path)
        fsync(path.parent)
    except OSError as error:
        raise ModelFileError(
            f"the canary of model {version} cannot be written to {place} (model.directory): "
            f"{error.strerror}"
        ) from error


def read_canary(place: Place, version: str) -> Experiment | None:
    """Return the experiment of the version; None if it was not tried, or the file cannot be read.

    Raises:
        ModelStoreError: the model store cannot be used.
    """
    if not VERSION.fullmatch(version):
        return None
    with suppress(OSError, InvalidInputError):
        if isinstance(place, Path):
            raw = read_regular(place / version / _FILE, at_most=MAX_EXPERIMENT_BYTES)
        else:
            raw = place.read(version, _FILE, at_most=MAX_EXPERIMENT_BYTES)
        return decode_stored_experiment(raw)
    return None


def is_unproved(place: Place, version: str) -> bool:
    """Whether the version was tried and not promoted: it becomes current only if someone names it."""
    tried = read_canary(place, version)
    return tried is not None and (tried.outcome is None or tried.outcome.decision != "promoted")


def is_running(experiment: Experiment) -> bool:
    """Whether the experiment has not ended."""
    return experiment.stopped_at_ms is None


def versions_of(experiment: Experiment) -> set[str]:
    """Return the model versions that the variants name."""
    return {variant.model for variant in experiment.variants if variant.model is not None}
