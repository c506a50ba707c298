"""`recommend` and `similar`: requests over Kafka, as any app sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.options import Json
from likewise.cli.output import duration, plain, print_json, stdout, table
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from likewise.client.client import Likewise
    from likewise.messages.replies import Recommendations, RecommendedItem

Count = Annotated[int, typer.Option("--count", "-n", help="Maximum number of items.")]
Exclude = Annotated[str, typer.Option(metavar="A,B,…", help="Items to exclude.")]
Diversity = Annotated[
    float, typer.Option(min=0, max=1, help="Prefer items unlike those before them: 0 (off) to 1.")
]
Novelty = Annotated[
    float, typer.Option(min=0, max=1, help="Prefer less popular items: 0 (off) to 1.")
]
IncludeLiked = Annotated[
    bool, typer.Option("--include-liked", help="Include items that the user already likes.")
]
Fill = Annotated[
    bool,
    typer.Option(
        "--fill/--no-fill", help="Fill up with popular items if there are too few others."
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


def recommend(
    context: typer.Context,
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="The user's id.")] = None,
    liked: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…", help="Instead of USER: the items that an anonymous visitor likes."
        ),
    ] = None,
    count: Count = 10,
    exclude: Exclude = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Show which likes contribute to each item.")
    ] = False,
    diversity: Diversity = 0.0,
    novelty: Novelty = 0.0,
    include_liked: IncludeLiked = False,
    fill: Fill = True,
    after: After = None,
    timeout_s: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Recommend items to a user, best first.

    ```
    likewise recommend u1
    likewise recommend u1 --explain --count 5
    likewise recommend --liked i1,i2 --exclude i3 --json
    likewise recommend u1 --diversity 0.3 --novelty 0.1
    likewise recommend u1 --include-liked --no-fill
    ```

    The exit code is 4 if no answer arrives in time.
    """
    if (user is None) == (liked is None):
        raise typer.BadParameter("give either USER or --liked")
    with _client(command_line(context)) as client:
        answer = client.recommend(
            user,
            liked=None if liked is None else _listed(liked),
            count=count,
            exclude=_listed(exclude),
            explain=explain,
            diversity=diversity,
            novelty=novelty,
            include_liked=include_liked,
            fill=fill,
            after=None if after is None else Position.parse(after),
            timeout_s=timeout_s,
        )
    _print(answer, as_json=as_json)


def similar(
    context: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's id.")],
    user: Annotated[str | None, typer.Option(help="Exclude what this user already likes.")] = None,
    count: Count = 10,
    exclude: Exclude = "",
    diversity: Diversity = 0.0,
    novelty: Novelty = 0.0,
    include_liked: IncludeLiked = False,
    fill: Fill = True,
    after: After = None,
    timeout_s: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Find items liked by the users who like this item, best first.

    ```
    likewise similar i1
    likewise similar i1 --user u1 --count 5
    ```

    The exit code is 4 if no answer arrives in time.
    """
    with _client(command_line(context)) as client:
        answer = client.similar(
            item,
            user_id=user,
            count=count,
            exclude=_listed(exclude),
            diversity=diversity,
            novelty=novelty,
            include_liked=include_liked,
            fill=fill,
            after=None if after is None else Position.parse(after),
            timeout_s=timeout_s,
        )
    _print(answer, as_json=as_json)


def _client(cli: CommandLine) -> Likewise:
    from likewise.client.client import Likewise

    return Likewise(settings=cli.settings.kafka)


def _listed(ids: str) -> list[str]:
    return [item.strip() for item in ids.split(",") if item.strip()]


def _print(answer: Recommendations, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    out = stdout()
    if answer.items:
        explained = any(item.because is not None for item in answer.items)
        rows = table("#rank", "item", "#score", *(["because of"] if explained else []))
        for rank, item in enumerate(answer.items, start=1):
            cells = [str(rank), plain(item.item_id), f"{item.score:.4g}"]
            rows.add_row(*cells, *([_because(item)] if explained else []))
        out.print(rows)
    else:
        out.print("nothing to recommend")
    out.print(f"[dim]{_origin(answer)}[/]")


def _because(item: RecommendedItem) -> str:
    return ", ".join(
        f"{plain(because.item_id)} ({because.contribution:.3g})" for because in item.because or ()
    )


def _origin(answer: Recommendations) -> str:
    by = {"model": "ranked by model", "popular": "popular items of model"}[answer.source]
    return f"{by} {answer.model.version}, {duration(answer.model.age_s)} old"
