"""Decodes query strings and bodies. Any bytes give a typed value or a `Problem`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from gateway.problem import Problem, field_in

_MAX_PARAMETERS = 1_000


def decode_query(kind: type | None, raw: bytes) -> Any:
    """Return the parameters of a query string as an instance of a msgspec struct.

    Parameters whose field is a tuple may be repeated.

    Raises:
        Problem: a parameter is unknown, repeated, or not of its field's type.
    """
    if not raw:
        return None if kind is None else _empty(kind)
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError as error:  # not ASCII, not UTF-8 when decoded, or too many
        raise Problem("invalid_request", f"the query string cannot be read: {error}") from None
    fields = {} if kind is None else _fields(kind)
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            raise Problem(
                "unknown_parameter", f"there is no parameter {name[:64]!r}", field=name[:64]
            )
        if fields[name]:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Problem("repeated_parameter", f"`{name}` is given twice", field=name)
        else:
            values[name] = value
    try:
        return None if kind is None else msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from None


def decode_body(kind: Any, raw: bytes) -> Any:
    """Return a body of JSON as a value of this type.

    Raises:
        Problem: it is not.
    """
    try:
        return _decoder(kind).decode(raw)
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("not_json", f"the body is not JSON: {error}") from None
    except RecursionError:
        raise Problem("too_deep", "the JSON is nested too deeply") from None


@lru_cache(None)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@lru_cache(None)
def _fields(kind: type) -> dict[str, bool]:
    """Return the fields of a struct, and whether each may be repeated."""
    return {name: get_origin(hint) is tuple for name, hint in get_type_hints(kind).items()}


def _empty(kind: type) -> Any:
    try:
        return msgspec.convert({}, kind)
    except msgspec.ValidationError as error:
        raise _wrong_type(error) from None


def _wrong_type(error: msgspec.ValidationError) -> Problem:
    return Problem("wrong_type", str(error), field=field_in(str(error)))
