"""Scenarios: named defaults for requests, published to the scenarios topic. See docs/protocol.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.foreign_forms import explained
from likewise.messages.ids import parse_scenario_name
from likewise.messages.json_input import convert_fields, decode_json
from likewise.messages.record_keys import check_key, id_in_key
from likewise.messages.reply_routes import MAX_REQUEST_BYTES
from likewise.messages.request_options import (
    OptionsBody,
    RequestOptions,
    options_json,
    parse_options,
)

if TYPE_CHECKING:
    from likewise.records import Record

MAX_SCENARIO_BYTES: Final = MAX_REQUEST_BYTES


class Scenario(msgspec.Struct, frozen=True):
    """Defaults for the options of requests that name this scenario."""

    name: str
    defaults: RequestOptions


class RemoveScenario(msgspec.Struct, frozen=True):
    """The scenario no longer exists."""

    name: str


class _Body(msgspec.Struct):
    """The JSON object. Unknown fields are ignored, but not in `defaults`."""

    name: str | None = None
    defaults: dict[str, Any] | None = None
    version: int | None = None


_body_decoder = msgspec.json.Decoder(_Body)
_encoder = msgspec.json.Encoder(order="sorted")


def decode_scenario(record: Record) -> Scenario | RemoveScenario:
    """Return the scenario that a record of the scenarios topic carries; a null value removes it.

    Raises:
        InvalidInputError: the record breaks the wire contract. Nothing else is ever raised.
    """
    try:
        if record.value is None:
            return RemoveScenario(_name_in(record.key))
        scenario = _decode(record.value, record.key)
        check_key(record.key, scenario.name)
    except InvalidInputError as reason:
        raise explained(reason, record) from reason
    return scenario


def encode_scenario(scenario: Scenario) -> bytes:
    """Return the JSON body, which `decode_scenario` and `decode_stored_scenario` decode to the same scenario.

    Equal scenarios have equal bodies.
    """
    return _encoder.encode({"name": scenario.name, "defaults": defaults_json(scenario.defaults)})


def scenario_document(record: Record) -> tuple[str, bytes | None]:
    """Return the name in a record of the scenarios topic, and what the store holds; None if it is removed.

    Raises:
        InvalidInputError: the record breaks the wire contract.
    """
    scenario = decode_scenario(record)
    return scenario.name, encode_scenario(scenario) if isinstance(scenario, Scenario) else None


def decode_stored_scenario(raw: bytes) -> Scenario:
    """Return the scenario that `encode_scenario` encoded.

    Raises:
        InvalidInputError: it did not.
    """
    return _decode(raw, None)


def parse_defaults(raw: dict[str, Any]) -> RequestOptions:
    """Return the defaults in a decoded JSON object.

    Raises:
        InvalidInputError: an option is invalid, or can't be set by a scenario.
    """
    unknown = raw.keys() - set(RequestOptions.__struct_fields__)
    if unknown:
        raise InvalidInputError(
            "invalid_scenario", f"`defaults.{min(unknown)[:64]}` can't be set by a scenario"
        )
    return RequestOptions(**parse_options(convert_fields(OptionsBody, raw)))


def defaults_json(defaults: RequestOptions) -> dict[str, Any]:
    """Return the JSON object of defaults, which `parse_defaults` parses to the same defaults."""
    given = msgspec.structs.asdict(defaults)
    return options_json({name: value for name, value in given.items() if value is not None})


def _decode(raw: bytes, key: bytes | None) -> Scenario:
    body = decode_json(_body_decoder, raw, what="scenario", max_bytes=MAX_SCENARIO_BYTES)
    if body.version not in {1, None}:
        raise InvalidInputError("unsupported_version", f"version {body.version} is not 1")
    name = _name_in(key) if body.name is None else parse_scenario_name(body.name, "name")
    if body.defaults is None:
        raise InvalidInputError("missing_field", "`defaults` is missing")
    return Scenario(name, parse_defaults(body.defaults))


def _name_in(key: bytes | None) -> str:
    return parse_scenario_name(None if key is None else id_in_key(key), "name")
