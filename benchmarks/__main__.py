"""`python -m benchmarks`: run every benchmark, one after the other, and write docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure import Full, Quick
from benchmarks.render import ORDER, render
from benchmarks.results import RESULTS


def main(
    quick: Quick = False,
    full: Full = False,
    only: Annotated[list[str] | None, typer.Option(help="Run only this one; repeatable.")] = None,
) -> None:
    """Run the benchmarks, each in a separate process, and write docs/benchmarks.md.

    A quick run says that everything works and leaves results and page alone. One that fails ends
    the run with its error; the others' results stay.
    """
    began_s = time.monotonic()
    for name in only or existing():
        command = [sys.executable, "-m", f"benchmarks.{name}", *_options(name, quick, full)]
        typer.echo(f"[{time.monotonic() - began_s:4.0f} s] {name}", err=True)
        done = subprocess.run(command, check=False)
        if done.returncode:
            typer.echo(f"{name} failed", err=True)
            raise typer.Exit(1)
    if quick:
        with tempfile.TemporaryDirectory() as directory:
            render(RESULTS / "quick", Path(directory))
    else:
        typer.echo(f"[{time.monotonic() - began_s:4.0f} s] written: {render().name}", err=True)


def existing() -> list[str]:
    """Return the names of the benchmarks, in order."""
    return [name for name in ORDER if find_spec(f"benchmarks.{name}") is not None]


_HAVE_LARGE_SIZES = {"ingest", "serving", "model", "search"}


def _options(name: str, quick: bool, full: bool) -> list[str]:
    if quick:
        return ["--quick"]
    return ["--full"] if full and name in _HAVE_LARGE_SIZES else []


if __name__ == "__main__":
    typer.run(main)
