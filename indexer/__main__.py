"""`python -m indexer`: one indexer, configured by file and environment, until Ctrl-C or SIGTERM.

SIGUSR1 requests a build at once. `likewise index --once` builds a model from anywhere, without a running
indexer.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from indexer.measures import METRICS
from indexer.service import run_indexer
from indexer.worker import IndexerStats
from likewise.errors import LikewiseError
from likewise.service.logs import log_fatal
from likewise.service.runtime import BUILD_SILENCE_S, open_runtime
from likewise.settings.loader import load_settings

if TYPE_CHECKING:
    from indexer.worker import Indexer


def main() -> int:
    """Return the exit code: 0 after a stop, 2 for an error that the operator must fix."""
    try:
        # The signal must not end the process before the indexer exists.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        settings = load_settings()
        stats = IndexerStats()
        with open_runtime(settings, METRICS, stats, longest_silence_s=BUILD_SILENCE_S) as runtime:
            run_indexer(*runtime, stats=stats, on_start=build_on_signal)
    except LikewiseError as error:
        if not log_fatal(error):
            sys.stderr.write(f"{error}\n")
        return 2
    return 0


def build_on_signal(indexer: Indexer) -> None:
    """Make SIGUSR1 request a build at once; only for the main thread."""
    signal.signal(signal.SIGUSR1, lambda _number, _frame: indexer.build_now())


if __name__ == "__main__":
    sys.exit(main())
