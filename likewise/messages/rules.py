"""Rules of a request about what may be shown: boosts, pins and the maximum per group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.ids import ItemId, parse_item_id
from likewise.messages.where import Where, parse_field_name, parse_where, where_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_COUNT: Final = 1_000
MAX_BOOSTS: Final = 20
MAX_FACTOR: Final = 1_000.0
MAX_PINS: Final = 100


class Boost(msgspec.Struct, frozen=True):
    """The scores of the items that pass the filter are multiplied by `factor`, 0 to 1000."""

    where: Where
    factor: float


class Pin(msgspec.Struct, frozen=True):
    """The item is shown at this place, counted from 1."""

    item_id: ItemId
    place: int


class MaxPer(msgspec.Struct, frozen=True):
    """At most `count` items with the same value of the field are shown."""

    field: str
    count: int


class BoostBody(msgspec.Struct):
    """A boost in JSON."""

    factor: float
    where: Any = None


class PinBody(msgspec.Struct):
    """A pin in JSON."""

    item_id: str | int
    place: int


class MaxPerBody(msgspec.Struct):
    """`max_per` in JSON."""

    field: str
    count: int


def parse_boosts(raw: Sequence[BoostBody]) -> tuple[Boost, ...]:
    """Return the boosts.

    Raises:
        InvalidInputError: there are too many, a factor is not from 0 to 1000, or a filter is invalid.
    """
    if len(raw) > MAX_BOOSTS:
        raise InvalidInputError("invalid_boost", f"`boost` has more than {MAX_BOOSTS} entries")
    for at, boost in enumerate(raw):
        if not 0 <= boost.factor <= MAX_FACTOR:  # also false for NaN
            raise InvalidInputError(
                "invalid_boost", f"`boost[{at}].factor` must be from 0 to {MAX_FACTOR:g}"
            )
    return tuple(
        Boost(parse_where(boost.where, f"boost[{at}].where"), boost.factor)
        for at, boost in enumerate(raw)
    )


def parse_pins(raw: Sequence[PinBody]) -> tuple[Pin, ...]:
    """Return the pins.

    Raises:
        InvalidInputError: there are too many, two have the same place or item, an id is invalid, or a
            place is not from 1 to 1000.
    """
    if len(raw) > MAX_PINS:
        raise InvalidInputError("invalid_pin", f"`pin` has more than {MAX_PINS} entries")
    pins = tuple(
        Pin(parse_item_id(pin.item_id, f"pin[{at}].item_id"), pin.place)
        for at, pin in enumerate(raw)
    )
    check_pins(pins, MAX_COUNT)
    if len({pin.place for pin in pins}) < len(pins):
        raise InvalidInputError("invalid_pin", "`pin` has two items at the same place")
    if len({pin.item_id for pin in pins}) < len(pins):
        raise InvalidInputError("invalid_pin", "`pin` has the same item at two places")
    return pins


def check_pins(pins: Iterable[Pin], count: int) -> None:
    """Check the places of the pins in an answer of `count` items.

    Raises:
        InvalidInputError: a place is not from 1 to `count`.
    """
    for at, pin in enumerate(pins):
        if not 1 <= pin.place <= count:
            raise InvalidInputError("invalid_pin", f"`pin[{at}].place` must be from 1 to {count}")


def parse_max_per(raw: MaxPerBody) -> MaxPer:
    """Return the maximum per group.

    Raises:
        InvalidInputError: the field is not a name, or the count is not from 1 to 1000.
    """
    if not 1 <= raw.count <= MAX_COUNT:
        raise InvalidInputError("invalid_max_per", f"`max_per.count` must be from 1 to {MAX_COUNT}")
    field = parse_field_name(raw.field, "max_per.field", "invalid_max_per")
    return MaxPer(field, raw.count)


def boosts_json(boosts: Iterable[Boost]) -> list[dict[str, object]]:
    """Return the JSON form of boosts."""
    return [{"where": where_json(boost.where), "factor": boost.factor} for boost in boosts]
