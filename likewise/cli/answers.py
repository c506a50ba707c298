"""Prints the answer to a request: a table for people, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.cli.output import duration, plain, print_json, stdout, table

if TYPE_CHECKING:
    from likewise.messages.replies import Recommendations, RecommendedItem

_ORIGINS = {
    "model": "ranked by model",
    "popular": "popular items of model",
    "trending": "trending items; model",
    "new": "new items; model",
}


def print_answer(answer: Recommendations, *, as_json: bool) -> None:
    """Print the items with the fields that the request asked for, and where they come from."""
    if as_json:
        print_json(answer)
        return
    out = stdout()
    if answer.items:
        out.print(_table(answer.items))
    else:
        out.print("nothing to recommend")
    out.print(f"[dim]{_origin(answer)}[/]")


def _table(items: tuple[RecommendedItem, ...]) -> object:
    # In the order of the request, as far as any item has the field.
    fields = list(dict.fromkeys(name for item in items for name in item.fields or ()))
    marked = any(item.pinned or item.explored for item in items)
    explained = any(item.because is not None for item in items)
    rows = table(
        "#rank",
        "item",
        "#score",
        *map(plain, fields),
        *(["mark"] if marked else []),
        *(["because of"] if explained else []),
    )
    for rank, item in enumerate(items, start=1):
        values = item.fields or {}
        rows.add_row(
            str(rank),
            plain(item.item_id),
            f"{item.score:.4g}",
            *(_shown(values.get(name)) for name in fields),
            *([_mark(item)] if marked else []),
            *([_because(item)] if explained else []),
        )
    return rows


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return plain(", ".join(map(str, value)))
        case dict():
            return plain(", ".join(f"{name}: {inner}" for name, inner in value.items()))
    return plain(str(value))


def _mark(item: RecommendedItem) -> str:
    marks = {"pinned": item.pinned, "explored": item.explored}
    return ", ".join(name for name, given in marks.items() if given)


def _because(item: RecommendedItem) -> str:
    return ", ".join(
        f"{plain(because.item_id)} ({because.contribution:.3g})" for because in item.because or ()
    )


def _origin(answer: Recommendations) -> str:
    model = f"{_ORIGINS[answer.source]} {answer.model.version}, {duration(answer.model.age_s)} old"
    named = f"; recommendation {answer.recommendation_id}" if answer.recommendation_id else ""
    return model + named
