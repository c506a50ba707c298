"""Publishes the events of a command and prints where they are in the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from likewise.cli.likes_sink import likes_sink
from likewise.cli.output import print_json, stdout
from likewise.messages.events import encode_event, event_key, make_event
from likewise.messages.ids import parse_recommendation_id
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.cli.context import CommandLine

_CONFIRMATION_TIMEOUT_S = 30.0

User = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]
Item = Annotated[str, typer.Argument(metavar="ITEM", help="The item's id.")]
Items = Annotated[list[str], typer.Argument(metavar="ITEM...", help="One or more item ids.")]
Recommendation = Annotated[
    str | None,
    typer.Option(
        "--recommendation", metavar="ID", help="The recommendation id of the answer that led to it."
    ),
]


def publish_about_items(
    cli: CommandLine,
    action: str,
    user: str,
    items: Sequence[str],
    *,
    kind: str | None = None,
    recommendation: str | None = None,
    as_json: bool,
) -> None:
    """Publish an event of the user for each item; see `publish`."""
    named: dict[str, str | None] = {} if kind is None else {"kind": kind}
    subjects = [{**named, "user_id": user, "item_id": item} for item in items]
    publish(cli, action, subjects, recommendation=recommendation, as_json=as_json)


def publish(
    cli: CommandLine,
    action: str,
    subjects: Sequence[dict[str, str | None]],
    *,
    recommendation: str | None = None,
    as_json: bool,
) -> None:
    """Publish an event for each subject, which has the fields of the event without the action.

    Raises:
        InvalidInputError: a field is invalid; nothing was sent.
        TransientError: the broker did not confirm them all.
    """
    events = [make_event(action, **{"user_id": None, **fields}) for fields in subjects]
    if recommendation is not None:
        parse_recommendation_id(recommendation)
    now_ms = time.time_ns() // 1_000_000
    with likes_sink(cli) as sink:
        deliveries = [
            sink.send(
                cli.topics.likes,
                encode_event(event, timestamp_ms=now_ms, recommendation_id=recommendation),
                key=event_key(event),
            )
            for event in events
        ]
        positions = [
            str(Position(*delivery.result(_CONFIRMATION_TIMEOUT_S))) for delivery in deliveries
        ]
    if as_json:
        print_json(
            [
                {"action": action, **fields, "position": position}
                for fields, position in zip(subjects, positions, strict=True)
            ]
        )
        return
    for position in positions:
        stdout().print(position)
