"""`experiments verify`: computes an experiment again from the topics, and compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.context import command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.options import Json
from likewise.cli.output import complain, note, plain, print_json, progress, stdout, table

if TYPE_CHECKING:
    from likewise.operations.experiment_verification import (
        ExperimentVerification,
        ExperimentVerifier,
    )

_SHOWN = 20


def verify(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The experiment's name.")],
    as_json: Json = False,
) -> None:
    """Compute an experiment again from the topics, and compare with what was counted. Exit code 1 if they differ.

    Reads the definition, the lists that were shown and all likes since the start: recomputes who gets which
    variant, which like counts for which list, and the verdict. The topics are read up to the positions that
    the consumers have counted, so services can keep running.

    ```
    likewise experiments verify ridge
    likewise experiments verify ridge --json | jq .verdict
    ```
    """
    from likewise.operations.experiment_verification import ExperimentVerifier

    cli = command_line(context)
    with cli.broker() as broker, cli.store() as store:
        found = _run(ExperimentVerifier(broker, store, cli.topics, name))
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    if not found.proven:
        raise typer.Exit(FAILED)


def _run(verifier: ExperimentVerifier) -> ExperimentVerification:
    with progress() as bars:
        bar = bars.add_task("replaying the topics", total=None)
        return verifier.run(lambda read, total: bars.update(bar, completed=read, total=total))


def _verdict(found: ExperimentVerification) -> dict[str, Any]:
    from likewise.experiments.verdict import verdict_json, verdict_of

    return verdict_json(verdict_of(found.experiment, found.expected))


def _as_json(found: ExperimentVerification) -> dict[str, Any]:
    return {
        "experiment": found.experiment.name,
        "equal": found.equal,
        "proven": found.proven,
        "lists": found.lists,
        "likes": found.likes,
        "invalid_exposures": found.invalid,
        "not_counted_yet": found.not_counted_yet,
        "definition_differs": found.definition_differs,
        "differences": {
            field: {"log": log, "stored": stored}
            for field, (log, stored) in found.differences.items()
        },
        "misassigned_lists": found.misassigned,
        "late_records": found.late,
        "forgotten_or_merged_users": found.forgotten,
        "records_removed_from": [f"{topic}/{partition}" for topic, partition in found.removed_from],
        "tally": found.expected,
        "verdict": _verdict(found),
    }


def _print(found: ExperimentVerification) -> None:
    out = stdout()
    out.print(
        f"{found.lists:,} lists and {found.likes:,} likes replayed "
        f"({found.invalid:,} invalid exposures, {found.not_counted_yet:,} offsets not counted yet)"
    )
    for topic, partition in found.removed_from:
        complain(
            f"retention may have removed records of {topic}/{partition} since the experiment started: "
            "the log cannot prove the counts"
        )
    if found.definition_differs:
        complain("Redis has another definition of the experiment than the topic")
    if found.misassigned:
        _print_misassigned(found)
    if found.differences:
        _print_differences(found)
    if found.equal:
        out.print("[green]The counts agree with the log, and every list with the hash.[/]")
    out.print(_verdict(found)["sentence"], markup=False)


def _print_differences(found: ExperimentVerification) -> None:
    rows = table("count (scenario/variant/name)", "#log", "#Redis")
    for field, (log, stored) in [*found.differences.items()][:_SHOWN]:
        rows.add_row(plain(field), f"{log:,}", f"{stored:,}")
    out = stdout()
    out.print(f"[red]{len(found.differences):,} counts differ[/]; the first ones:")
    out.print(rows)
    if found.forgotten:
        note(
            f"{found.forgotten:,} times a user was forgotten or merged: later likes of lists shown before "
            "do not count in Redis"
        )
    if found.late:
        note(f"{found.late:,} records came more than an hour late; Redis may not count them")


def _print_misassigned(found: ExperimentVerification) -> None:
    rows = table("user", "variant in the log", "by the hash")
    for user, logged, by_hash in found.misassigned_examples:
        rows.add_row(plain(user), plain(logged or "-"), plain(by_hash or "-"))
    out = stdout()
    out.print(f"[red]{found.misassigned:,} lists have another variant than the hash gives[/]:")
    out.print(rows)
