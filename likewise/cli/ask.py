"""`recommend`, `similar` and `users`: requests over Kafka, as any app sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.answers import print_answer
from likewise.cli.as_of import recommend_as_of
from likewise.cli.context import CommandLine, command_line
from likewise.cli.listing_all import list_all
from likewise.cli.options import Json
from likewise.cli.output import plain, print_json, stdout, table
from likewise.cli.request_options import (
    After,
    Boosts,
    Count,
    Diversity,
    Exclude,
    Explain,
    Explore,
    Fields,
    Fill,
    Filter,
    IncludeLiked,
    MaxPer,
    NextOf,
    Novelty,
    Only,
    Pins,
    RankedBy,
    Rotation,
    ScenarioName,
    Timeout,
    Without,
    listed,
)
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from likewise.client.client import Likewise


def recommend(
    context: typer.Context,
    user: Annotated[str | None, typer.Argument(metavar="[USER]", help="The user's id.")] = None,
    liked: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…", help="Instead of USER: the items that an anonymous visitor likes."
        ),
    ] = None,
    count: Count = None,
    exclude: Exclude = None,
    explain: Explain = None,
    diversity: Diversity = None,
    novelty: Novelty = None,
    include_liked: IncludeLiked = None,
    fill: Fill = None,
    where: Filter = None,
    only: Only = None,
    boost: Boosts = None,
    pin: Pins = None,
    max_per: MaxPer = None,
    fields: Fields = None,
    without: Without = None,
    rotation: Rotation = None,
    explore: Explore = None,
    source: RankedBy = None,
    next_of: NextOf = None,
    scenario: ScenarioName = None,
    after: After = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME|POSITION",
            help="Answer as at this moment: 2026-01-31T12:00, `2h ago`, `yesterday 14:00`, or an event such "
            "as 3:1042.",
        ),
    ] = None,
    timeout_s: Timeout = 10.0,
    everybody: Annotated[
        bool, typer.Option("--all", help="Write the lists of all users to the file of --output.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="With --all: .parquet, .csv or .ndjson."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Recommend items to a user, best first; with --all, to every user.

    ```
    likewise recommend u1
    likewise recommend u1 --explain --count 5
    likewise recommend --liked i1,i2 --exclude i3 --json
    likewise recommend u1 --diversity 0.3 --novelty 0.1
    likewise recommend u1 --include-liked --no-fill
    likewise recommend u1 --where '{"categories": "drama"}' --fields title,price
    likewise recommend u1 --boost '1.5={"lang": "en"}' --max-per artist=2
    likewise recommend --source trending
    likewise recommend u1 --as-of 'yesterday 14:00' --explain
    likewise recommend --all --count 20 -o lists.parquet
    ```

    The exit code is 4 if no answer arrives in time. With --all, the lists are ranked here, from Redis and
    the model directory, without a server. An interrupted run continues when it is repeated.

    With --as-of, the answer is ranked here, too: by the user's likes of that moment, from the log, and the
    model that was current then, from the model directory. The exit code is 6 if retention or pruning has
    removed a part of them.
    """
    options = _given(
        count=count,
        exclude=listed(exclude),
        explain=explain,
        diversity=diversity,
        novelty=novelty,
        include_liked=include_liked,
        fill=fill,
        where=where,
        only=listed(only),
        boost=boost,
        pin=pin,
        max_per=max_per,
        fields=listed(fields),
        without=listed(without),
        rotation=rotation,
        explore=explore,
        source=source,
    )
    if everybody or output is not None:
        given = {"USER": user, "--liked": liked, "--scenario": scenario, "--after": after}
        _check_all(everybody, output, {**given, "--next-of": next_of, "--as-of": as_of})
        list_all(command_line(context), str(output), options, as_json=as_json)
        return
    if (user is None) == (liked is None) and (user is not None or source in {None, "model"}):
        raise typer.BadParameter("give either USER or --liked")
    options |= _given(liked=listed(liked), next_of=next_of, scenario=scenario)
    if as_of is not None:
        asked = {"user_id": user, "after": after, **options}
        recommend_as_of(command_line(context), as_of, asked, as_json=as_json)
        return
    with _client(command_line(context)) as client:
        answer = client.recommend(user, after=_position(after), timeout_s=timeout_s, **options)
    print_answer(answer, as_json=as_json)


def _check_all(everybody: bool, output: str | None, others: dict[str, object]) -> None:
    if not everybody or output is None:
        raise typer.BadParameter("--all and --output go together")
    for name, value in others.items():
        if value is not None:
            raise typer.BadParameter(f"{name} does not go with --all")


def similar(
    context: typer.Context,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's id.")],
    user: Annotated[str | None, typer.Option(help="Exclude what this user already likes.")] = None,
    count: Count = None,
    exclude: Exclude = None,
    diversity: Diversity = None,
    novelty: Novelty = None,
    include_liked: IncludeLiked = None,
    fill: Fill = None,
    where: Filter = None,
    only: Only = None,
    boost: Boosts = None,
    pin: Pins = None,
    max_per: MaxPer = None,
    fields: Fields = None,
    rotation: Rotation = None,
    next_of: NextOf = None,
    scenario: ScenarioName = None,
    after: After = None,
    timeout_s: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Find items liked by the users who like this item, best first.

    ```
    likewise similar i1
    likewise similar i1 --user u1 --count 5
    likewise similar i1 --where '{"price": {"$lte": 20}}' --fields title,price
    ```

    The exit code is 4 if no answer arrives in time.
    """
    with _client(command_line(context)) as client:
        answer = client.similar(
            item,
            user_id=user,
            after=_position(after),
            next_of=next_of,
            scenario=scenario,
            timeout_s=timeout_s,
            **_given(
                count=count,
                exclude=listed(exclude),
                diversity=diversity,
                novelty=novelty,
                include_liked=include_liked,
                fill=fill,
                where=where,
                only=listed(only),
                boost=boost,
                pin=pin,
                max_per=max_per,
                fields=listed(fields),
                rotation=rotation,
            ),
        )
    print_answer(answer, as_json=as_json)


def users(
    context: typer.Context,
    item: Annotated[
        str | None, typer.Option("--for", metavar="ITEM", help="Users who would like this item.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option("--like", metavar="USER", help="Users whose taste is like this user's."),
    ] = None,
    count: Count = None,
    timeout_s: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Find users who would like an item, or users like a user, best first.

    ```
    likewise users --for i1
    likewise users --like u1 --count 5
    ```

    Needs a model with user ids: set `model.user_ids` for the indexer.
    """
    if (item is None) == (user is None):
        raise typer.BadParameter("give either --for ITEM or --like USER")
    options = _given(count=count, timeout_s=timeout_s)
    with _client(command_line(context)) as client:
        found = (
            client.users_for(item, **options)
            if item is not None
            else client.users_like(str(user), **options)
        )
    if as_json:
        print_json(found)
        return
    rows = table("#rank", "user", "#score")
    for rank, one in enumerate(found, start=1):
        rows.add_row(str(rank), plain(one.user_id), f"{one.score:.4g}")
    stdout().print(rows if found else "no such users")


def _client(cli: CommandLine) -> Likewise:
    from likewise.client.client import Likewise

    return Likewise(settings=cli.settings.kafka)


def _given(**options: Any) -> Any:
    """Return the options that were given; the others are left to the scenario or the server."""
    return {name: value for name, value in options.items() if value is not None}


def _position(text: str | None) -> Position | None:
    return None if text is None else Position.parse(text)
