"""Finds the column of each field: by the name the caller gives, else by the usual names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from likewise.operations.files.errors import LikeFileError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from likewise.operations.files.options import ReadOptions

# Compared without case, spaces and punctuation: User_ID, userId and ` user-id` are all `userid`. The
# first one found in the file is used.
_ALIASES = {
    "user": ("userid", "user", "uid", "visitorid", "reviewerid", "customerid"),
    "item": (
        *("itemid", "item", "iid", "movieid", "bookid", "isbn", "asin", "productid"),
        *("businessid", "trackid", "artistid", "articleid", "gameid"),
    ),
    "timestamp": (
        *("timestamp", "time", "ts", "datetime", "date", "createdat", "unixreviewtime"),
        *("eventtime", "reviewtime", "dateadded"),
    ),
    "kind": (
        *("action", "kind", "event", "eventtype", "feedbacktype", "behavior", "behaviour"),
        *("behaviortype", "interactiontype", "actiontype"),
    ),
    "rating": (
        *("rating", "ratings", "stars", "overall", "score", "bookrating", "weight", "playcount"),
        *("plays", "preference", "hours", "count", "quantity"),
    ),
    "split": ("split",),
}
_OPTIONAL = frozenset({"timestamp", "kind", "rating", "split"})
_USUAL = {"user": "user_id", "item": "item_id"}
_ABOUT_USERS = frozenset({"forget_user"})
_ABOUT_ITEMS = frozenset({"retire_item", "restore_item"})
_TYPED = re.compile(r":(token|float)(_seq)?$")  # RecBole: user_id:token


class Choice(NamedTuple):
    """The column of each field in a file, by its index from 0."""

    places: dict[str, int]
    names: dict[str, str]
    """The name of each field's column, as written in the file."""
    guessed: frozenset[str]
    """Fields whose column was found by a name other than the default, without the caller naming it."""


def is_header(names: Sequence[str], options: ReadOptions) -> bool:
    """Whether these names include both user and item, so that the line is a header."""
    return any(_find(field, names, options) for field in ("user", "item"))


def recognised(names: Sequence[str], options: ReadOptions) -> int:
    """Return how many of user and item these names include."""
    return sum(bool(_find(field, names, options)) for field in ("user", "item"))


def places_of_item(names: Sequence[str], options: ReadOptions) -> list[int]:
    """Return the places of the columns that may hold item ids; all have the same name."""
    return _find("item", names, options)


def plain_name(name: str) -> str:
    """Return the name without case, spaces, punctuation and RecBole's type, for comparison."""
    return re.sub(r"[\W_]", "", untyped(name).lower())


def untyped(name: str) -> str:
    """Return the name without surrounding blanks and RecBole's type: `title` for `title:token_seq`."""
    return _TYPED.sub("", name.strip())


def choose(names: Sequence[str], options: ReadOptions, where: str, seen: str = "") -> Choice:
    """Return the columns to read. `seen` describes how the file was parsed, for error messages.

    Columns that the caller names are required. So are user and item, except in files of actions
    that need only one of the two.

    Raises:
        LikeFileError: a column is missing, or several have its name.
    """
    places, guessed = {}, set()
    for field in _ALIASES:
        if field == "split" and options.split is None:
            continue
        found = _find(field, names, options)
        if len(found) > 1:
            raise LikeFileError(
                f"{where} has {len(found)} columns {names[found[0]]!r}. "
                f"Name the right one by its number: --{field}-column {found[0] + 1}"
            )
        if found:
            places[field] = found[0]
            if field not in options.named_columns() and names[found[0]] != f"{field}_id":
                guessed.add(field)
    for field in _missing(places, options):
        wanted = options.named_columns().get(field) or _USUAL[field]
        raise LikeFileError(
            f"{where} has no column {wanted!r}; it has {_listed(names)}{seen}. "
            f"Name the right one with --{field}-column"
        )
    return Choice(places, {field: names[at] for field, at in places.items()}, frozenset(guessed))


def _missing(places: Collection[str], options: ReadOptions) -> Iterator[str]:
    named = options.named_columns()
    has_kinds = "kind" in places
    for field in ("user", "item"):
        spared = _ABOUT_ITEMS if field == "user" else _ABOUT_USERS
        if field not in places and (field in named or not (has_kinds or options.action in spared)):
            yield field
    if not {"user", "item"} & set(places):
        yield "user"
    yield from (
        field
        for field in _OPTIONAL
        # The option for `split` has a default, so its column is optional.
        if field in named and field not in places and named[field] != "split"
    )


def _find(field: str, names: Sequence[str], options: ReadOptions) -> list[int]:
    """Return the indexes of the columns that match the field; all have the same name."""
    named = options.named_columns().get(field)
    if named is not None:
        exact = [place for place, name in enumerate(names) if name == named]
        alike = [place for place, name in enumerate(names) if plain_name(name) == plain_name(named)]
        if exact or alike:
            return exact or alike
        return [int(named) - 1] if named.isdecimal() and 1 <= int(named) <= len(names) else []
    taken = set(options.named_columns().values())
    for alias in _ALIASES[field]:
        found = [
            place
            for place, name in enumerate(names)
            if plain_name(name) == alias and name not in taken
        ]
        if found:
            return found
    return []


def _listed(columns: Collection[str]) -> str:
    shown = ", ".join(repr(column[:64]) for column in list(columns)[:20])
    return shown + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")
