"""`python -m benchmarks.idle_imports READY`: imports what a server does, and then does nothing.

What that takes is there for every server, however its model is shared. The file READY is made when
all is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from likewise.service.signals import stop_on_signals

_OF_A_SERVER = (
    "likewise.service.runtime",
    "serving.service",
    "serving.worker",
    "likewise.models.holder",
)


def main() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    with stop_on_signals() as stop:
        for module in _OF_A_SERVER:
            import_module(module)
        Path(sys.argv[1]).touch()
        stop.wait()


if __name__ == "__main__":
    main()
