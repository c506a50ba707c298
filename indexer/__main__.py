"""`python -m indexer`: one indexer, set up by file and environment, until Ctrl-C or SIGTERM.

SIGUSR1 asks it to build at once. Any other process can have a model built at once, without
knowing where the indexer runs, by `likewise index --once`.
"""

from __future__ import annotations

import signal
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from indexer.service import run_indexer
from likewise.errors import LikewiseError
from likewise.kafka_streams import KafkaBroker
from likewise.logs import configure_logging
from likewise.redis_store import RedisStore
from likewise.service import stop_on_signals
from likewise.settings_loader import load_settings

if TYPE_CHECKING:
    from indexer.worker import Indexer


def main() -> int:
    """Return the exit code: 0 after a stop, 2 where settings have to be mended."""
    try:
        # Until there is an indexer to ask, the signal must not end the process.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        settings = load_settings()
        configure_logging(settings.logging, service="indexer")
        broker = KafkaBroker(settings.kafka, client_id="likewise-indexer")
        with (
            stop_on_signals() as stop,
            closing(broker),
            closing(RedisStore(settings.redis)) as store,
        ):
            run_indexer(settings, broker, store, stop, on_start=build_on_signal)
    except LikewiseError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def build_on_signal(indexer: Indexer) -> None:
    """Let SIGUSR1 ask this indexer to build at once; only in the main thread."""
    signal.signal(signal.SIGUSR1, lambda _number, _frame: indexer.build_now())


if __name__ == "__main__":
    sys.exit(main())
