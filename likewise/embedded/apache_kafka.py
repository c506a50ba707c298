"""Apache Kafka as a child process: one node on loopback, for clients that Tansu refuses."""

from __future__ import annotations

import base64
import re
import subprocess
import uuid
from typing import TYPE_CHECKING, ClassVar

from likewise.embedded.errors import EmbeddedServerError
from likewise.embedded.kafka_jars import KAFKA_VERSION, java_binary, kafka_jars
from likewise.embedded.kafka_probe import cluster_answers
from likewise.embedded.ports import HOST, free_port
from likewise.embedded.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CONFIG = "server.properties"
_FORMAT_TIMEOUT_S = 60
# Little JIT compilation: no broker here runs long enough to repay more.
_JVM = ["-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dlog4j2.level=WARN"]

# One node in both roles. Kafka's internal topics have three replicas by default, which one node
# cannot hold. Groups form at once, because no other members are expected.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=CLIENTS://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENTS://{host}:{port}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""


class ApacheKafka(ServerProcess):
    """A broker whose log is in its directory and outlives the process."""

    name = "Apache Kafka"
    log_name = "broker.log"
    # It needs some seconds to close its log; after a kill, the next start checks all of it.
    stop_timeout_s: ClassVar[float] = 15.0

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        start_timeout_s: float = 90.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """See `ServerProcess`. `say` is called before what takes long: the first start fetches 44 MB."""
        super().__init__(directory, port=port, start_timeout_s=start_timeout_s)
        self._say = say
        self._java: list[str] = []

    @property
    def bootstrap_servers(self) -> str:
        """The address for Kafka clients: "127.0.0.1:9092"."""
        return f"{HOST}:{self.port}"

    @property
    def description(self) -> str:
        """For people: "Apache Kafka 4.3.1"."""
        return f"Apache Kafka {KAFKA_VERSION}"

    def command(self) -> list[str]:
        """Return the JVM's command.

        Raises:
            MissingExtraError: Java is missing, or Maven is, and the jars were not fetched before.
            LikewiseError: Maven could not fetch the jars.
        """
        if not self._java:
            java = java_binary()
            self._java = [str(java), *_JVM, "-cp", f"{kafka_jars(self._say)}/*"]
        return [*self._java, "kafka.Kafka", str(self.directory / _CONFIG)]

    def prepare(self) -> None:
        """Write the configuration for the current port; format the storage at the first start."""
        config = self.directory / _CONFIG
        properties = _PROPERTIES.format(
            host=HOST, port=self.port, controller_port=free_port(), data=self._data
        )
        config.write_text(properties, encoding="utf-8")
        if self._cluster_id() is None:
            self._format(config)

    def answers(self) -> bool:
        """Whether the broker of this directory, and no other, answers a Metadata request."""
        cluster_id = self._cluster_id()
        return cluster_id is not None and cluster_answers(self.port, cluster_id)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _cluster_id(self) -> str | None:
        try:
            written = (self._data / "meta.properties").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        found = re.search(r"^cluster\.id=(\S+)$", written, re.MULTILINE)
        return found[1] if found else None

    def _format(self, config: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = [*self._java, "kafka.tools.StorageTool", "format"]
        command = [*tool, f"--cluster-id={cluster_id}", f"--config={config}"]
        try:
            run = subprocess.run(  # noqa: S603 - Kafka's tool, with our arguments
                command, capture_output=True, check=False, text=True, timeout=_FORMAT_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmbeddedServerError(self.name, str(error), command=command) from error
        if run.returncode != 0:
            said = (run.stdout + run.stderr).splitlines()
            raise EmbeddedServerError(
                self.name,
                "its storage could not be formatted",
                command=command,
                log_tail=said[-20:],
            )
