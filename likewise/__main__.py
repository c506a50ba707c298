"""`likewise`, or `python -m likewise`: the command line, where its extra is installed."""

from __future__ import annotations

import sys

_MISSING_EXTRA = 3  # as in likewise.cli.exit_codes, which needs what is missing
_OURS = ("likewise", "consumers", "indexer", "serving")


def main() -> None:
    """Run one command and exit with its code; see likewise/cli/exit_codes.py."""
    try:
        from likewise.cli.app import app

        app(prog_name="likewise")
    except ModuleNotFoundError as error:
        # The one place that turns a missing dependency into a sentence.
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise
        sys.stderr.write(
            f"likewise: the Python package {error.name!r} is missing; the command line and the "
            "services need: pip install 'likewise[server]'\n"
        )
        sys.exit(_MISSING_EXTRA)


if __name__ == "__main__":
    main()
