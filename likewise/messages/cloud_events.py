"""CloudEvents 1.0 around an event: as an envelope (structured mode) or as headers (binary mode)."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Protocol

from likewise.errors import InvalidInputError
from likewise.messages.ids import MAX_ID_BYTES

if TYPE_CHECKING:
    import msgspec

    from likewise.records import Record


class Envelope(Protocol):
    """The fields of a body that hold the event if the body is an envelope."""

    data: msgspec.Raw
    data_base64: Any


def binary_mode_type(record: Record) -> str | None:
    """Return the type that the headers name; None if the record is no CloudEvent in binary mode.

    Raises:
        InvalidInputError: the headers are not those of CloudEvents 1.0.
    """
    if not record.headers:
        return None
    headers = dict(record.headers)
    # A header may have no value.
    specversion, kind = (headers.get(name) for name in ("ce_specversion", "ce_type"))
    if specversion is None:
        return None
    return checked_type(
        specversion.decode(errors="replace"), (kind or b"").decode(errors="replace")
    )


def data_of(envelope: Envelope) -> bytes:
    """Return the event in the envelope.

    Raises:
        InvalidInputError: `data_base64` is not Base64.
    """
    data, encoded = bytes(envelope.data), envelope.data_base64
    if encoded is None or data not in {b"", b"null"}:
        return data
    try:
        return base64.b64decode(encoded, validate=True)
    except (ValueError, TypeError) as error:
        raise InvalidInputError("wrong_type", "`data_base64` is not base64") from error


def checked_type(specversion: str, kind: object) -> str:
    """Return the `type` of a CloudEvent.

    Raises:
        InvalidInputError: it has no type, or is not of version 1.0.
    """
    if specversion != "1.0":
        raise InvalidInputError(
            "unsupported_version", f"CloudEvents specversion {specversion[:16]!r} is not '1.0'"
        )
    if not isinstance(kind, str) or not kind:
        raise InvalidInputError("missing_field", "a CloudEvent needs a `type`")
    return kind


# A part of a type that is a version (`v1`, `2`, `v1beta1`, `2026-01-01`), and a version at the end of
# another part.
_VERSION = re.compile(r"[vV]?\d[\w-]*")
_VERSION_BEHIND = re.compile(r"[_-][vV]\d[\w-]*$")


def action_of(cloud_event_type: str | None) -> str:
    """Return the last word of the type that is not a version: `like` for `com.example.like.v1`."""
    if cloud_event_type is None:
        return "like"
    words = re.split(r"[./:#]", cloud_event_type[-MAX_ID_BYTES:])
    named = [word for word in words if word and not _VERSION.fullmatch(word)]
    return _VERSION_BEHIND.sub("", named[-1]) if named else cloud_event_type
