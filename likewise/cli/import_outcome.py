"""What `import` and `items import` share: waiting, the exit code, and the account of what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likewise.cli.exit_codes import FAILED, ROWS_LEFT_OUT
from likewise.cli.output import complain, stdout
from likewise.cli.reading_bar import reading_bar, speed_of

if TYPE_CHECKING:
    from likewise.cli.context import CommandLine
    from likewise.cli.reading_report import LayoutTeller
    from likewise.client.bulk import Published
    from likewise.operations.files.importing import RowCounts

SHOWN = 5
"""How many rows, layouts and failures are shown."""


def exit_code(counts: RowCounts, published: int) -> int:
    """Return the exit code after so many rows were published, or would be."""
    if not counts.bad:
        return 0
    return ROWS_LEFT_OUT if published else FAILED


def wait_until_all_applied(cli: CommandLine, published: Published) -> None:
    """Return once the consumers have applied everything; show a bar meanwhile."""
    from likewise.operations.applied import wait_until_applied

    with cli.store() as store, reading_bar("applying") as show:
        wait_until_applied(
            store,
            published.next_offsets,
            on_progress=lambda left: show(
                max(published.confirmed - left, 0), 1 - left / max(published.confirmed, left, 1)
            ),
        )


def account_of_rows(file: str, teller: LayoutTeller, counts: RowCounts) -> dict[str, Any]:
    """Return how the file was read, for JSON."""
    return {
        "file": file,
        "read_as": {name: str(layout) for name, layout in list(teller.layouts.items())[:SHOWN]},
        "rows": counts.rows,
        "bad_rows": counts.bad,
        "bad_rows_by_code": counts.bad_by_code,
        "first_bad_rows": [row._asdict() for row in counts.first_bad],
        "rows_without_their_time": counts.untimed,
    }


def account_of_publishing(
    published: Published, published_s: float, applied_s: float | None
) -> dict[str, Any]:
    """Return what was published, for JSON."""
    return {
        "published": published.confirmed,
        "failed": published.failed,
        "failures": published.failures,
        "published_s": round(published_s, 3),
        "applied_s": None if applied_s is None else round(applied_s, 3),
    }


def print_speed(
    published: Published, published_s: float, applied_s: float | None, what: str
) -> None:
    """Print how many were published, and applied, in which time."""
    stdout().print(f"published  {speed_of(published.confirmed, published_s, what)}")
    if applied_s is not None:
        stdout().print(f"applied    {speed_of(published.confirmed, applied_s, what)}")


def complain_of_failures(published: Published, what: str) -> None:
    """Say what the broker did not confirm, if anything."""
    if published.failed:
        complain(f"{published.failed:,} {what} were not confirmed; run it again. The first ones:")
        for failure in published.failures:
            complain(f"  {failure}")
