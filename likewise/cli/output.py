"""What commands print: results on standard output, everything else on standard error.

With `--json`, standard output is JSON and nothing else.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

_WIDTH_OF_A_PIPE = 200
"""Without a terminal, tables are not cut to 80 columns."""


def stdout() -> Console:
    """Return a console for results; without colours if it is not a terminal."""
    from rich.console import Console

    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=_WIDTH_OF_A_PIPE if piped else None, highlight=False)


def stderr() -> Console:
    """Return a console for everything but results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def complain(sentence: str) -> None:
    """Print one red sentence on standard error, without interpreting markup."""
    stderr().print(f"likewise: {sentence}", style="red", markup=False)


def note(sentence: str) -> None:
    """Print one sentence on standard error that is neither result nor complaint."""
    stderr().print(f"likewise: {sentence}", style="dim", markup=False)


@contextmanager
def ignoring_closed_pipe() -> Iterator[None]:
    """End quietly if the reader of standard output goes away, as in `export - | head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: object) -> None:
    """Print one JSON value, indented; structs and dataclasses become objects."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=str)))


def table(*columns: str, title: str | None = None) -> Table:
    """Return a plain table; columns whose name starts with `#` are right-aligned numbers."""
    from rich.table import Table

    made = Table(title=title, box=None, title_justify="left", pad_edge=False, header_style="bold")
    for column in columns:
        right: Any = "right" if column.startswith("#") else "left"
        made.add_column(column.removeprefix("#"), justify=right)
    return made


def plain(text: str) -> str:
    """Return the text for a table cell, with its markup escaped."""
    from rich.markup import escape

    return escape(text)


def progress(*columns: Any) -> Progress:
    """Return progress bars on standard error, which show nothing if it is not a terminal."""
    from rich.progress import Progress

    return Progress(*columns, console=stderr(), disable=not sys.stderr.isatty(), transient=True)


def duration(seconds: float) -> str:
    """Return the duration for people: "0.4 s", "12 s", "3 min", "5 h", "2 d"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit_s, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"


def size(n_bytes: int) -> str:
    """Return the size for people: "512 B", "3.1 MB"."""
    amount, units = float(n_bytes), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while amount >= 1000 and (larger := next(units, None)):
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
