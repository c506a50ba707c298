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
from likewise.service.runtime import BUILD_SILENCE_S, exit_code_of, open_runtime

if TYPE_CHECKING:
    from indexer.worker import Indexer
    from likewise.settings import Settings


def run(settings: Settings) -> None:
    """Run until the stop."""
    stats = IndexerStats()
    with open_runtime(settings, METRICS, stats, longest_silence_s=BUILD_SILENCE_S) as runtime:
        run_indexer(*runtime, stats=stats, on_start=build_on_signal)


def build_on_signal(indexer: Indexer) -> None:
    """Make SIGUSR1 request a build at once; only for the main thread."""
    signal.signal(signal.SIGUSR1, lambda _number, _frame: indexer.build_now())


if __name__ == "__main__":
    # The signal must not end the process before the indexer exists.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    sys.exit(exit_code_of(run))
