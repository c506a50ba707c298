"""`python -m consumers`: one consumer, set up by file and environment, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import sys
from contextlib import closing

from consumers.service import run_consumer
from likewise.errors import LikewiseError
from likewise.kafka_streams import KafkaBroker
from likewise.logs import configure_logging
from likewise.redis_store import RedisStore
from likewise.service import stop_on_signals
from likewise.settings_loader import load_settings


def main() -> int:
    """Return the exit code: 0 after a stop, 2 where settings have to be mended."""
    try:
        settings = load_settings()
        configure_logging(settings.logging, service="consumer")
        broker = KafkaBroker(settings.kafka, client_id="likewise-consumer")
        with (
            stop_on_signals() as stop,
            closing(broker),
            closing(RedisStore(settings.redis)) as store,
        ):
            run_consumer(settings, broker, store, stop)
    except LikewiseError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
