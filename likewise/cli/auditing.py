"""`audit likes`: names users whose likes are not human, with evidence. Excludes nobody."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.build_progress import build_progress
from likewise.cli.context import command_line
from likewise.cli.options import Json, LikesFile
from likewise.cli.output import note, plain, print_json, stdout, table
from likewise.cli.reading_likes import complain_of, read_likes
from likewise.cli.reading_options import with_reading_options, with_signal_kinds
from likewise.operations.files.options import ReadOptions

if TYPE_CHECKING:
    from likewise.evaluation.audit.evidence import Findings, Limits, Suspect
    from likewise.evaluation.likes.sources import Read

app = typer.Typer(no_args_is_help=True, help="Examine likes for bots and accidents.")

_SHOWN = 30
_SHOWN_MEMBERS = 3
_SHOWN_REASONS = 4
_LIMITS = "Limits"


@app.callback()
def _group() -> None:
    """Examine likes for bots and accidents."""


@app.command()
@with_reading_options
def likes(
    context: typer.Context,
    reading: ReadOptions,
    file: LikesFile = None,
    from_topic: Annotated[
        bool, typer.Option("--from-topic", help="Examine the likes topic, with its times.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the ids of the users named, one a line, for `indexer.excluded_users_file`.",
        ),
    ] = None,
    per_minute: Annotated[
        float,
        typer.Option(
            "--rate", min=0.1, help="Likes a minute that nobody sustains.", rich_help_panel=_LIMITS
        ),
    ] = 30.0,
    sustained_min: Annotated[
        float,
        typer.Option("--minutes", min=0.1, help="For so many minutes.", rich_help_panel=_LIMITS),
    ] = 10.0,
    breadth: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=1,
            help="Share of the catalogue that nobody likes.",
            rich_help_panel=_LIMITS,
        ),
    ] = 0.5,
    group: Annotated[
        int,
        typer.Option("--group", min=2, help="Smallest lockstep group.", rich_help_panel=_LIMITS),
    ] = 3,
    overlap: Annotated[
        float,
        typer.Option(
            min=0.05,
            max=1,
            help="Share of likes that users in lockstep have in common, at nearly the same times.",
            rich_help_panel=_LIMITS,
        ),
    ] = 0.5,
    strict: bool = False,
    as_json: Json = False,
) -> None:
    """Name users whose likes are not human, with evidence. Nobody is excluded by this command.

    A user is named for liking faster than people do for minutes, for liking day and night, for liking
    too much of the catalogue or a lot of it without regard to popularity, and for liking nearly the
    same items at nearly the same times as others do. The limits are far from what people do.

    To leave users out of the models, write their ids with `--output`, review them, and set
    `indexer.excluded_users_file` to the file. `likewise evaluate --exclude FILE` measures what
    that changes.

    ```
    likewise audit likes --from-topic
    likewise audit likes likes.csv.gz --output bots.txt
    likewise evaluate likes.csv.gz --exclude bots.txt
    ```
    """
    from likewise.evaluation.audit.audit import audit
    from likewise.evaluation.audit.evidence import Limits

    if (file is None) is not from_topic:
        raise typer.BadParameter("give exactly one source: FILE or --from-topic")
    limits = Limits(per_minute, sustained_min, breadth, group=group, overlap=overlap)
    reading = with_signal_kinds(reading, None)
    with build_progress() as progress:
        progress.step("reading")
        read, _ = read_likes(command_line(context), file, reading, progress, strict=strict)
        found = audit(read.likes, progress, limits)
    if output is not None:
        _write(output, found)
    if as_json:
        print_json(_as_json(found, limits))
    else:
        _print(found, read, output)


def _write(path: Path, found: Findings) -> None:
    from likewise.operations.files.user_lists import write_user_list

    remark = f"{len(found.suspects)} of {found.users} users, named by `likewise audit likes`"
    write_user_list(path, sorted(one.user_id for one in found.suspects), [remark])


def _as_json(found: Findings, limits: Limits) -> dict[str, Any]:
    return {
        "users": found.users,
        "items": found.items,
        "likes": found.likes,
        "times_considered": found.timed,
        "limits": asdict(limits),
        "notes": found.notes,
        "named": [
            {
                "user_id": one.user_id,
                "likes": one.likes,
                "group": one.group,
                "reasons": [
                    {"kind": reason.kind, "sentence": reason.sentence, **reason.facts}
                    for reason in one.reasons
                ],
            }
            for one in found.suspects
        ],
    }


def _print(found: Findings, read: Read, output: Path | None) -> None:
    complain_of(read)
    for sentence in found.notes:
        note(sentence)
    out = stdout()
    examined = f"{found.likes:,} likes of {found.users:,} users and {found.items:,} items"
    if not found.suspects:
        out.print(f"{examined}: nobody is named.")
        return
    rows = _rows(found.suspects)
    out.print(_table(rows[:_SHOWN]))
    if (more := len(rows) - _SHOWN) > 0:
        out.print(f"and {more:,} more rows: --json has all, --output writes the ids")
    theirs = sum(one.likes for one in found.suspects)
    out.print(
        f"{examined}: {len(found.suspects):,} users are named, with {theirs / found.likes:.1%} of the "
        "likes. Nobody is excluded."
    )
    if output is None:
        note("write their ids with --output; `likewise evaluate --exclude` measures their effect")
    else:
        out.print(f"Their ids are in {output}.", markup=False)


def _rows(suspects: list[Suspect]) -> list[list[Suspect]]:
    """Return the suspects, those of a group together."""
    rows: dict[object, list[Suspect]] = {}
    for one in suspects:
        rows.setdefault(one.user_id if one.group is None else one.group, []).append(one)
    return list(rows.values())


def _table(rows: list[list[Suspect]]) -> Any:
    shown = table("user", "#likes", "evidence")
    for suspects in rows:
        names = ", ".join(one.user_id for one in suspects[:_SHOWN_MEMBERS])
        more = len(suspects) - _SHOWN_MEMBERS
        sentences = dict.fromkeys(reason.sentence for one in suspects for reason in one.reasons)
        evidence = [*sentences]
        tail = (
            f" and {len(evidence) - _SHOWN_REASONS} more" if len(evidence) > _SHOWN_REASONS else ""
        )
        shown.add_row(
            plain(f"{names} and {more:,} more" if more > 0 else names),
            f"{sum(one.likes for one in suspects):,}",
            plain("; ".join(evidence[:_SHOWN_REASONS]) + tail),
        )
    return shown
