"""`recommend` and `similar`: requests over Kafka, as any app sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.answers import print_answer
from likewise.cli.context import CommandLine, command_line
from likewise.cli.options import Json
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
    likewise recommend u1 --where '{"categories": "drama"}' --fields title,price
    likewise recommend u1 --boost '1.5={"lang": "en"}' --max-per artist=2
    likewise recommend --source trending
    ```

    The exit code is 4 if no answer arrives in time.
    """
    if (user is None) == (liked is None) and (user is not None or source in {None, "model"}):
        raise typer.BadParameter("give either USER or --liked")
    with _client(command_line(context)) as client:
        answer = client.recommend(
            user,
            liked=listed(liked),
            after=_position(after),
            next_of=next_of,
            scenario=scenario,
            timeout_s=timeout_s,
            **_given(
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
            ),
        )
    print_answer(answer, as_json=as_json)


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


def _client(cli: CommandLine) -> Likewise:
    from likewise.client.client import Likewise

    return Likewise(settings=cli.settings.kafka)


def _given(**options: Any) -> Any:
    """Return the options that were given; the others are left to the scenario or the server."""
    return {name: value for name, value in options.items() if value is not None}


def _position(text: str | None) -> Position | None:
    return None if text is None else Position.parse(text)
