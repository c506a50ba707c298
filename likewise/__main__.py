"""`likewise`, or `python -m likewise`: the command line, where its extra is installed."""

from __future__ import annotations

import sys
from pathlib import Path

_MISSING_EXTRA = 3  # as in likewise.cli.exit_codes, which may not be importable


def main() -> None:
    """Run one command and exit with its code; see likewise/cli/exit_codes.py."""
    try:
        from likewise.cli.app import app
    except ModuleNotFoundError as error:
        from likewise.extras import missing_extra

        missing = missing_extra(error)
        if missing is None:
            raise
        sys.stderr.write(f"likewise: {missing}\n")
        sys.exit(_MISSING_EXTRA)
    app(prog_name="likewise")


def _ignore_the_current_directory() -> None:
    """Import nothing from the current directory, unless likewise itself is imported from there.

    `python -m` puts it first on the path; a folder `consumers` in it would hide ours.
    """
    source = str(Path(__file__).parents[1])
    if not sys.flags.safe_path and sys.path[0] != source:
        del sys.path[0]


if __name__ == "__main__":
    _ignore_the_current_directory()
    main()
