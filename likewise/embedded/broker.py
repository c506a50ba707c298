"""The embedded broker: Tansu, which speaks the Kafka protocol and keeps everything in memory."""

from __future__ import annotations

import secrets
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from likewise.embedded.binaries import broker_binary, version_of
from likewise.embedded.kafka_probe import cluster_answers
from likewise.embedded.ports import HOST
from likewise.embedded.process import ServerProcess
from likewise.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TIMINGS: Mapping[str, Any] = {
    "session_timeout_ms": 6_000,
    "heartbeat_interval_ms": 1_000,
    "fetch_max_wait_ms": 10,
}
"""The `KafkaSettings` that suit Tansu. It holds a join for half the session timeout, and answers a
fetch from several partitions only after the longest wait."""


class EmbeddedBroker(ServerProcess):
    """A broker of one node; topics and records end with the process."""

    name = "The embedded broker"
    log_name = "broker.log"
    # On SIGTERM Tansu waits 5 s for clients that are still connected; on SIGINT it exits at once.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(
        self, directory: Path, *, port: int | None = None, start_timeout_s: float = 20.0
    ) -> None:
        """See `ServerProcess`; the log in `directory` is the only file."""
        super().__init__(directory, port=port, start_timeout_s=start_timeout_s)
        self._cluster_id = f"likewise-{secrets.token_hex(8)}"

    @property
    def bootstrap_servers(self) -> str:
        """The address for Kafka clients: "127.0.0.1:9092"."""
        return f"{HOST}:{self.port}"

    @property
    def description(self) -> str:
        """For people: "Tansu 0.6.0 (in memory)"."""
        return f"Tansu {version_of(broker_binary())} (in memory)"

    @property
    def working_directory(self) -> Path:
        """The root: Tansu reads settings from a `.env` in its working directory or above."""
        return Path("/")

    def command(self) -> list[str]:
        """Return Tansu's command; its arguments hold all settings."""
        url = f"tcp://{self.bootstrap_servers}"
        return [
            str(broker_binary()),
            "broker",
            f"--cluster-id={self._cluster_id}",
            f"--listener-url={url}",
            f"--advertised-listener-url={url}",
            "--storage-engine=memory://tansu/",
        ]

    def answers(self) -> bool:
        """Whether the broker with our cluster id answers a Metadata request."""
        return cluster_answers(self.port, self._cluster_id)


def embedded_kafka_settings(bootstrap_servers: str, **others: Any) -> KafkaSettings:
    """Return settings for an embedded broker, with its timings."""
    return KafkaSettings(bootstrap_servers=bootstrap_servers, **{**TIMINGS, **others})


@contextmanager
def embedded_broker(directory: Path, *, port: int | None = None) -> Iterator[str]:
    """Run a broker during a `with` block; yields its bootstrap servers."""
    with EmbeddedBroker(directory, port=port) as broker:
        yield broker.bootstrap_servers
