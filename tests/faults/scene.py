"""A scene: services as processes, traffic, and the audit when the faults are over."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.errors import TransientError
from likewise.log.topics import Topics
from likewise.messages.announcements import decode_announcement
from tests.consuming import opened
from tests.faults.audit import audit, audit_experiment, settle
from tests.faults.deployment import SERVICES, deployed
from tests.faults.traffic import Traffic
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.settings import Settings
    from likewise.store.port import LikeStore
    from tests.faults.audit import Figures
    from tests.faults.deployment import Service
    from tests.faults.oracle import Oracle
    from tests.faults.traffic import Poison

FIRST_REPLY_TIMEOUT_S = 90.0
BUILD_TIMEOUT_S = 90.0


@dataclass
class Scene:
    """A running deployment with traffic, for a test to cause faults in."""

    broker: Broker
    store: LikeStore
    topics: Topics
    services: list[Service]
    traffic: Traffic

    def named(self, name: str) -> list[Service]:
        """Return the services of that name."""
        return [service for service in self.services if service.name == name]

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send traffic for the length of a `with` block, which begins with the first reply."""
        with self.traffic.flowing():
            wait_until(
                lambda: bool(self.traffic.ledger.outcomes), "a first reply", FIRST_REPLY_TIMEOUT_S
            )
            yield

    def wait_for_progress(self) -> None:
        """Return once another reply was received and another event applied."""
        replies = self.traffic.ledger.outcomes.total()
        applied: list[int] = []

        def progressed() -> bool:
            with suppress(TransientError):  # a server is still restarting
                partitions = self.broker.partitions(self.topics.likes)
                applied.append(sum(at or 0 for at in self.store.positions(partitions)))
                return applied[-1] > applied[0] and self.traffic.ledger.outcomes.total() > replies
            return False

        wait_until(progressed, "events are applied and requests answered", FIRST_REPLY_TIMEOUT_S)

    def version(self) -> str:
        """Return the version of the announced model."""
        raw = self.store.model_announcement()
        assert raw is not None
        return decode_announcement(raw).version

    def wait_for_another_model(self, *versions: str) -> None:
        """Return once another version than these is announced."""
        wait_until(lambda: self.version() not in versions, "another model", BUILD_TIMEOUT_S)

    def audit(self, figures: Figures) -> Oracle:
        """Wait until everything is settled, then compare it with the log."""
        for service in self.services:
            service.check_alive()
        settle(self.broker, self.store, self.topics, self.traffic)
        if self.traffic.experiments:
            audit_experiment(self.broker, self.store, self.topics, figures)
        return audit(self.broker, self.store, self.topics, self.traffic.ledger, figures)


@contextmanager
def scene_of(
    settings: Settings,
    directory: Path,
    seed: int,
    *,
    services: Sequence[str] = SERVICES,
    observing: Settings | None = None,
    poison: Poison | None = None,
    merges: bool = True,
    experiments: bool = False,
    clock_file: Path | None = None,
) -> Iterator[Scene]:
    """Run services with `settings`; the harness connects with `observing`, if it is given."""
    topics = Topics(settings.kafka.topic_prefix)
    with (
        opened(observing or settings) as (broker, store),
        deployed(settings, directory, services, clock_file=clock_file) as running,
    ):
        traffic = Traffic(
            broker,
            topics,
            bootstrap_servers=(observing or settings).kafka.bootstrap_servers,
            seed=seed,
            poison=poison,
            merges=merges,
            experiments=experiments,
        )
        yield Scene(broker, store, topics, running, traffic)
