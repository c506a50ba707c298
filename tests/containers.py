"""Apache Kafka and Redis in containers, for the suites that `make test-containers` runs.

Each context manager yields the address of a server that has already answered a request, on a host
port that stays the same when the container is restarted, and removes the container with its data
when the block ends. A missing engine, a missing image or a server that does not come
up raises `ContainerError`; nothing is skipped. Both block until the server is ready: about five
seconds for Kafka, half a second for Redis.

The images are those of docker-compose.yml. Where no registry answers, `.ci/images/build` makes
stand-ins under the same names.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import kafka
import redis
from docker.errors import DockerException
from kafka.errors import KafkaError
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

KAFKA_IMAGE = "apache/kafka:4.3.1"
REDIS_IMAGE = "redis:7"

START_TIMEOUT_S = 60.0
POLL_INTERVAL_S = 0.05
PROBE_TIMEOUT_MS = 1000


class ContainerError(Exception):
    """A server that a test needs did not start; the message names the remedy."""


@contextmanager
def kafka_container() -> Iterator[str]:
    """Yields the bootstrap servers of a new, empty single-node broker (KRaft, no authentication).

    Topics are not created by naming them, and group sessions may be as short as one second.
    """
    port = free_port()
    with running(lambda: kafka_image(port), KAFKA_IMAGE) as container:
        bootstrap_servers = f"{_host(container)}:{port}"
        await_answer(container, lambda: _kafka_answers(container, bootstrap_servers))
        yield bootstrap_servers


@contextmanager
def redis_container() -> Iterator[str]:
    """Yields the URL of a new, empty Redis that keeps an append-only file, as in production."""
    port = free_port()
    with running(lambda: _redis(port), REDIS_IMAGE) as container:
        url = f"redis://{_host(container)}:{port}/0"
        await_answer(container, lambda: _redis_answers(url))
        yield url


def kafka_image(port: int) -> DockerContainer:
    """A single-node broker without authentication, not started yet."""
    container = DockerContainer(KAFKA_IMAGE)
    # Clients come back to the port that the broker advertises. It is the same inside and outside,
    # so that the tools in the container reach it too.
    container.with_bind_ports(port, port)
    return container.with_envs(
        CLUSTER_ID="5L6g3nShT-eMCtK--X86sw",
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_LISTENERS=f"CLIENTS://:{port},CONTROLLER://localhost:9093",
        KAFKA_ADVERTISED_LISTENERS=f"CLIENTS://{_host(container)}:{port}",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        KAFKA_INTER_BROKER_LISTENER_NAME="CLIENTS",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
        KAFKA_LOG_DIRS="/var/lib/kafka/data",
        # One node cannot hold three replicas, the default of Kafka's internal topics.
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
        # A misspelt topic is an error, as in production, and not a new topic.
        KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
        # The rest is for speed: groups form at once and notice a killed member soon, and the JVM
        # compiles little, because no broker here runs long enough to repay more.
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
        KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS="1000",
        KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS="1",
        KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS="1",
        KAFKA_HEAP_OPTS="-Xmx512m",
        KAFKA_JVM_PERFORMANCE_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    )


def _redis(port: int) -> DockerContainer:
    container = DockerContainer(REDIS_IMAGE)
    container.with_bind_ports(6379, port)
    return container.with_command(["--save", "", "--appendonly", "yes"])


@contextmanager
def running(build: Callable[[], DockerContainer], image: str) -> Iterator[DockerContainer]:
    """Yields the container, started; it may not answer yet. Removed with its data afterwards."""
    # The reaper is one more image to pull, and a container to start; the `finally` below
    # removes what was started even when the test fails.
    testcontainers_config.ryuk_disabled = True
    try:
        container = build()
    except DockerException as error:
        raise ContainerError(
            f"no Docker engine answers ({error}); start one, or run .ci/docker-engine as root"
        ) from error
    try:
        try:
            container.start()
        except DockerException as error:
            raise ContainerError(
                f"no container of {image} could be started ({error}); if the image is missing and "
                "no registry answers, run .ci/images/build"
            ) from error
        yield container
    finally:
        container.stop()


def await_answer(container: DockerContainer, answers: Callable[[], bool]) -> None:
    """Returns once `answers()` is true; fails at once when the container ends."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers():
        container.reload()
        if container.status == "exited" or time.monotonic() > deadline:
            raise ContainerError(_obituary(container))
        time.sleep(POLL_INTERVAL_S)


def _kafka_answers(container: DockerContainer, bootstrap_servers: str) -> bool:
    """Whether the broker returns its metadata: then it is registered and accepts records.

    Asks only after its log reports the start, because kafka-python logs every failed attempt as an
    error.
    """
    if not has_started(container):
        return False
    try:
        admin = kafka.KafkaAdminClient(
            bootstrap_servers=bootstrap_servers, bootstrap_timeout_ms=PROBE_TIMEOUT_MS
        )
    except KafkaError:
        return False
    admin.close()
    return True


def has_started(container: DockerContainer) -> bool:
    """Whether the broker's log reports that it has started."""
    stdout, _ = container.get_logs()
    return b"Kafka Server started" in stdout


def _redis_answers(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=PROBE_TIMEOUT_MS / 1000) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def _obituary(container: DockerContainer) -> str:
    stdout, stderr = container.get_logs()
    log = (stdout + stderr).decode(errors="replace")
    return (
        f"{container.image} is {container.status} and does not answer; its log ends:\n{log[-4000:]}"
    )


def _host(container: DockerContainer) -> str:
    return container.get_docker_client().host()


def free_port() -> int:
    """Return a free port. The engine would choose another one at each restart, and Kafka's advertised
    port must be known before it starts."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
