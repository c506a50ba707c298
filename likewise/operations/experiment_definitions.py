"""Definitions of new experiments: obvious fields are filled in, and what could not work is refused."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from likewise.errors import InvalidInputError
from likewise.experiments.assignment import in_order
from likewise.models.layout import alternatives_in
from likewise.models.place import models_place
from likewise.models.versions import list_versions
from likewise.operations.documents import experiment_of_json
from likewise.operations.models import find_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from likewise.messages.experiments import Experiment, Variant
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

CONTROL = "control"
_SET_LATER = ("stopped_at_ms", "outcome", "canary")


def define(
    store: LikeStore, settings: Settings, name: str, body: Mapping[str, Any], *, now_ms: int
) -> Experiment:
    """Return the experiment that this JSON object describes, starting now.

    A split experiment unless it has a `kind`; a random `seed`; the settings' `window_s`; before a
    single variant, a control without changes. `current` and `previous` become the model's version.

    Raises:
        InvalidInputError: the body breaks the wire contract, or names a ranker that nobody builds.
        ModelFileError: a variant's model is not on this disk.
        TransientError: Redis cannot be reached.
    """
    for field in _SET_LATER:
        if body.get(field):
            raise _invalid(f"`{field}` cannot be set by the start of an experiment")
    whole = {
        "kind": "split",
        "seed": secrets.token_hex(8),
        "window_s": settings.experiments.window_s,
        **body,
        "name": name,
        "started_at_ms": now_ms,
    }
    given = body.get("variants")
    if isinstance(given, list) and len(given) == 1:
        whole["variants"] = [{"name": CONTROL}, *given]
    experiment = experiment_of_json(name, msgspec.json.encode(whole))
    variants = tuple(_resolved(store, settings, variant) for variant in experiment.variants)
    return msgspec.structs.replace(experiment, variants=variants)


def notes_on(
    experiment: Experiment, running: Sequence[Experiment], store: LikeStore, settings: Settings
) -> list[str]:
    """Return what the operator of a new experiment should know: what it shares, and what is missing yet."""
    notes = [_overlap(experiment, other) for other in running if _meet(experiment, other)]
    scenario = experiment.scenario
    if scenario is not None and scenario not in store.scenarios():
        notes.append(f"there is no scenario {scenario!r} yet, so no request takes part")
    rankers = {variant.ranker for variant in experiment.variants if variant.ranker is not None}
    notes += [
        f"no model of ranker {ranker!r} is built yet; its lists count once there is one"
        for ranker in sorted(rankers)
        if not _is_built(settings, ranker)
    ]
    return notes


def _resolved(store: LikeStore, settings: Settings, variant: Variant) -> Variant:
    """Return the variant with the version of its model; check its ranker."""
    if variant.model is not None:
        version = find_version(variant.model, models_place(settings), store)
        return msgspec.structs.replace(variant, model=version)
    if variant.ranker is not None:
        _check_ranker(settings, variant, variant.ranker)
    return variant


def _check_ranker(settings: Settings, variant: Variant, ranker: str) -> None:
    known = settings.indexer.alternatives
    if ranker not in known and not _is_built(settings, ranker):
        names = ", ".join(known) or "none"
        raise _invalid(
            f"`variants.ranker` of {variant.name!r}: nobody builds models of ranker {ranker!r}; "
            f"indexer.alternatives has: {names}"
        )


def _is_built(settings: Settings, ranker: str) -> bool:
    # A name from a request must not lead out of the directory.
    alternatives = alternatives_in(models_place(settings))
    return ranker.isidentifier() and bool(list_versions(alternatives / ranker))


def _meet(one: Experiment, other: Experiment) -> bool:
    """Whether a request can take part in both."""
    if other.kind == "prequential":
        return False
    return one.scenario is None or other.scenario is None or one.scenario == other.scenario


def _overlap(new: Experiment, other: Experiment) -> str:
    first = in_order([new, other])[0]
    if first is new:
        return (
            f"experiment {other.name!r} runs for the same users; their requests for scenario "
            f"{new.scenario!r} now count for {new.name!r} only"
        )
    if other.share >= 1 and not other.exclude and other.scenario in (None, new.scenario):
        return (
            f"experiment {other.name!r} takes every request that {new.name!r} is about; "
            "nobody takes part before it stops"
        )
    return (
        f"experiment {other.name!r} runs for some of the same users; their requests count for "
        f"{other.name!r} only"
    )


def _invalid(message: str) -> InvalidInputError:
    return InvalidInputError("invalid_experiment", message)
