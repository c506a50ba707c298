"""`dead-letters`: list the records that were refused, and send them again."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter, deque
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec.structs import asdict

from likewise.cli.context import command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.options import Json
from likewise.cli.output import complain, plain, print_json, size, stdout, table
from likewise.errors import LikewiseError
from likewise.messages.positions import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from likewise.log.port import Broker
    from likewise.messages.dead_letters import DeadLetter
    from likewise.operations.dead_letter_replay import Found, Replayed
    from likewise.records import TopicPartition

    Offsets = Mapping[TopicPartition, int]

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
    cli = command_line(context)
    with cli.broker() as broker:
        newest: deque[Found] = deque(maxlen=limit)
        reasons: Counter[str] = Counter()
        for found in _read(broker, *_ends(broker, cli.topics.dead_letters), reason):
            newest.append(found)
            reasons[_code(found)] += 1
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
    from likewise.operations.dead_letter_replay import ReplayPosition
    from likewise.operations.dead_letter_replay import replay as send_again

    cli = command_line(context)
    with cli.broker() as broker, closing(broker.sink()) as sink:
        cursor = ReplayPosition(broker, cli.topics.dead_letters)
        start, end = _ends(broker, cli.topics.dead_letters)
        if offset is not None:
            start, end = _only(offset, start, end)
        elif not (everything or reason):
            start = cursor.read()
        counts = send_again(
            _read(broker, start, end, reason),
            None if dry_run else sink,
            {cli.topics.likes, cli.topics.requests, *cli.topics.catalogue},
        )
        if start != end and not (dry_run or reason or offset or counts.failed):
            cursor.move(end)
    _report(counts, dry_run=dry_run, as_json=as_json)
    if counts.failed:
        raise typer.Exit(FAILED)


def _ends(broker: Broker, topic: str) -> tuple[Offsets, Offsets]:
    partitions = broker.partitions(topic)
    return broker.beginning_offsets(partitions), broker.end_offsets(partitions)


def _only(offset: str, beginning: Offsets, end: Offsets) -> tuple[Offsets, Offsets]:
    """Return the range of the one dead letter at `12` (of partition 0) or `0:12`."""
    at = Position.parse(offset if ":" in offset else f"0:{offset}")
    for partition, first in beginning.items():
        if partition.partition == at.partition and first <= at.offset < end[partition]:
            return {partition: at.offset}, {partition: at.offset + 1}
    raise LikewiseError(f"there is no dead letter at offset {at}")


def _read(broker: Broker, start: Offsets, end: Offsets, reason: str | None) -> Iterator[Found]:
    from likewise.operations.dead_letter_replay import read_dead_letters

    for found in read_dead_letters(broker, start, end):
        if reason is None or reason == _code(found):
            yield found


def _code(found: Found) -> str:
    return "not_a_dead_letter" if found.letter is None else found.letter.code


def _as_json(found: Found) -> dict[str, Any]:
    position, letter = found
    if letter is None:
        return {"offset": str(position), "reason": _code(found)}
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
        "key": _text(letter.key),
        "key_base64": _base64(letter.key),
        "value": _text(letter.value),
        "value_base64": _base64(letter.value),
        "truncated_bytes": letter.truncated_bytes,
    }


def _print(newest: Iterable[Found], reasons: Counter[str], *, show: bool) -> None:
    out = stdout()
    if not reasons:
        out.print("no dead letters")
        return
    rows = table("offset", "time", "reason", "detail", "source", "#size")
    for position, letter in newest:
        if letter is None:
            rows.add_row(str(position), "", "not_a_dead_letter", "not written by likewise")
            continue
        source = f"{letter.source.topic}/{letter.source.partition}:{letter.offset}"
        n_bytes = letter.truncated_bytes or len(letter.value or b"")
        rows.add_row(
            str(position), _time(letter), letter.code, plain(letter.detail), source, size(n_bytes)
        )
        if show:
            shown = f"{_text(letter.key)}: {_text(letter.value)}"
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


def _text(raw: bytes | None) -> str | None:
    """Return the bytes for people: invalid UTF-8 and control characters are escaped."""
    if raw is None:
        return None
    text = raw.decode(errors="backslashreplace")
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw).decode()
