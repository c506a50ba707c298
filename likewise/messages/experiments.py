"""Experiments: documents of the experiments topic, one for each name. See docs/protocol.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast, get_args

import msgspec
from msgspec import Meta

from likewise.errors import InvalidInputError
from likewise.messages.foreign_forms import explained
from likewise.messages.ids import UserId, parse_experiment_name, parse_scenario_name, parse_user_id
from likewise.messages.json_input import decode_json
from likewise.messages.record_keys import check_key, id_in_key
from likewise.messages.reply_routes import MAX_REQUEST_BYTES
from likewise.messages.request_options import RequestOptions
from likewise.messages.scenarios import defaults_json, parse_defaults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.records import Record

MAX_EXPERIMENT_BYTES: Final = MAX_REQUEST_BYTES
MAX_VARIANTS: Final = 10
MAX_EXCLUDED: Final = 10_000
DEFAULT_WINDOW_S: Final = 86_400.0

Kind = Literal["split", "interleaved", "prequential"]
"""`split`: each user gets one variant. `interleaved`: two variants share each list (team draft).
`prequential`: nobody gets the second one; consumers test both models with likes before these are applied. Canaries
only."""
Decision = Literal["promoted", "rolled_back", "stopped"]
"""How an experiment ended; a canary is promoted or rolled back, others are stopped."""


class Variant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One way to answer. At most one of `model` and `ranker` is set; without either, the current model answers."""

    name: str
    share: float = 1.0
    """Its part of the users, relative to the other variants."""
    model: str | None = None
    """The model version that answers."""
    ranker: str | None = None
    """The ranker that answers, one of `indexer.alternatives`."""
    defaults: RequestOptions | None = None
    """Options that apply to requests that do not set them, before those of the scenario."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an experiment ended. `verdict` is the evidence of that moment, as `likewise experiments show` has it."""

    decision: Decision
    reason: str = ""
    verdict: dict[str, Any] | None = None


