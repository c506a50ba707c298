"""`dead-letters`: list the records that were refused, and send them again."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import asdict

from likewise.cli.context import command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.options import Json
from likewise.cli.output import complain, plain, print_json, size, stdout, table
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.messages.dead_letters import DeadLetter
    from likewise.operations.dead_letter_replay import Found, Replayed

app = typer.Typer(
    no_args_is_help=True, help="List and replay the events and requests that were refused."
)

Reason = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Only those with this reason, such as `not_json`."),
]
_SHOWN_CHARACTERS = 2_000


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest N.")] = 50,
    reason: Reason = None,
    show: Annotated[bool, typer.Option("--show", help="Also show keys and values.")] = False,
    as_json: Json = False,
) -> None:
    """List dead letters, oldest first: offset, time, reason, and source of the record.

    With `--json`, keys and values are text and, byte for byte, Base64.

    ```
    likewise dead-letters list
    likewise dead-letters list --reason key_mismatch --show
    ```
    """
    from likewise.operations.dead_letter_selection import Selection, code_of, selected

    cli = command_line(context)
    newest: deque[Found] = deque(maxlen=limit)
    reasons: Counter[str] = Counter()
    with cli.broker() as broker:
        for found in selected(broker, cli.topics, Selection(codes=_codes(reason))):
            newest.append(found)
            reasons[code_of(found)] += 1
    if as_json:
        letters = [_as_json(found) for found in newest]
        print_json({"total": reasons.total(), "reasons": reasons, "dead_letters": letters})
        return
    _print(newest, reasons, show=show)


@app.command("replay")
def replay(
    context: typer.Context,
    reason: Reason = None,
    offset: Annotated[
        str | None,
        typer.Option(
            metavar="OFFSET", help="Only the dead letter at this offset, as `list` shows it."
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that were already replayed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Send dead letters to their topic again, byte for byte, after the cause is fixed.

    A replay starts after the last dead letter of the previous one, except with `--all`, `--reason` or
    `--offset`; what these select is not remembered. A record that is refused again becomes a new
    dead letter.

    A replayed event counts as new: a like overrides an unlike that came in between.

    ```
    likewise dead-letters replay --dry-run
    likewise dead-letters replay --reason unknown_action
    ```
    """
    from likewise.operations.dead_letter_selection import Selection, replay_selected

    cli = command_line(context)
    selection = Selection(
        codes=_codes(reason),
        position=None if offset is None else _position(offset),
        not_replayed=not (everything or reason or offset),
    )
    with cli.broker() as broker:
        counts = replay_selected(broker, cli.topics, selection, dry_run=dry_run)
    _report(counts, dry_run=dry_run, as_json=as_json)
    if counts.failed:
        raise typer.Exit(FAILED)


def _codes(reason: str | None) -> set[str] | None:
    return None if reason is None else {reason}


def _position(offset: str) -> Position:
    """Return the position of the dead letter at `12` (of partition 0) or `0:12`."""
    return Position.parse(offset if ":" in offset else f"0:{offset}")


def _as_json(found: Found) -> dict[str, Any]:
    from likewise.operations.dead_letter_selection import NOT_A_DEAD_LETTER, printable

    position, letter = found
    if letter is None:
        return {"offset": str(position), "reason": NOT_A_DEAD_LETTER}
    return {
        "offset": str(position),
        "reason": letter.code,
        "detail": letter.detail,
        "time": _time(letter),
        "source": {
            **letter.source._asdict(),
            "offset": letter.offset,
            "last_offset": letter.last_offset,
        },
        "headers": [[name, _base64(value)] for name, value in letter.headers],
        "key": printable(letter.key),
        "key_base64": _base64(letter.key),
        "value": printable(letter.value),
        "value_base64": _base64(letter.value),
        "truncated_bytes": letter.truncated_bytes,
    }


def _print(newest: Iterable[Found], reasons: Counter[str], *, show: bool) -> None:
    from likewise.operations.dead_letter_selection import NOT_A_DEAD_LETTER, printable

    out = stdout()
    if not reasons:
        out.print("no dead letters")
        return
    rows = table("offset", "time", "reason", "detail", "source", "#size")
    for position, letter in newest:
        if letter is None:
            rows.add_row(str(position), "", NOT_A_DEAD_LETTER, "not written by likewise")
            continue
        source = f"{letter.source.topic}/{letter.source.partition}:{letter.offset}"
        n_bytes = letter.truncated_bytes or len(letter.value or b"")
        rows.add_row(
            str(position), _time(letter), letter.code, plain(letter.detail), source, size(n_bytes)
        )
        if show:
            shown = f"{printable(letter.key)}: {printable(letter.value)}"
            rows.add_row("", "", "", plain(shown[:_SHOWN_CHARACTERS]))
    out.print(rows)
    counted = ", ".join(f"{count:,} {code}" for code, count in reasons.most_common())
    out.print(f"{reasons.total():,} in total: {counted}")


def _report(counts: Replayed, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(counts), "dry_run": dry_run})
        return
    stdout().print(f"{counts.sent:,} {'would be sent' if dry_run else 'sent'} again")
    if counts.without_value:
        complain(f"{counts.without_value:,} can't be sent (no value, too large, or unreadable)")
    if counts.foreign:
        complain(f"{counts.foreign:,} are not dead letters of this deployment's topics")
    if counts.failed:
        complain(f"{counts.failed:,} were not confirmed; run it again. The first ones:")
        for failure in counts.failures:
            complain(f"  {failure}")


def _time(letter: DeadLetter) -> str:
    try:
        moment = datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # a producer may write any number
        return f"{letter.timestamp_ms} ms"
    return moment.isoformat(timespec="seconds")


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw).decode()
