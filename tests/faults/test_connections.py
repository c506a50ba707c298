"""Redis that is slow, full, read-only, killed or emptied, and faults of the network to Redis and Kafka."""

from __future__ import annotations

import random
import threading
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import pytest

from likewise.embedded import EmbeddedBroker, EmbeddedRedis, free_port
from likewise.log.topics import Topics
from tests.consuming import (
    caught_up,
    consuming,
    opened,
    outcome_in,
    outcome_of,
    random_events,
    send,
)
from tests.consuming import settings_for as consumer_settings
from tests.faults import redis_faults
from tests.faults.deployment import settings_for
from tests.faults.proxy import Proxy, proxy_for
from tests.faults.scene import scene_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort

    Fault = Callable[[float], AbstractContextManager[None]]


class ProxiedBroker(EmbeddedBroker):
    """A broker that advertises the proxy in front of it."""

    def __init__(self, directory: Path, proxy_port: int) -> None:
        super().__init__(directory)
        self._proxy_port = proxy_port

    def command(self) -> list[str]:
        """Return the command, with the proxy's port advertised."""
        mark = "--advertised-listener-url="
        return [
            f"{mark}tcp://127.0.0.1:{self._proxy_port}" if part.startswith(mark) else part
            for part in super().command()
        ]


@pytest.mark.timeout(900)
def test_a_redis_that_fails_in_every_way_loses_nothing(
    bootstrap_servers: str, prefix: str, tmp_path: Path, effort: Effort, figures: Figures
) -> None:
    with (
        EmbeddedRedis(tmp_path / "redis", unrestricted=True) as server,
        proxy_for(server.port) as proxy,
    ):
        faults = {
            f"network to Redis: {name}": fault for name, fault in network_faults(proxy).items()
        }
        faults |= {
            "Redis killed, restarted with AOF": lambda _: redis_faults.killed(server),
            "Redis restarted with AOF": lambda _: redis_faults.stopped(server),
            "Redis restored from a copy": lambda _: redis_faults.restored(server),
            "Redis emptied": lambda _: redis_faults.emptied(server),
            "Redis out of memory": lambda _: redis_faults.out_of_memory(server),
            "Redis read-only": lambda _: redis_faults.read_only(server),
            "Redis without its replicas": lambda _: redis_faults.without_replicas(server),
            "Redis slow": lambda _: redis_faults.slow(server),
            "Redis hanging": lambda for_s: redis_faults.hanging(server, for_s),
        }
        direct = settings_for(bootstrap_servers, server.url, prefix, tmp_path)
        services = msgspec.structs.replace(
            direct,
            redis=msgspec.structs.replace(
                direct.redis, url=f"redis://:{server.password}@127.0.0.1:{proxy.port}/0"
            ),
        )
        with scene_of(services, tmp_path, effort.seed, observing=direct, experiments=True) as scene:
            with scene.flowing():
                for name, fault, for_s in in_turn(effort, faults):
                    with fault(for_s):
                        threading.Event().wait(for_s)
                    figures.faults[name] += 1
                    scene.wait_for_progress()
            scene.audit(figures)


@pytest.mark.timeout(900)
def test_network_faults_on_the_way_to_the_broker_lose_nothing(
    redis_url: str, prefix: str, tmp_path: Path, effort: Effort, figures: Figures
) -> None:
    with ExitStack() as stack:
        port = free_port()
        server = stack.enter_context(ProxiedBroker(tmp_path / "broker", port))
        proxy = stack.enter_context(proxy_for(server.port, port=port))
        settings = settings_for(f"127.0.0.1:{port}", redis_url, prefix, tmp_path)
        scene = stack.enter_context(scene_of(settings, tmp_path, effort.seed))
        with scene.flowing():
            for name, fault, for_s in in_turn(effort, network_faults(proxy)):
                with fault(for_s):
                    threading.Event().wait(for_s)
                figures.faults[f"network to the broker: {name}"] += 1
                scene.wait_for_progress()
        scene.audit(figures)


def in_turn(effort: Effort, faults: dict[str, Fault]) -> Iterator[tuple[str, Fault, float]]:
    """Yield every fault and its length, in a seeded order, `effort.rounds` times."""
    rng = random.Random(effort.seed)
    for _ in range(effort.rounds):
        names = list(faults)
        rng.shuffle(names)
        for name in names:
            yield name, faults[name], rng.uniform(1.0, effort.longest_fault_s)


def network_faults(proxy: Proxy) -> dict[str, Fault]:
    """Return the faults that a proxy can cause."""

    @contextmanager
    def latency(_for_s: float) -> Iterator[None]:
        proxy.delay(0.1)
        try:
            yield
        finally:
            proxy.delay(0.0)

    @contextmanager
    def black_hole(_for_s: float) -> Iterator[None]:
        proxy.swallow()
        try:
            yield
        finally:
            proxy.flow()

    @contextmanager
    def refusal(_for_s: float) -> Iterator[None]:
        proxy.refuse()
        try:
            yield
        finally:
            proxy.flow()

    @contextmanager
    def resets(for_s: float) -> Iterator[None]:
        ended = threading.Event()

        def cut() -> None:
            while not ended.wait(for_s / 5):
                proxy.reset()

        cutting = threading.Thread(target=cut)
        cutting.start()
        try:
            yield
        finally:
            ended.set()
            cutting.join()

    return {
        "latency": latency,
        "black hole": black_hole,
        "connections refused": refusal,
        "resets": resets,
    }


@pytest.mark.timeout(180)
def test_bytes_that_change_on_the_way_cost_no_event(
    redis_url: str, prefix: str, tmp_path: Path, figures: Figures
) -> None:
    events = list(islice(random_events(7), 20_000))
    proxy = Proxy(free_port())
    with ProxiedBroker(tmp_path / "broker", proxy.port) as broker, closing(proxy):
        proxy.run(broker.port)
        settings = consumer_settings(f"127.0.0.1:{proxy.port}", redis_url, prefix)
        topic = Topics(prefix).likes
        with opened(settings) as (kafka, store), closing(kafka.sink(linger_ms=5)) as sink:
            send(sink, topic, events)
            proxy.garble(0.5)
            with consuming(settings) as stats:
                wait_until(lambda: proxy.garbled >= 5, "some bytes are changed")
                proxy.garble(0)
                wait_until(lambda: caught_up(kafka, store, topic), "all is applied")
            assert outcome_in(store) == outcome_of(events)
            assert stats.dead_letters == 0
    figures.faults["byte changed on the way"] += proxy.garbled
