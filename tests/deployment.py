"""A whole deployment in one process, on fakes: a consumer, a server and a gateway that listens on a real port."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from consumers.service import run_consumer
from gateway.service import run_gateway
from likewise.embedded import free_port
from likewise.settings import GatewaySettings, ModelSettings, Settings
from likewise.testing import MemoryBroker, MemoryStore
from serving.service import run_server
from tests.serving_rig import BLOCKS, VERSION, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_READY_S = 60.0


@dataclass(frozen=True)
class Deployment:
    """What runs: the address of the gateway, and the fakes."""

    url: str
    broker: MemoryBroker
    store: MemoryStore


@contextmanager
def deployment(directory: Path, *, wait_timeout_ms: int = 5_000) -> Iterator[Deployment]:
    """Yield a deployment with a model of blocks (see `tests.serving_rig`) and no likes."""
    broker, store = MemoryBroker(), MemoryStore()
    gateway = GatewaySettings(port=free_port(), wait_timeout_ms=wait_timeout_ms)
    settings = Settings(gateway=gateway, model=ModelSettings(directory=directory))
    write_block_model(directory, VERSION, blocks=BLOCKS, user_ids=True)
    url = f"http://127.0.0.1:{gateway.port}"
    stop = threading.Event()
    with ExitStack() as stack:
        for run in (run_consumer, run_server, run_gateway):
            stack.enter_context(_running(run, settings, broker, store, stop))
        stack.callback(stop.set)
        wait_until(lambda: _is_ready(url), "the gateway is ready", _READY_S)
        yield Deployment(url, broker, store)


@contextmanager
def _running(
    run: Callable[[Settings, MemoryBroker, MemoryStore, threading.Event], None],
    settings: Settings,
    broker: MemoryBroker,
    store: MemoryStore,
    stop: threading.Event,
) -> Iterator[None]:
    thread = threading.Thread(target=run, args=(settings, broker, store, stop), name=run.__name__)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_READY_S)
        assert not thread.is_alive()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").is_success
    except httpx.TransportError:
        return False
