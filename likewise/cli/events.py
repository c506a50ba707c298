"""`like`, `unlike`, `forget`, `retire` and `restore`: events, published and confirmed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.context import CommandLine, command_line
from likewise.cli.likes_sink import likes_sink
from likewise.cli.options import Json
from likewise.cli.output import print_json, stdout
from likewise.messages.events import encode_event, event_key, make_event
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONFIRMATION_TIMEOUT_S = 30.0

User = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]
Item = Annotated[str, typer.Argument(metavar="ITEM", help="The item's id.")]
Items = Annotated[list[str], typer.Argument(metavar="ITEM...", help="One or more item ids.")]


def like(context: typer.Context, user: User, items: Items, as_json: Json = False) -> None:
    """Record that a user likes items.

    Prints the position of each event in the log; `recommend --after` waits for it.

    ```
    likewise like u1 i1 i2
    likewise recommend u1 --after "$(likewise like u1 i3)"
    ```
    """
    _publish(command_line(context), "like", [(user, item) for item in items], as_json=as_json)


def unlike(context: typer.Context, user: User, items: Items, as_json: Json = False) -> None:
    """Remove likes of a user.

    ```
    likewise unlike u1 i2
    ```
    """
    _publish(command_line(context), "unlike", [(user, item) for item in items], as_json=as_json)


def forget(
    context: typer.Context,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Erase everything that Redis stores about a user.

    The user's events stay in the log until its retention removes them. On a terminal, the command
    asks for confirmation.

    ```
    likewise forget u1
    likewise forget u1 --yes
    ```
    """
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Erase everything about user {user!r}?", abort=True, err=True)
    _publish(command_line(context), "forget_user", [(user, None)], as_json=as_json)


def retire(context: typer.Context, item: Item, as_json: Json = False) -> None:
    """Stop recommending an item. Its likes stay.

    ```
    likewise retire i1
    ```
    """
    _publish(command_line(context), "retire_item", [(None, item)], as_json=as_json)


def restore(context: typer.Context, item: Item, as_json: Json = False) -> None:
    """Recommend a retired item again.

    ```
    likewise restore i1
    ```
    """
    _publish(command_line(context), "restore_item", [(None, item)], as_json=as_json)


def _publish(
    cli: CommandLine,
    action: str,
    subjects: Iterable[tuple[str | None, str | None]],
    *,
    as_json: bool,
) -> None:
    # An invalid id is reported before anything is sent.
    events = [(user, item, make_event(action, user, item)) for user, item in subjects]
    now_ms = time.time_ns() // 1_000_000
    with likes_sink(cli) as sink:
        deliveries = [
            sink.send(
                cli.topics.likes, encode_event(event, timestamp_ms=now_ms), key=event_key(event)
            )
            for _, _, event in events
        ]
        positions = [Position(*delivery.result(_CONFIRMATION_TIMEOUT_S)) for delivery in deliveries]
    if as_json:
        print_json(
            [
                {"action": action, "user_id": user, "item_id": item, "position": str(position)}
                for (user, item, _), position in zip(events, positions, strict=True)
            ]
        )
        return
    for position in positions:
        stdout().print(str(position))
