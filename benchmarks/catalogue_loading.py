"""`python -m benchmarks.catalogue_loading`: loads the catalogue in Redis as a server does.

Configured by environment, like a server. Prints seconds and bytes as JSON: what a process takes is
only seen in one that has done nothing else.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from contextlib import closing

import msgspec

from benchmarks.rig import kilobytes
from likewise.catalogue.catalogue import Catalogue
from likewise.service.logs import configure_logging
from likewise.settings.loader import load_settings
from likewise.store.redis import RedisStore
from serving.catalogue_follower import CatalogueFollower
from serving.stats import CatalogueStats


class Loaded(msgspec.Struct):
    """What loading took."""

    read_s: float
    """Reading all items from Redis, and doing nothing with them."""
    load_s: float
    cpu_s: float
    """What loading took of one core."""
    memory_bytes: int
    """What the process has grown by."""


def main() -> None:
    """Load, print, exit."""
    settings = load_settings()
    configure_logging(settings.logging, service="benchmark")
    with closing(RedisStore(settings.redis)) as store:
        store.ping()
        Catalogue().apply([])
        began_s = time.perf_counter()
        for _ in store.catalogue_items():
            pass
        read_s = time.perf_counter() - began_s
        gc.collect()
        before = _resident_bytes()
        follower = CatalogueFollower(store, threading.Event(), CatalogueStats())
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        follower.load()
        load_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        gc.collect()
        grown = _resident_bytes() - before
    sys.stdout.buffer.write(msgspec.json.encode(Loaded(read_s, load_s, cpu_s, grown)))


def _resident_bytes() -> int:
    return 1_024 * kilobytes(os.getpid(), "VmRSS")


if __name__ == "__main__":
    main()
