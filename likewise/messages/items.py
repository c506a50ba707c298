"""Catalogue items: what apps publish to the items topic, and what the store holds. See docs/protocol.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.cloud_events import binary_mode_type, checked_type, data_of
from likewise.messages.foreign_forms import explained
from likewise.messages.ids import MAX_ID_BYTES, ItemId, parse_item_id
from likewise.messages.json_input import convert_fields, decode_json
from likewise.messages.record_keys import check_key, id_in_key
from likewise.messages.times import parse_time_ms, wire_time
from likewise.messages.where import is_finite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.records import Record

MAX_ITEM_BYTES: Final = 64 * 1024
MAX_CATEGORIES: Final = 100
MAX_LABELS: Final = 100
MAX_STRINGS: Final = 1_000
"""The most strings in one label."""
_INTEGERS = range(-(2**63), 2**63)

Label = str | float | int | bool | tuple[str, ...]


class CatalogueItem(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"published_at_ms": "published_at"}
):
    """What the catalogue knows about an item; every field but the id is optional."""

    item_id: ItemId
    title: str | None = None
    image_url: str | None = None
    url: str | None = None
    categories: tuple[str, ...] = ()
    labels: dict[str, Label] = {}
    published_at_ms: int | None = None
    """In ms since the epoch."""


class RemoveItem(msgspec.Struct, frozen=True):
    """The item leaves the catalogue. Its likes stay."""

    item_id: ItemId


class _Body(msgspec.Struct):
    """The JSON object, or an envelope around it. Unknown fields are ignored, and null means not given."""

    item_id: str | int | None = None
    title: str | None = None
    image_url: str | None = None
    url: str | None = None
    categories: list[str] | None = None
    labels: dict[str, Any] | None = None
    published_at: Any = None
    version: int | None = None
    specversion: str | None = None
    type: Any = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: Any = None


_body_decoder = msgspec.json.Decoder(_Body)
_stored_decoder = msgspec.json.Decoder(CatalogueItem)
_encoder = msgspec.json.Encoder(order="deterministic")


def decode_item(record: Record) -> CatalogueItem | RemoveItem:
    """Return the item that a record of the items topic carries; a null value removes it.

    CloudEvents 1.0 are accepted in both modes.

    Raises:
        InvalidInputError: the record breaks the wire contract. Nothing else is ever raised.
    """
    try:
        if record.value is None:
            return RemoveItem(_item_id_in(record.key))
        return _decode(record)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason


def parse_item(fields: Mapping[str, Any]) -> CatalogueItem:
    """Return the item that these fields of a JSON object make.

    Raises:
        InvalidInputError: a field is invalid, or there is no `item_id`.
    """
    return _checked(convert_fields(_Body, fields), None)


def encode_item(item: CatalogueItem) -> bytes:
    """Return the JSON body of an item, which `decode_item` and `decode_stored_item` decode to the same item.

    Equal items have equal bodies.
    """
    moment = item.published_at_ms
    if moment is None or (written := wire_time(moment)) == moment:
        return _encoder.encode(item)
    body = msgspec.to_builtins(item)
    return _encoder.encode({**body, "published_at": written})


def item_document(record: Record) -> tuple[ItemId, bytes | None]:
    """Return the id in a record of the items topic, and what the store holds of it; None if it is removed.

    Raises:
        InvalidInputError: the record breaks the wire contract.
    """
    item = decode_item(record)
    return item.item_id, encode_item(item) if isinstance(item, CatalogueItem) else None


def decode_stored_item(raw: bytes) -> CatalogueItem:
    """Return the item that `encode_item` encoded.

    Raises:
        InvalidInputError: it did not.
    """
    try:
        return _stored_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # A time that is no unambiguous number is written as text.
        return _checked(
            decode_json(_body_decoder, raw, what="item", max_bytes=2 * MAX_ITEM_BYTES), None
        )


def _decode(record: Record) -> CatalogueItem:
    body = _decode_body(record.value)
    binary_mode_type(record)
    if body.specversion is not None:
        checked_type(body.specversion, body.type)
        body = _decode_body(data_of(body))
    if body.version not in {1, None}:
        raise InvalidInputError("unsupported_version", f"version {body.version} is not 1")
    item = _checked(body, record.key)
    check_key(record.key, item.item_id)
    if item.item_id.startswith('"') and id_in_key(item.item_id.encode()) != item.item_id:
        # Its key could not be told from the key of the id within the quotes.
        raise InvalidInputError("invalid_id", "`item_id` is a JSON string within a JSON string")
    return item


def _decode_body(raw: bytes | None) -> _Body:
    return decode_json(_body_decoder, raw, what="item", max_bytes=MAX_ITEM_BYTES)


def _checked(body: _Body, key: bytes | None) -> CatalogueItem:
    categories = tuple(body.categories or ())
    if len(categories) > MAX_CATEGORIES:
        raise InvalidInputError("too_large", f"`categories` has more than {MAX_CATEGORIES} entries")
    return CatalogueItem(
        item_id=_item_id_in(key) if body.item_id is None else parse_item_id(body.item_id),
        title=body.title,
        image_url=body.image_url,
        url=body.url,
        categories=categories,
        labels=_labels(body.labels or {}),
        published_at_ms=_time_ms(body.published_at),
    )


def _item_id_in(key: bytes | None) -> ItemId:
    if key is None:
        raise InvalidInputError("missing_field", "neither the body nor the key has an `item_id`")
    return parse_item_id(id_in_key(key))


def _labels(raw: dict[str, Any]) -> dict[str, Label]:
    if len(raw) > MAX_LABELS:
        raise InvalidInputError("too_large", f"`labels` has more than {MAX_LABELS} entries")
    return {name: _label(name, value) for name, value in raw.items() if value is not None}


def _label(name: str, value: object) -> Label:
    path = f"labels.{name[:64]}"
    if not name or len(name.encode()) > MAX_ID_BYTES:
        raise InvalidInputError(
            "invalid_label", f"`{path}` is not a name of 1 to {MAX_ID_BYTES} bytes"
        )
    if name.startswith("$"):
        raise InvalidInputError("invalid_label", f"`{path}` begins with `$`")
    match value:
        case str() | bool():
            return value
        case int() if value in _INTEGERS:
            return value
        case float() if is_finite(value):
            return value
        case list() | tuple() if len(value) > MAX_STRINGS:
            raise InvalidInputError("too_large", f"`{path}` has more than {MAX_STRINGS} strings")
        case list() | tuple() if all(isinstance(each, str) for each in value):
            return tuple(value)
    raise InvalidInputError(
        "invalid_label", f"`{path}` is not a string, a number, true, false or a list of strings"
    )


def _time_ms(raw: object) -> int | None:
    try:
        if isinstance(raw, list | dict):
            raise InvalidInputError("invalid_published_at", "`published_at` is not a time")
        return parse_time_ms(raw, "published_at")
    except InvalidInputError as error:
        raise InvalidInputError("invalid_published_at", error.message) from error