class Experiment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An experiment. The first variant is the control, which the others are compared with."""

    name: str
    kind: Kind
    variants: tuple[Variant, ...]
    seed: str
    started_at_ms: int
    share: float = 1.0
    """The share of the users who take part."""
    scenario: str | None = None
    """The scenario whose requests take part; None: all requests."""
    exclude: tuple[UserId, ...] = ()
    window_s: float = DEFAULT_WINDOW_S
    """For how long after a list a like of its items counts for it."""
    margin: float = 0.0
    """How much worse, relative to the control, a variant may be and still pass as not worse."""
    canary: bool = False
    """Whether the indexer started it, to judge a new model."""
    stopped_at_ms: int | None = None
    outcome: Outcome | None = None


class RemoveExperiment(msgspec.Struct, frozen=True):
    """The experiment no longer exists."""

    name: str


class _VariantBody(msgspec.Struct):
    """A variant in JSON. Unknown fields are ignored, but not in `defaults`."""

    name: str | None = None
    share: Annotated[float, Meta(gt=0, le=1_000_000)] = 1.0
    model: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    ranker: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    defaults: dict[str, Any] | None = None


class _Body(msgspec.Struct):
    """The JSON object. Unknown fields are ignored."""

    name: str | None = None
    kind: str | None = None
    variants: Annotated[list[_VariantBody], Meta(min_length=2, max_length=MAX_VARIANTS)] | None = (
        None
    )
    seed: Annotated[str, Meta(max_length=256)] | None = None
    started_at_ms: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    scenario: str | None = None
    exclude: Annotated[list[str | int], Meta(max_length=MAX_EXCLUDED)] = []
    window_s: Annotated[float, Meta(gt=0, le=31_536_000)] = DEFAULT_WINDOW_S
    margin: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    canary: bool = False
    stopped_at_ms: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None
    outcome: Outcome | None = None
    version: int | None = None


_body_decoder = msgspec.json.Decoder(_Body)
_encoder = msgspec.json.Encoder(order="sorted")


def decode_experiment(record: Record) -> Experiment | RemoveExperiment:
    """Return the experiment that a record of the experiments topic carries; a null value removes it.

    Raises:
        InvalidInputError: the record breaks the wire contract. Nothing else is ever raised.
    """
    try:
        if record.value is None:
            return RemoveExperiment(_name_in(record.key))
        experiment = _decode(record.value, record.key)
        check_key(record.key, experiment.name)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason
    return experiment


def encode_experiment(experiment: Experiment) -> bytes:
    """Return the JSON body, which `decode_experiment` and `decode_stored_experiment` decode to the same.

    Equal experiments have equal bodies.
    """
    return _encoder.encode(experiment_json(experiment))


def experiment_json(experiment: Experiment) -> dict[str, Any]:
    """Return the JSON object of an experiment."""
    body: dict[str, Any] = msgspec.to_builtins(experiment)
    for variant, given in zip(body["variants"], experiment.variants, strict=True):
        if given.defaults is not None:
            variant["defaults"] = defaults_json(given.defaults)
    return body


def experiment_document(record: Record) -> tuple[str, bytes | None]:
    """Return the name in a record of the experiments topic, and what the store holds; None if it is removed.

    Raises:
        InvalidInputError: the record breaks the wire contract.
    """
    found = decode_experiment(record)
    return found.name, encode_experiment(found) if isinstance(found, Experiment) else None


def decode_stored_experiment(raw: bytes) -> Experiment:
    """Return the experiment that `encode_experiment` encoded.

    Raises:
        InvalidInputError: it did not.
    """
    return _decode(raw, None)


def _decode(raw: bytes, key: bytes | None) -> Experiment:
    body = decode_json(_body_decoder, raw, what="experiment", max_bytes=MAX_EXPERIMENT_BYTES)
    if body.version not in {1, None}:
        raise InvalidInputError("unsupported_version", f"version {body.version} is not 1")
    name = _name_in(key) if body.name is None else parse_experiment_name(body.name, "name")
    if body.kind not in get_args(Kind):
        raise _invalid(f"`kind` must be one of {', '.join(get_args(Kind))}")
    if body.variants is None:
        raise InvalidInputError("missing_field", "`variants` is missing")
    if body.started_at_ms is None:
        raise InvalidInputError("missing_field", "`started_at_ms` is missing")
    variants = tuple(_variant(variant) for variant in body.variants)
    _check(body, variants)
    return Experiment(
        name=name,
        kind=cast("Kind", body.kind),
        variants=variants,
        seed=name if body.seed is None else body.seed,
        started_at_ms=body.started_at_ms,
        share=body.share,
        scenario=None if body.scenario is None else parse_scenario_name(body.scenario),
        exclude=tuple(parse_user_id(user) for user in body.exclude),
        window_s=body.window_s,
        margin=body.margin,
        canary=body.canary,
        stopped_at_ms=body.stopped_at_ms,
        outcome=body.outcome,
    )


def _check(body: _Body, variants: Sequence[Variant]) -> None:
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        raise _invalid("two variants have the same name")
    if body.kind == "interleaved" and len(variants) != 2:  # two rankings share a list
        raise _invalid("an interleaved experiment has two variants")
    if body.kind == "prequential" and not (
        body.canary and len(variants) == 2 and all(variant.model for variant in variants)
    ):
        raise _invalid(
            "a prequential experiment is a canary, and its two variants name their models"
        )
    if body.stopped_at_ms is not None and body.stopped_at_ms < (body.started_at_ms or 0):
        raise _invalid("`stopped_at_ms` is before `started_at_ms`")


def _variant(body: _VariantBody) -> Variant:
    name = parse_experiment_name(body.name, "variants.name")
    if body.model is not None and body.ranker is not None:
        raise _invalid(f"variant {name!r} names a model and a ranker; leave one out")
    defaults = None if body.defaults is None else parse_defaults(body.defaults)
    return Variant(
        name=name, share=body.share, model=body.model, ranker=body.ranker, defaults=defaults
    )


def _invalid(message: str) -> InvalidInputError:
    return InvalidInputError("invalid_experiment", message)


def _name_in(key: bytes | None) -> str:
    return parse_experiment_name(None if key is None else id_in_key(key), "name")
