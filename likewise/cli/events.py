"""`like`, `unlike`, `forget`, `retire` and `restore`: events, published and confirmed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from likewise.cli.context import command_line
from likewise.cli.options import Json
from likewise.cli.publishing import Item, Items, Recommendation, User, publish, publish_about_items


def like(
    context: typer.Context,
    user: User,
    items: Items,
    recommendation: Recommendation = None,
    as_json: Json = False,
) -> None:
    """Record that a user likes items.

    Prints the position of each event in the log; `recommend --after` waits for it.

    ```
    likewise like u1 i1 i2
    likewise recommend u1 --after "$(likewise like u1 i3)"
    ```
    """
    cli = command_line(context)
    publish_about_items(cli, "like", user, items, recommendation=recommendation, as_json=as_json)


def unlike(context: typer.Context, user: User, items: Items, as_json: Json = False) -> None:
    """Remove likes of a user.

    ```
    likewise unlike u1 i2
    ```
    """
    publish_about_items(command_line(context), "unlike", user, items, as_json=as_json)


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
    subjects: list[dict[str, str | None]] = [{"user_id": user, "item_id": None}]
    publish(command_line(context), "forget_user", subjects, as_json=as_json)


def retire(context: typer.Context, item: Item, as_json: Json = False) -> None:
    """Stop recommending an item. Its likes stay.

    ```
    likewise retire i1
    ```
    """
    subjects: list[dict[str, str | None]] = [{"user_id": None, "item_id": item}]
    publish(command_line(context), "retire_item", subjects, as_json=as_json)


def restore(context: typer.Context, item: Item, as_json: Json = False) -> None:
    """Recommend a retired item again.

    ```
    likewise restore i1
    ```
    """
    subjects: list[dict[str, str | None]] = [{"user_id": None, "item_id": item}]
    publish(command_line(context), "restore_item", subjects, as_json=as_json)
