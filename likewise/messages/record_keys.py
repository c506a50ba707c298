"""Compares the key of a record with the id that its body is about."""

from __future__ import annotations

import msgspec

from likewise.errors import InvalidInputError
from likewise.messages.foreign_forms import about_key

_encoder = msgspec.json.Encoder()
_text_decoder = msgspec.json.Decoder(str)


def check_key(key: bytes | None, subject: str) -> None:
    """Refuse a key of another subject: the record would not be in order with those of its subject.

    A missing key is accepted, and so is a key in quotes, as JSON serialisers write it.

    Raises:
        InvalidInputError: the key names another subject.
    """
    if key is None or key == subject.encode():
        return
    if key != _encoder.encode(subject):
        shown = about_key(key, subject) or repr(key[:64].decode(errors="replace"))
        raise InvalidInputError(
            "key_mismatch", f"the record's key is {shown}, not {subject[:64]!r}"
        )


def id_in_key(key: bytes) -> str:
    """Return the id that a key names, without the quotes of a JSON serialiser.

    Raises:
        InvalidInputError: the key is not text.
    """
    foreign = about_key(key, "")
    if foreign is not None:
        raise InvalidInputError("invalid_id", f"the record's key is {foreign}")
    try:
        return _text_decoder.decode(key)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass  # not in quotes
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("invalid_id", "the record's key is not UTF-8") from error
