"""`recommend --as-of`: what would have been recommended at a moment of the past, and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from likewise.cli.answers import print_answer
from likewise.cli.build_progress import build_progress
from likewise.cli.exit_codes import INCOMPLETE
from likewise.cli.output import complain, plain, print_json, stdout
from likewise.messages.times import iso_time

if TYPE_CHECKING:
    from likewise.cli.context import CommandLine
    from likewise.evaluation.past.answers import AnswerThen
    from likewise.messages.positions import Position

_NOT_KEPT = ("rotation", "explore", "next_of", "after")
_SHOWN_LIKES = 20


def recommend_as_of(cli: CommandLine, as_of: str, fields: dict[str, Any], *, as_json: bool) -> None:
    """Print what servers would have answered to the request at that moment.

    Raises:
        typer.Exit: with `INCOMPLETE`, if the log or the disk has lost a part of what the answer needs.
    """
    from likewise.evaluation.past.answers import answer_then
    from likewise.evaluation.past.moments import moment_of
    from likewise.messages.request_decoding import parse_request

    named = _named(as_of)
    given = {name: value for name, value in fields.items() if value is not None}
    for name in _NOT_KEPT:
        if name in given:
            raise typer.BadParameter(f"--{name.replace('_', '-')} does not go with --as-of")
    if given.get("source") not in {None, "model", "popular"}:
        raise typer.BadParameter("with --as-of, --source is `model` or `popular`")
    request = parse_request(given)
    with cli.broker() as broker, cli.store() as store, build_progress() as progress:
        moment = moment_of(broker, cli.topics.likes, named)
        found = answer_then(broker, store, cli.topics, cli.settings, request, moment, progress)
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    if found.missing:
        raise typer.Exit(INCOMPLETE)


def _named(text: str) -> int | Position:
    from likewise.errors import InvalidInputError
    from likewise.evaluation.past.moments import parse_moment

    now_ms = time.time_ns() // 1_000_000
    try:
        named = parse_moment(text, now_ms=now_ms)
    except InvalidInputError as error:
        raise typer.BadParameter(
            f"--as-of {text!r} is neither a time (2026-01-31T12:00, 2h ago, yesterday 14:00) nor a position "
            f"(3:1042): {error.message}"
        ) from error
    if isinstance(named, int) and named > now_ms:
        raise typer.BadParameter(f"--as-of {text!r} is in the future: {iso_time(named)}")
    return named


def _as_json(found: AnswerThen) -> dict[str, Any]:
    position = found.moment.position
    return {
        "as_of": iso_time(found.moment.time_ms),
        "position": None if position is None else str(position),
        "complete": not found.missing,
        "missing": found.missing,
        "model": {
            "version": found.model.version,
            "certain": found.model.certain,
            "reason": found.model.reason,
        },
        "likes": found.likes,
        "signals": found.signals,
        "partitions_read": list(found.partitions),
        "events": found.events,
        "answer": msgspec.to_builtins(found.answer),
    }


def _print(found: AnswerThen) -> None:
    print_answer(found.answer, as_json=False)
    out = stdout()
    sure = "" if found.model.certain else "most likely "
    out.print(f"[dim]as of {plain(str(found.moment))}; {sure}{plain(found.model.reason)}[/]")
    if found.answer.user_id is not None:
        shown = ", ".join(map(plain, found.likes[:_SHOWN_LIKES]))
        more = len(found.likes) - _SHOWN_LIKES
        tail = f" and {more:,} more" if more > 0 else ""
        out.print(f"[dim]{len(found.likes):,} likes then: {shown}{tail}[/]")
    for sentence in found.missing:
        complain(f"incomplete: {sentence}")
