"""The demo's own servers and services, in a temporary directory that is removed afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likewise.cli.children import child_environment
from likewise.cli.supervision import STOP_TIMEOUT_S, Service, ServiceSpec, likewise_command
from likewise.embedded import embedded_kafka_settings, embedded_servers, free_port
from likewise.embedded.process import die_with_parent
from likewise.errors import LikewiseError, TransientError
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.settings import ModelSettings, RedisSettings, Settings
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.embedded.servers import EmbeddedServers

_READY_TIMEOUT_S = 60.0
_BUILD_TIMEOUT_S = 300.0
_POLL_INTERVAL_S = 0.05
_KEPT_LINES = 20


@dataclass
class Deployment:
    """The running servers and services, and their addresses."""

    servers: EmbeddedServers
    settings: Settings
    broker: KafkaBroker
    store: RedisStore
    services: dict[str, Service]
    log: deque[str]

    @property
    def topics(self) -> Topics:
        """The topics of this deployment."""
        return Topics(self.settings.kafka.topic_prefix)

    def await_ready(self, name: str) -> None:
        """Return when the service reports that it is ready.

        Raises:
            TransientError: it is not ready in time.
        """
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while not self.services[name].ready():
            if time.monotonic() > deadline_s:
                raise TransientError(f"the {name} is not ready after {_READY_TIMEOUT_S:g} s")
            self.services[name].tend()
            time.sleep(_POLL_INTERVAL_S)

    def build_model(self) -> dict[str, Any]:
        """Run `likewise index --once` and return its JSON description of the model.

        Raises:
            LikewiseError: the build failed; the message has the last log lines of the indexer.
        """
        command = likewise_command("index", "--once", "--json")
        built = subprocess.run(  # noqa: S603 - no shell, and the command is ours
            die_with_parent(command, signal.SIGTERM),
            env=child_environment(self.settings, 0),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=_BUILD_TIMEOUT_S,
            check=False,
        )
        if built.returncode != 0:
            last_words = "\n".join(built.stderr.splitlines()[-_KEPT_LINES:])
            raise LikewiseError(f"the build exited with code {built.returncode}:\n{last_words}")
        manifest: dict[str, Any] = json.loads(built.stdout)
        return manifest


@contextmanager
def deployment() -> Iterator[Deployment]:
    """Run servers, a consumer and a server for the duration of a `with` block.

    The server answers once there is a model. If the block fails, the last log lines of the services
    are shown. Only for the main thread.

    Raises:
        EmbeddedServerError: a server did not start.
        MissingExtraError: the extra `embedded` is not installed.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="likewise-demo-")))
        servers = stack.enter_context(embedded_servers(directory))
        settings = _settings(servers, directory)
        broker = stack.enter_context(closing(KafkaBroker(settings.kafka, client_id="demo")))
        store = stack.enter_context(closing(RedisStore(settings.redis)))
        broker.ensure_topics(Topics().specs(settings.kafka.partitions))
        log: deque[str] = deque(maxlen=_KEPT_LINES)
        services = {
            name: Service(_spec(settings, name, command), lambda who, line: log.append(line))
            for name, command in (("consumer", "consume"), ("server", "serve"))
        }
        stack.callback(_end, services)
        for service in services.values():
            service.start()
        try:
            yield Deployment(servers, settings, broker, store, services, log)
        except LikewiseError:
            sys.stderr.writelines(f"{line}\n" for line in log)
            raise


def _settings(servers: EmbeddedServers, directory: Path) -> Settings:
    return Settings(
        kafka=embedded_kafka_settings(servers.bootstrap_servers),
        redis=RedisSettings(url=servers.redis_url),
        model=ModelSettings(directory=directory / "models"),
    )


def _spec(settings: Settings, name: str, command: str) -> ServiceSpec:
    port = free_port()
    return ServiceSpec(name, [command], child_environment(settings, port), port)


def _end(services: dict[str, Service]) -> None:
    for service in services.values():
        service.ask_to_stop()
    deadline_s = time.monotonic() + STOP_TIMEOUT_S
    for service in services.values():
        service.await_end(deadline_s)
