"""`like`, `unlike`, `forget`, `retire` and `restore`: one event each, published and confirmed."""

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
Items = Annotated[list[str], typer.Argument(metavar="ITEM...", help="Ids of items.")]


def like(context: typer.Context, user: User, items: Items, as_json: Json = False) -> None:
    """Say that a user likes items.

    Prints where each event stands in the log; `recommend --after` waits for it.

    ```
    likewise like u1 i1 i2
    likewise recommend u1 --after "$(likewise like u1 i3)"
    ```
    """
    _publish(command_line(context), "like", [(user, item) for item in items], as_json=as_json)


def unlike(context: typer.Context, user: User, items: Items, as_json: Json = False) -> None:
    """Take likes back.

    likewise unlike u1 i2
    """
    _publish(command_line(context), "unlike", [(user, item) for item in items], as_json=as_json)


def forget(
    context: typer.Context,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase what Redis holds of a user, now.

    The events that the user caused stay in the log until its retention removes them. On a terminal
    the command asks first.

    ```
    likewise forget u1
    likewise forget u1 --yes
    ```
    """
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Erase everything of user {user!r}?", abort=True, err=True)
    _publish(command_line(context), "forget_user", [(user, None)], as_json=as_json)


def retire(context: typer.Context, item: Item, as_json: Json = False) -> None:
    """Recommend an item to nobody any more; likes of it stay.

    likewise retire i1
    """
    _publish(command_line(context), "retire_item", [(None, item)], as_json=as_json)


def restore(context: typer.Context, item: Item, as_json: Json = False) -> None:
    """Let a retired item be recommended again.

    likewise restore i1
    """
    _publish(command_line(context), "restore_item", [(None, item)], as_json=as_json)


def _publish(
    cli: CommandLine,
    action: str,
    subjects: Iterable[tuple[str | None, str | None]],
    *,
    as_json: bool,
) -> None:
    # All are understood before the first is sent.
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
