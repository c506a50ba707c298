"""Decodes untrusted JSON: any bytes give a typed value or an `InvalidInputError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from likewise.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec.json import Decoder

T = TypeVar("T")


def convert_fields(kind: type[T], fields: Mapping[str, Any]) -> T:
    """Return the message that these fields of a JSON object make, as `decode_json` does with the text.

    Raises:
        InvalidInputError: a field has the wrong type.
    """
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidInputError("wrong_type", str(error)) from error


def decode_json(decoder: Decoder[T], raw: bytes | None, *, what: str, max_bytes: int) -> T:
    """Return the decoded value; `what` names the message in errors.

    Raises:
        InvalidInputError: there is no value, or it is too long, not JSON, too deeply nested, or not
            of the decoder's type. No other exception is raised.
    """
    if raw is None:
        raise InvalidInputError("null_value", "the record has no value")
    if len(raw) > max_bytes:
        raise InvalidInputError("too_large", f"the {what} is longer than {max_bytes} bytes")
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidInputError("wrong_type", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError("not_json", str(error)) from error
    except RecursionError as error:
        raise InvalidInputError("too_deep", "the JSON is nested too deeply") from error
