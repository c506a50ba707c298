"""Apache Kafka in a container that can be stopped and restarted with its data, and damaged."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import kafka
from kafka.errors import KafkaError

from tests.containers import KAFKA_IMAGE, await_answer, free_port, has_started, kafka_image, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testcontainers.core.container import DockerContainer

_STOP_TIMEOUT_S = 10
_DATA = "/var/lib/kafka/data"
_FRAME_BYTES = 12
"""A batch in the log begins with its first offset (8) and the length of the rest (4)."""


class KafkaServer:
    """One broker; `bootstrap_servers` stays the same through a restart."""

    def __init__(self, container: DockerContainer, port: int) -> None:
        self._container = container
        self.bootstrap_servers = f"127.0.0.1:{port}"

    def stop(self) -> None:
        """Stop the broker cleanly; it keeps its data."""
        self._container.get_wrapped_container().stop(timeout=_STOP_TIMEOUT_S)

    def kill(self) -> None:
        """Kill the broker with SIGKILL; its log keeps every confirmed record."""
        self._container.get_wrapped_container().kill()

    def start(self) -> None:
        """Start it again; it answers after a few seconds."""
        self._container.get_wrapped_container().start()

    def add_partitions(self, topic: str, count: int) -> None:
        """Increase the topic's partitions to `count`."""
        self._ask(lambda admin: admin.create_partitions({topic: count}))

    def recreate(self, topic: str, partitions: int) -> None:
        """Delete the topic and create it again, empty."""
        self._ask(lambda admin: admin.delete_topics([topic]))
        spec = {"num_partitions": partitions, "replication_factor": 1}
        self._ask(lambda admin: admin.create_topics({topic: spec}))

    def remove_records_before(self, topic: str, offsets: dict[int, int]) -> None:
        """Delete the records before these offsets, by partition, as retention does."""
        plan = {kafka.TopicPartition(topic, number): at for number, at in offsets.items()}
        self._ask(lambda admin: admin.delete_records(plan))

    def damage(self, topic: str, partition: int, batch: int) -> None:
        """Change a byte near the end of a batch in the log, as a bad disk does; the first batch is 0."""
        path = f"{_DATA}/{topic}-{partition}/00000000000000000000.log"
        container = self._container.get_wrapped_container()
        status, log = container.exec_run(["cat", path])
        assert status == 0, log
        end = 0
        for _ in range(batch + 1):
            end += _FRAME_BYTES + int.from_bytes(log[end + 8 : end + _FRAME_BYTES], "big")
        at = end - 5
        changed = f"\\{log[at] ^ 0xFF:03o}"
        status, output = container.exec_run(
            ["sh", "-c", f"printf '{changed}' | dd of={path} bs=1 seek={at} conv=notrunc"]
        )
        assert status == 0, output

    def answers(self) -> bool:
        """Whether the broker answers a metadata request; blocks for a second or two at most."""
        try:
            admin = kafka.KafkaAdminClient(
                bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=1_000
            )
        except KafkaError:
            return False
        admin.close()
        return True

    def copy_of(self, topic: str, partition: int) -> bytes:
        """Return a tar archive of the partition's files."""
        container = self._container.get_wrapped_container()
        pieces, _ = container.get_archive(f"{_DATA}/{topic}-{partition}")
        return b"".join(pieces)

    def put_back(self, files: bytes) -> None:
        """Restore a partition's files while the broker is down: later records are lost."""
        assert self._container.get_wrapped_container().put_archive(_DATA, files)

    def _ask(self, question: Callable[[Any], object]) -> None:
        admin = kafka.KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            question(admin)
        finally:
            admin.close()


@contextmanager
def kafka_server() -> Iterator[KafkaServer]:
    """Run a new, empty broker for the length of a `with` block."""
    port = free_port()
    with running(lambda: kafka_image(port), KAFKA_IMAGE) as container:
        server = KafkaServer(container, port)
        await_answer(container, lambda: has_started(container))
        yield server
