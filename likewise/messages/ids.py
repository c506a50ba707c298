"""Identifiers: strings outside a model, row numbers inside; different types, so they can't be mixed up."""

from __future__ import annotations

import re
import string
from functools import lru_cache
from typing import NewType

from likewise.errors import InvalidInputError

UserId = NewType("UserId", str)
ItemId = NewType("ItemId", str)
ItemRow = NewType("ItemRow", int)
"""The row of an item in one model's tables; means nothing in another model."""
SignalKind = NewType("SignalKind", str)
"""What a signal says about a user and an item: `dislike`, `hide`, or a kind named in `[signals]`."""

DISLIKE = SignalKind("dislike")
HIDE = SignalKind("hide")
RESERVED_KINDS = frozenset({"like", DISLIKE, HIDE})
"""Kinds with an action of their own; the action `signal` does not accept them."""

MAX_ID_BYTES = 256
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MAX_RECOMMENDATION_ID = 64
_RECOMMENDATION_ID_CHARACTERS = f"{string.ascii_letters}{string.digits}_-"


def parse_user_id(raw: str | int | None) -> UserId:
    """Return the user id in a message; see `parse_id`."""
    return UserId(parse_id("user_id", raw))


def parse_item_id(raw: str | int | None, field: str = "item_id") -> ItemId:
    """Return the item id in a message; see `parse_id`."""
    return ItemId(parse_id(field, raw))


def parse_kind(raw: object) -> SignalKind:
    """Return the kind of a `signal` event.

    Raises:
        InvalidInputError: it is missing or reserved, or is not 1 to 32 of `a-z 0-9 _ -`, beginning
            with a letter.
    """
    if raw is None:
        raise InvalidInputError("missing_field", "`kind` is missing")
    if not isinstance(raw, str):
        raise InvalidInputError("wrong_type", "`kind` is not a string")
    if not _KIND.fullmatch(raw):
        raise InvalidInputError(
            "invalid_kind",
            f"`kind` {raw[:64]!r} is not 1 to 32 of a-z, 0-9, _ and -, beginning with a letter",
        )
    if raw in RESERVED_KINDS:
        raise InvalidInputError("invalid_kind", f"`kind` can't be {raw!r}: use the action {raw!r}")
    return SignalKind(raw)


@lru_cache(256)
def is_signal_kind(raw: str) -> bool:
    """Whether `parse_kind` accepts this string; fast for kinds in use."""
    return _KIND.fullmatch(raw) is not None and raw not in RESERVED_KINDS


def is_recommendation_id(raw: str) -> bool:
    """Whether `parse_recommendation_id` accepts this string."""
    # What is left without these characters at both ends is empty if there are no others: faster than
    # a regular expression, on the way of every event that carries one.
    return 0 < len(raw) <= _MAX_RECOMMENDATION_ID and not raw.strip(_RECOMMENDATION_ID_CHARACTERS)


def parse_scenario_name(raw: str | None, field: str = "scenario") -> str:
    """Return the name of a scenario; see `_parse_name`, which refuses others as `invalid_scenario`."""
    return _parse_name(raw, field, "invalid_scenario")


def parse_experiment_name(raw: str | None, field: str = "experiment") -> str:
    """Return the name of an experiment or of a variant; others are refused as `invalid_experiment`."""
    return _parse_name(raw, field, "invalid_experiment")


def _parse_name(raw: str | None, field: str, code: str) -> str:
    """Return the name.

    Raises:
        InvalidInputError: it is missing, or is not 1 to 64 of `a-z 0-9 _ -`, beginning with a letter
            or digit.
    """
    if raw is None:
        raise InvalidInputError("missing_field", f"`{field}` is missing")
    if not _NAME.fullmatch(raw):
        raise InvalidInputError(
            code,
            f"`{field}` {raw[:64]!r} is not 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit",
        )
    return raw


def parse_recommendation_id(raw: str, field: str = "recommendation_id") -> str:
    """Return the id of a recommendation, as replies carry it.

    Raises:
        InvalidInputError: it is not 1 to 64 of `A-Z a-z 0-9 _ -`.
    """
    if not is_recommendation_id(raw):
        raise InvalidInputError(
            "invalid_recommendation_id",
            f"`{field}` {raw[:64]!r} is not 1 to 64 of A-Z, a-z, 0-9, _ and -",
        )
    return raw


def parse_id(field: str, raw: str | int | None) -> str:
    """Return the id as a string of 1 to 256 UTF-8 bytes; integers become their decimal digits.

    Raises:
        InvalidInputError: missing, empty, too long, or not encodable as UTF-8.
    """
    if raw is None:
        raise InvalidInputError("missing_field", f"`{field}` is missing")
    text = raw if isinstance(raw, str) else str(raw)
    if not text:
        raise InvalidInputError("invalid_id", f"`{field}` is empty")
    if len(text) > MAX_ID_BYTES or (
        not text.isascii() and _utf8_length(field, text) > MAX_ID_BYTES
    ):
        raise InvalidInputError("invalid_id", f"`{field}` is longer than {MAX_ID_BYTES} bytes")
    return text


def _utf8_length(field: str, text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            "invalid_id", f"`{field}` contains a lone surrogate, which UTF-8 can't encode"
        ) from error
