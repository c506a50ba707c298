"""Which requests take part in experiments, and what they then ask for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from likewise.errors import InvalidInputError
from likewise.experiments.assignment import find_assignment
from likewise.messages.request_options import RequestOptions
from likewise.messages.requests import with_defaults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.messages.experiments import Experiment, Variant
    from likewise.messages.requests import Request

# What a shared list has only once. It is the control's.
_SHARED = ("count", "pin", "max_per", "fields", "explain")


class Participation(NamedTuple):
    """How a request takes part in an experiment."""

    experiment: Experiment
    variants: tuple[Variant, ...]
    """The user's variant; both variants of an interleaved experiment."""
    requests: tuple[Request, ...]
    """What each of the variants is asked."""


def may_take_part(request: Request) -> bool:
    """Whether the model recommends items to the user for all that the user likes.

    Requests about visitors (`liked`) and for users do not have a `user_id`.
    """
    return (
        request.user_id is not None
        and request.similar_to is None
        and not request.without
        and request.source in {None, "model"}
    )


def participation_of(
    request: Request, defaults: RequestOptions | None, running: Sequence[Experiment]
) -> Participation | None:
    """Return how a request takes part in one of the experiments, which are in the order of `in_order`.

    `defaults` are those of its scenario; those of a variant take precedence. None if it takes part in
    none, or if the options of the variant do not fit the request: then it is answered as usual.
    """
    try:
        usual = request if defaults is None else with_defaults(request, defaults)
        if request.user_id is None or not may_take_part(usual):
            return None
        found = find_assignment(running, request.user_id, request.scenario)
        if found is None:
            return None
        variants = found.experiment.variants if found.variant is None else (found.variant,)
        control, *others = (
            with_defaults(request, _joined(variant.defaults, defaults)) for variant in variants
        )
    except InvalidInputError:  # a pin beyond the count of a variant
        return None
    shared = {name: getattr(control, name) for name in _SHARED}
    requests = (control, *(structs.replace(other, **shared) for other in others))
    return Participation(found.experiment, variants, requests)


def _joined(first: RequestOptions | None, then: RequestOptions | None) -> RequestOptions:
    """Return the first options, and the others where they set none."""
    given = structs.asdict(then or RequestOptions())
    if first is not None:
        given |= {name: value for name, value in structs.asdict(first).items() if value is not None}
    return RequestOptions(**given)
