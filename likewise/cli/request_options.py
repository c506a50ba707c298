"""The options of `recommend` and `similar`: what a request can ask for, as text."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import typer

from likewise.errors import InvalidInputError
from likewise.messages.where import parse_where

_RULES = "Filters and rules"


def _filter(text: str) -> dict[str, Any]:
    try:
        raw = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise typer.BadParameter(f"{text[:200]!r} is not JSON: {error}") from error
    try:
        parse_where(raw)
    except InvalidInputError as error:
        raise typer.BadParameter(error.message) from error
    return dict(raw)


def _boost(text: str) -> dict[str, Any]:
    factor, equals, where = text.partition("=")
    try:
        if equals:
            return {"factor": float(factor), "where": _filter(where)}
    except ValueError:
        pass  # not a number
    raise typer.BadParameter(f"""{text[:200]!r} does not have the form 1.5={{"lang": "en"}}""")


def _pin(text: str) -> dict[str, Any]:
    item, place = _numbered(text, "ITEM=PLACE")
    return {"item_id": item, "place": place}


def _max_per(text: str) -> dict[str, Any]:
    field, count = _numbered(text, "FIELD=N")
    return {"field": field, "count": count}


def _numbered(text: str, form: str) -> tuple[str, int]:
    name, _, number = text.rpartition("=")
    if not name or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise typer.BadParameter(f"{text[:200]!r} does not have the form {form}")
    return name, int(number)


def listed(ids: str | None) -> list[str] | None:
    """Return the parts of a list with commas; None if the option was not given."""
    return None if ids is None else [item.strip() for item in ids.split(",") if item.strip()]


Count = Annotated[
    int | None,
    typer.Option("--count", "-n", help="Maximum number of items.", show_default="10"),
]
Exclude = Annotated[str | None, typer.Option(metavar="A,B,…", help="Items to exclude.")]
Explain = Annotated[
    bool | None, typer.Option("--explain", help="Show which likes contribute to each item.")
]
Diversity = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Prefer items unlike those before them: 0 (off) to 1."),
]
Novelty = Annotated[
    float | None, typer.Option(min=0, max=1, help="Prefer less popular items: 0 (off) to 1.")
]
IncludeLiked = Annotated[
    bool | None, typer.Option("--include-liked", help="Include items that the user already likes.")
]
Fill = Annotated[
    bool | None,
    typer.Option(
        "--fill/--no-fill",
        help="Fill up with popular items if there are too few others.",
        show_default="fill",
    ),
]
After = Annotated[
    str | None,
    typer.Option(
        metavar="POSITION", help="Wait until this event is applied; `like` prints the position."
    ),
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Seconds to wait for the answer.")
]
Filter = Annotated[
    Any,
    typer.Option(
        "--where",
        metavar="JSON",
        parser=_filter,
        help="""Only items that pass this filter, such as '{"price": {"$lte": 20}}'.""",
        rich_help_panel=_RULES,
    ),
]
Only = Annotated[
    str | None,
    typer.Option(metavar="A,B,…", help="Only these items.", rich_help_panel=_RULES),
]
Boosts = Annotated[
    list[Any] | None,
    typer.Option(
        "--boost",
        metavar="FACTOR=JSON",
        parser=_boost,
        help="Multiply the scores of the items that pass a filter. Can be repeated.",
        rich_help_panel=_RULES,
    ),
]
Pins = Annotated[
    list[Any] | None,
    typer.Option(
        "--pin",
        metavar="ITEM=PLACE",
        parser=_pin,
        help="Show the item at this place, counted from 1. Can be repeated.",
        rich_help_panel=_RULES,
    ),
]
MaxPer = Annotated[
    Any,
    typer.Option(
        "--max-per",
        metavar="FIELD=N",
        parser=_max_per,
        help="At most N items with the same value of a catalogue field.",
        rich_help_panel=_RULES,
    ),
]
Fields = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,…",
        help="Catalogue fields to show, such as title,price.",
        rich_help_panel=_RULES,
    ),
]
Without = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,…", help="Likes of the user to ignore this time.", rich_help_panel=_RULES
    ),
]
Rotation = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Move items down that the user was shown lately: 0 (off) to 1.",
        rich_help_panel=_RULES,
    ),
]
NextOf = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="The page after this recommendation, without items shown before.",
        rich_help_panel=_RULES,
    ),
]
ScenarioName = Annotated[
    str | None,
    typer.Option(
        "--scenario",
        metavar="NAME",
        help="Stored defaults for the options that are not given.",
        rich_help_panel=_RULES,
    ),
]
Explore = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Share of items without likes: 0 (off) to 1.", rich_help_panel=_RULES
    ),
]
RankedBy = Annotated[
    Literal["model", "popular", "trending", "new"] | None,
    typer.Option("--source", help="Rank only by this.", rich_help_panel=_RULES),
]
