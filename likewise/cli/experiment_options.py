"""The definition of an experiment on the command line, as the JSON object that is published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import typer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_OWN_FIELDS = ("share", "model", "ranker")
_decoder = json.JSONDecoder()


def variant_of(text: str) -> dict[str, Any]:
    """Return the variant that `NAME,share=2,ranker=ridge,where={"a": 1}` describes.

    A value is JSON; without quotes, it is a string up to the next comma.

    Raises:
        BadParameter: it does not have this form.
    """
    name, comma, rest = text.partition(",")
    variant: dict[str, Any] = {"name": name.strip()}
    defaults: dict[str, Any] = {}
    while comma:
        field, equals, rest = rest.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text[:200]!r} does not have the form NAME,OPTION=VALUE,…")
        value, comma, rest = _value(rest)
        target = variant if field.strip() in _OWN_FIELDS else defaults
        target[field.strip()] = value
    return variant | ({"defaults": defaults} if defaults else {})


def definition(
    file: Path | None, variants: Iterable[str], given: dict[str, Any], excluded: list[str]
) -> dict[str, Any]:
    """Return the definition in the file, if there is one, with what the options set instead.

    Raises:
        BadParameter: an option or the file cannot be used.
    """
    body: dict[str, Any] = {} if file is None else _object_in(file)
    body |= {name: value for name, value in given.items() if value is not None}
    if parsed := [variant_of(text) for text in variants]:
        body["variants"] = parsed
    if excluded:
        body["exclude"] = [*body.get("exclude", []), *excluded]
    return body


def users_in(file: Path | None) -> list[str]:
    """Return the user ids in a file, such as `audit likes --output` writes; none without a file.

    Raises:
        BadParameter: the file cannot be read.
    """
    from likewise.operations.files.errors import LikeFileError
    from likewise.operations.files.user_lists import read_user_list

    try:
        return [] if file is None else sorted(read_user_list(file))
    except LikeFileError as error:
        raise typer.BadParameter(str(error)) from error


def _value(text: str) -> tuple[Any, str, str]:
    """Return the value at the start of the text, the comma after it, and what follows."""
    try:
        value, end = _decoder.raw_decode(text)
    except ValueError:
        if text[:1] in ("{", "[", '"'):
            raise typer.BadParameter(f"{text[:200]!r} is not JSON") from None
        value, end = text.partition(",")[0].strip(), -1
    if end < 0 or text[end:].lstrip()[:1] not in ("", ","):  # a version begins with digits
        value, comma, rest = text.partition(",")
        return value.strip(), comma, rest
    _, comma, rest = text[end:].partition(",")
    return value, comma, rest


def _object_in(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(_text_of(file), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise typer.BadParameter(f"{file} has no JSON object: {error}") from error


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from error
