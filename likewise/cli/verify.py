"""`verify`: compares Redis with the log, and repairs it on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from likewise.cli.context import command_line
from likewise.cli.exit_codes import FAILED
from likewise.cli.options import Json
from likewise.cli.output import complain, plain, print_json, progress, stdout, table
from likewise.cli.verify_documents import documents_as_json, print_documents, verify_documents
from likewise.errors import LikewiseError, PositionMovedError

if TYPE_CHECKING:
    from likewise.operations.document_verification import DocumentVerifier
    from likewise.operations.expected_state import Difference
    from likewise.operations.verification import Verification, Verifier

_SHOWN_USERS = 10
_SHOWN_ITEMS = 5


def verify(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Correct Redis where the log proves it wrong.")
    ] = False,
    allow_unproven: Annotated[
        bool,
        typer.Option("--allow-unproven", help="Exit with 0 even if the log is incomplete."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Replay likes, signals and documents and compare the result with Redis. Exit code 1 if they differ.

    Documents are items, scenarios and experiments.

    The log is replayed up to the positions that Redis has applied, so services can keep running, and
    events that are not applied yet do not count as differences. If retention has removed events, the
    log cannot prove some likes: they are counted separately, and the exit code is 1 unless
    `--allow-unproven` is given.

    `--repair` changes only what the log proves wrong. If a consumer applies an event to the same
    data in the meantime, the repair stops and says so; stop the consumers if that keeps happening.

    ```
    likewise verify
    likewise verify --repair --json
    likewise verify --allow-unproven
    ```
    """
    from likewise.operations.verification import Verifier

    cli = command_line(context)
    with cli.broker() as broker, cli.store() as store:
        if not broker.partitions(cli.topics.likes):
            raise LikewiseError(
                f"the topic {cli.topics.likes} does not exist: there is nothing to compare with"
            )
        verifier = Verifier(
            broker,
            store,
            cli.topics.likes,
            cli.settings.kafka.partitioner,
            cli.settings.signals.accepted,
        )
        found = _run(verifier)
        repaired = _repair(verifier) if repair else None
        documents = verify_documents(cli, broker, store, _repair if repair else None)
    if as_json:
        print_json(_as_json(found, repaired) | documents_as_json(documents))
    else:
        print_documents(documents)
        _print(found, repaired)
    repaired_all = repair and not found.beyond_log and not found.unsettled
    whole = found.whole and not found.unproven_users
    proven = allow_unproven or (whole and all(one.found.whole for one in documents.values()))
    fine = (found.equal or repaired_all) and all(one.fine for one in documents.values())
    if not (proven and fine):
        raise typer.Exit(FAILED)


def _run(verifier: Verifier) -> Verification:
    with progress() as bars:
        replayed = bars.add_task("replaying the log", total=None)
        compared = bars.add_task("comparing users", total=None)
        return verifier.run(
            lambda read, total: bars.update(replayed, completed=read, total=total),
            lambda users, total: bars.update(compared, completed=users, total=total),
        )


def _repair(verifier: Verifier | DocumentVerifier) -> int:
    try:
        return verifier.repair()
    except PositionMovedError as error:
        raise LikewiseError(
            "a consumer applied events during the repair, so the repair is incomplete; run it again, "
            "or stop the consumers first"
        ) from error


def _as_json(found: Verification, repaired: int | None) -> dict[str, Any]:
    return {
        "equal": found.equal,
        "events": found.events,
        "invalid_events": found.invalid,
        "unapplied_events": found.lag,
        "users": found.users,
        "differing_users": {
            user: _difference(found.differences[user]) for user in found.wrong_users
        },
        "retired": _difference(found.retired),
        "log_begins_at": {
            str(partition.partition): at for partition, at in found.beginnings.items()
        },
        "scattered_users": found.scattered,
        "unproven_users": found.unproven_users,
        "beyond_log": {str(partition.partition): at for partition, at in found.beyond_log.items()},
        "unsettled_users": sorted(found.unsettled),
        "repaired_users": repaired,
    }


def _difference(found: Difference) -> dict[str, list[Any]]:
    """Return the differences as text: an item that is liked, `kind:item` for a signal."""
    return {name: sorted(map(str, getattr(found, name))) for name in ("missing", "extra")}


def _print(found: Verification, repaired: int | None) -> None:
    out = stdout()
    out.print(
        f"{found.events:,} events replayed ({found.invalid:,} invalid, {found.lag:,} not applied yet), "
        f"{found.users:,} users compared"
    )
    if found.scattered:
        out.print(f"{found.scattered:,} users have events on several partitions")
    _print_limits(found)
    if found.wrong_users or found.retired.proven:
        _print_differences(found)
    if repaired is not None:
        out.print(f"repaired {repaired:,} users")
    elif found.equal:
        out.print("[green]Redis agrees with the log.[/]")
        if not found.proven:
            complain(
                "the log is incomplete, so this proves only a part; --allow-unproven accepts that"
            )


def _print_limits(found: Verification) -> None:
    """Print what the comparison cannot prove."""
    for (topic, number), at in found.beginnings.items():
        complain(f"{topic}/{number} begins at offset {at}: earlier events can't be verified")
    if found.unproven_users:
        complain(
            f"{found.unproven_users:,} users have likes or signals that the log can neither prove nor disprove"
        )
    for (topic, number), at in found.beyond_log.items():
        complain(
            f"{topic}/{number} ends before offset {at}, which Redis has applied: the topic was recreated"
        )
    if found.unsettled:
        complain(f"{len(found.unsettled):,} users changed too often to be compared; run it again")


def _print_differences(found: Verification) -> None:
    rows = table("user", "#missing", "#extra", "for example")
    if found.retired.proven:
        rows.add_row("(retired items)", *_cells(found.retired))
    for user in found.wrong_users[:_SHOWN_USERS]:
        rows.add_row(plain(user), *_cells(found.differences[user]))
    out = stdout()
    out.print(f"[red]{len(found.wrong_users):,} users differ[/]; the first ones:")
    out.print(rows)


def _cells(found: Difference) -> tuple[str, str, str]:
    shown = [f"-{one}" for one in sorted(map(str, found.missing))]
    shown += [f"+{one}" for one in sorted(map(str, found.extra))]
    examples = ", ".join(shown[:_SHOWN_ITEMS])
    return str(len(found.missing)), str(len(found.extra)), plain(examples)
