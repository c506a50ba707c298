"""The options of a request, which a scenario can set as well: what they are, and how they are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.ids import ItemId, parse_item_id
from likewise.messages.rules import (
    MAX_COUNT,
    Boost,
    BoostBody,
    MaxPer,
    MaxPerBody,
    Pin,
    PinBody,
    boosts_json,
    parse_boosts,
    parse_max_per,
    parse_pins,
)
from likewise.messages.where import Where, parse_field_name, parse_where, where_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_LISTED_ITEMS: Final = 10_000
MAX_DEADLINE_MS: Final = 3_600_000
MAX_FIELDS: Final = 50

RankedBy = Literal["model", "popular", "trending", "new"]
"""What a request can ask to be ranked by."""


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The options that a scenario sets; None: not set. See `Request` for each."""

    count: int | None = None
    exclude: tuple[ItemId, ...] | None = None
    explain: bool | None = None
    diversity: float | None = None
    novelty: float | None = None
    include_liked: bool | None = None
    fill: bool | None = None
    deadline_ms: int | None = None
    where: Where | None = None
    only: tuple[ItemId, ...] | None = None
    boost: tuple[Boost, ...] | None = None
    pin: tuple[Pin, ...] | None = None
    max_per: MaxPer | None = None
    fields: tuple[str, ...] | None = None
    without: tuple[ItemId, ...] | None = None
    rotation: float | None = None
    explore: float | None = None
    source: RankedBy | None = None


class OptionsBody(msgspec.Struct):
    """The options in JSON. Null means not given."""

    count: int | None = None
    exclude: list[str | int] | None = None
    explain: bool | None = None
    diversity: float | None = None
    novelty: float | None = None
    include_liked: bool | None = None
    fill: bool | None = None
    deadline_ms: int | None = None
    where: Any = None
    only: list[str | int] | None = None
    boost: list[BoostBody] | None = None
    pin: list[PinBody] | None = None
    max_per: MaxPerBody | None = None
    fields: list[str] | None = None
    without: list[str | int] | None = None
    rotation: float | None = None
    explore: float | None = None
    source: str | None = None


def parse_options(body: OptionsBody) -> dict[str, Any]:
    """Return the options that are given, checked, by name: arguments of `Request` or `RequestOptions`.

    Raises:
        InvalidInputError: an option is invalid; the message names it.
    """
    # A subclass has its own fields after these.
    given = zip(_CHECKS, msgspec.structs.astuple(body), strict=False)
    return {name: check(name, value) for (name, check), value in given if value is not None}


def options_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON form of options given by name; `parse_options` reverses it."""
    body = dict(options)
    for name, value in options.items():
        encode = _ENCODERS.get(name)
        if encode is not None and value is not None:
            body[name] = encode(value)
    return body


def parse_item_ids(field: str, raw: Sequence[str | int]) -> tuple[ItemId, ...]:
    """Return the item ids of a list.

    Raises:
        InvalidInputError: there are more than 10,000, or one is invalid.
    """
    if len(raw) > MAX_LISTED_ITEMS:
        raise InvalidInputError("too_large", f"`{field}` names more than {MAX_LISTED_ITEMS} items")
    return tuple(parse_item_id(item, field) for item in raw)


def _count(_: str, count: int) -> int:
    if not 1 <= count <= MAX_COUNT:
        raise InvalidInputError("invalid_count", f"`count` must be from 1 to {MAX_COUNT}")
    return count


def _deadline_ms(_: str, deadline_ms: int) -> int:
    if not 1 <= deadline_ms <= MAX_DEADLINE_MS:
        raise InvalidInputError(
            "invalid_deadline", f"`deadline_ms` must be from 1 to {MAX_DEADLINE_MS}"
        )
    return deadline_ms


def _share(name: str, share: float) -> float:
    if not 0 <= share <= 1:
        raise InvalidInputError(_SHARE_CODES[name], f"`{name}` must be from 0 to 1")
    return share


_SHARE_CODES = {
    "diversity": "invalid_diversity",
    "novelty": "invalid_novelty",
    "rotation": "invalid_rotation",
    "explore": "invalid_explore",
}


def _fields(name: str, raw: Sequence[str]) -> tuple[str, ...]:
    if len(raw) > MAX_FIELDS:
        raise InvalidInputError("invalid_fields", f"`fields` has more than {MAX_FIELDS} names")
    return tuple(
        parse_field_name(field, f"{name}[{at}]", "invalid_fields") for at, field in enumerate(raw)
    )


def _source(name: str, source: str) -> RankedBy:
    if source not in _SOURCES:
        raise InvalidInputError(
            "invalid_source", f"`{name}` {source[:64]!r} is not one of {', '.join(_SOURCES)}"
        )
    return cast("RankedBy", source)


def _unchecked(_: str, value: object) -> object:
    return value


_SOURCES = get_args(RankedBy)
_PARSERS: dict[str, Callable[[str, Any], object]] = {
    "count": _count,
    "deadline_ms": _deadline_ms,
    **dict.fromkeys(_SHARE_CODES, _share),
    **dict.fromkeys(("exclude", "only", "without"), parse_item_ids),
    "where": lambda name, raw: parse_where(raw, name),
    "boost": lambda _, raw: parse_boosts(raw),
    "pin": lambda _, raw: parse_pins(raw),
    "max_per": lambda _, raw: parse_max_per(raw),
    "fields": _fields,
    "source": _source,
}
_CHECKS = [(name, _PARSERS.get(name, _unchecked)) for name in OptionsBody.__struct_fields__]
_ENCODERS: dict[str, Callable[[Any], object]] = {"where": where_json, "boost": boosts_json}
