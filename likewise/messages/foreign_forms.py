"""Recognises the formats of other serialisers, so that the error for a record says what to change.

Only refused records are examined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError

if TYPE_CHECKING:
    from likewise.records import Record

# Before the body: the magic byte 0 and the schema id in four bytes.
_FRAME_BYTES = 5
_PREFIXES = {
    b"\xac\xed\x00\x05": "is a serialised Java object; send JSON: set value.serializer to "
    "StringSerializer, or Spring's JsonSerializer",
    b"\xef\xbb\xbf": "begins with a byte order mark; write UTF-8 without one",
    b"\xff\xfe": "is UTF-16; write UTF-8",
    b"\xfe\xff": "is UTF-16; write UTF-8",
    b"Obj\x01": "is an Avro file; send JSON",
    b"\x1f\x8b": "is compressed with gzip; send JSON and set the producer's compression.type",
}
# What Jackson and other mappers write by default for names such as `user_id`.
_CAMEL_CASE = {
    b'"userId"': "user_id",
    b'"itemId"': "item_id",
    b'"similarTo"': "similar_to",
}
_TYPE_HEADER = "__TypeId__"
_JAVA_NUMBERS = {4: "IntegerSerializer", 8: "LongSerializer"}


def explained(reason: InvalidInputError, record: Record) -> InvalidInputError:
    """Return the error; if the record has another serialiser's format, the message names it."""
    value = record.value or b""
    said = [
        reason.message,
        *_about_value(value),
        *_about_names(reason, value),
        *_about_headers(record),
    ]
    return InvalidInputError(reason.code, "; ".join(said)) if len(said) > 1 else reason


def about_key(key: bytes, subject: str) -> str | None:
    """Return the format of a key that is not the subject as text; None if it is not recognised."""
    serializer = _JAVA_NUMBERS.get(len(key))
    if serializer is not None and str(int.from_bytes(key, "big", signed=True)) == subject:
        return (
            f"{subject} as Java's {serializer} writes it, in {len(key)} bytes; "
            "set key.serializer to StringSerializer"
        )
    is_framed = len(key) > _FRAME_BYTES and key[0] == 0
    if is_framed and (serializer is None or subject.encode() in key[_FRAME_BYTES:]):
        return (
            f"framed for a schema registry (schema {_schema_of(key)}); "
            "set key.serializer to StringSerializer"
        )
    if serializer is not None and b"\x00" in key:
        return (
            f"{len(key)} bytes of a number, as Java's {serializer} writes it; "
            "set key.serializer to StringSerializer"
        )
    return None


def _about_value(value: bytes) -> list[str]:
    if value[:1] == b"\x00" and len(value) >= _FRAME_BYTES:
        return [
            f"the value is framed for Confluent's schema registry (magic byte 0, schema "
            f"{_schema_of(value)}: Avro, Protobuf or JSON Schema); send plain JSON: set "
            "value.serializer to StringSerializer, or Spring's JsonSerializer"
        ]
    for prefix, what in _PREFIXES.items():
        if value.startswith(prefix):
            return [f"the value {what}"]
    if value.lstrip()[:2] in {b'"{', b'"\\'}:
        return ["the value is JSON within a JSON string: it was serialised twice; send it as it is"]
    return []


def _about_names(reason: InvalidInputError, value: bytes) -> list[str]:
    if reason.code != "missing_field":
        return []
    return [
        f"the value has {camel.decode()}, but the field is `{snake}`; with Jackson, use "
        "@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)"
        for camel, snake in _CAMEL_CASE.items()
        if camel in value
    ]


def _about_headers(record: Record) -> list[str]:
    """Return the Java type of the record if Spring's JsonSerializer has added its header."""
    kind = dict(record.headers).get(_TYPE_HEADER)
    if kind is None:
        return []
    shown = kind[:128].decode(errors="replace")
    return [f"Spring's JsonSerializer wrote it as {shown} (header {_TYPE_HEADER})"]


def _schema_of(framed: bytes) -> int:
    return int.from_bytes(framed[1:_FRAME_BYTES], "big")
