"""`dislike`, `hide`, `signal`, their opposites, and `merge-users`: events beyond likes."""

from __future__ import annotations

from typing import Annotated

import typer

from likewise.cli.context import command_line
from likewise.cli.options import Json
from likewise.cli.publishing import Items, Recommendation, User, publish, publish_about_items

Kind = Annotated[
    str,
    typer.Argument(metavar="KIND", help="A kind that the settings name in [signals], such as buy."),
]


def dislike(
    context: typer.Context,
    user: User,
    items: Items,
    recommendation: Recommendation = None,
    as_json: Json = False,
) -> None:
    """Record that a user dislikes items: they are not shown again, and similar items move down.

    ```
    likewise dislike u1 i1 i2
    ```
    """
    publish_about_items(
        command_line(context),
        "dislike",
        user,
        items,
        recommendation=recommendation,
        as_json=as_json,
    )


def undislike(context: typer.Context, user: User, items: Items, as_json: Json = False) -> None:
    """Remove dislikes of a user.

    ```
    likewise undislike u1 i2
    ```
    """
    publish_about_items(command_line(context), "undislike", user, items, as_json=as_json)


def hide(
    context: typer.Context,
    user: User,
    items: Items,
    recommendation: Recommendation = None,
    as_json: Json = False,
) -> None:
    """Never show items to a user again, without an effect on other items.

    ```
    likewise hide u1 i1
    ```
    """
    publish_about_items(
        command_line(context), "hide", user, items, recommendation=recommendation, as_json=as_json
    )


def unhide(context: typer.Context, user: User, items: Items, as_json: Json = False) -> None:
    """Allow hidden items again.

    ```
    likewise unhide u1 i1
    ```
    """
    publish_about_items(command_line(context), "unhide", user, items, as_json=as_json)


def signal(
    context: typer.Context,
    kind: Kind,
    user: User,
    items: Items,
    recommendation: Recommendation = None,
    as_json: Json = False,
) -> None:
    """Record what a user did with items. The settings give each kind its weight.

    ```
    likewise signal buy u1 i1 i2
    ```
    """
    publish_about_items(
        command_line(context),
        "signal",
        user,
        items,
        kind=kind,
        recommendation=recommendation,
        as_json=as_json,
    )


def unsignal(
    context: typer.Context, kind: Kind, user: User, items: Items, as_json: Json = False
) -> None:
    """Remove signals of a user.

    ```
    likewise unsignal buy u1 i2
    ```
    """
    publish_about_items(command_line(context), "unsignal", user, items, kind=kind, as_json=as_json)


def merge_users(
    context: typer.Context,
    guest: Annotated[str, typer.Argument(metavar="GUEST", help="The guest's user id.")],
    into: Annotated[str, typer.Argument(metavar="USER", help="The user id of the account.")],
    as_json: Json = False,
) -> None:
    """Move everything that a guest likes and signalled into an account.

    ```
    likewise merge-users guest-1 u1
    ```
    """
    subjects: list[dict[str, str | None]] = [{"user_id": guest, "into": into}]
    publish(command_line(context), "merge_users", subjects, as_json=as_json)
