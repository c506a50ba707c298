"""Splits one record of delimited text into fields, with quotes as in RFC 4180."""

from __future__ import annotations

import contextlib
from typing import Final

_QUOTE: Final = '"'
_ESCAPED: Final = '\\"'


class MalformedError(ValueError):
    """A record can't be split into fields; the message says why."""


class UnclosedError(MalformedError):
    """A quoted field is still open at the end of the text; it may continue on the next line."""

    def __init__(self) -> None:
        super().__init__("a quoted field is not closed")


def split_fields(text: str, delimiter: str, *, blank_after: bool = False) -> list[str]:
    r"""Return the fields. A quoted field may contain delimiters, line breaks and doubled quotes.

    A quote has a meaning only at the start of a field: `12" vinyl` is plain text. If the delimiter is
    a space, any number of spaces is one delimiter. With `blank_after`, spaces after a delimiter
    belong to no field. A record that RFC 4180 can't split is read with `\"` as a quote inside a field.

    Raises:
        UnclosedError: a quoted field is not closed.
        MalformedError: there is text between a closing quote and the next delimiter.
    """
    if delimiter == " ":
        return text.split()
    if _QUOTE not in text:
        fields = text.split(delimiter)
        return [field.lstrip(" ") for field in fields] if blank_after else fields
    if _ESCAPED in text:
        # `"\"""` is a backslash and a quote; MySQL's `"\""` is a quote.
        with contextlib.suppress(MalformedError):
            return _split_quoted(text, delimiter, blank_after, escapes=False)
    return _split_quoted(text, delimiter, blank_after, escapes=True)


def _split_quoted(text: str, delimiter: str, blank_after: bool, *, escapes: bool) -> list[str]:
    """Return the fields; with `escapes`, a backslash before a quote inside a field escapes it."""
    fields, at = list[str](), 0
    while True:
        while blank_after and text.startswith(" ", at):
            at += 1
        if text.startswith(_QUOTE, at):
            field, at = _quoted(text, at + 1, delimiter, escapes)
            fields.append(field)
            if at == len(text):
                return fields
            if not text.startswith(delimiter, at):
                raise MalformedError(
                    f"{text[at : at + 16]!r} is between a closing quote and the next delimiter"
                )
        else:
            end = text.find(delimiter, at)
            if end < 0:
                fields.append(text[at:])
                return fields
            fields.append(text[at:end])
            at = end
        at += len(delimiter)


def _quoted(text: str, start: int, delimiter: str, escapes: bool) -> tuple[str, int]:
    """Return the field whose opening quote is just before `start`, and where it ends."""
    at, escaped = start, False
    while True:
        end = text.find(_QUOTE, at)
        if end < 0:
            raise UnclosedError
        after = end + 1
        preceded = escapes and text[end - 1] == "\\" and end > start
        if preceded and not _ends(text, after, delimiter):
            at, escaped = after, True  # MySQL and others write \\" for a quote
        elif text.startswith(_QUOTE, after):
            at = after + 1
        else:
            field = text[start:end]
            return (field.replace('\\"', '"') if escaped else field).replace('""', '"'), after


def _ends(text: str, at: int, delimiter: str) -> bool:
    return at == len(text) or text.startswith(delimiter, at)
