"""Real servers for the whole run, and a separate prefix for every test.

`LIKEWISE_TEST_SERVERS=embedded` (the default) starts Tansu and redis-server from their wheels;
`containers` starts Apache Kafka and Redis with testcontainers. If they cannot be started the
tests fail; none is skipped.

`WHEEL_UNDER_TEST=FILE` says that likewise is installed from this wheel: the run stops if the tests
would import the source tree instead.
"""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

import likewise
from likewise.embedded import embedded_broker, embedded_redis
from likewise.service.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine is no counter-example; a test that hangs is ended by its own timeout.
hypothesis.settings.register_profile("likewise", deadline=None)
hypothesis.settings.load_profile("likewise")

ROOT = Path(__file__).parents[1]
IN_CONTAINERS = os.environ.get("LIKEWISE_TEST_SERVERS", "embedded") == "containers"


@pytest.fixture(scope="session", autouse=True)
def _no_deployment_of_the_developer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands use a running `likewise up` of this user, which must not change what tests find."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def pytest_sessionstart() -> None:
    """Refuse to test the source tree where `WHEEL_UNDER_TEST` names the wheel under test."""
    source = Path(likewise.__file__).resolve().parents[1]
    if "WHEEL_UNDER_TEST" in os.environ and source == ROOT.resolve():
        raise pytest.UsageError(f"likewise is imported from {source}, not from an installed wheel")


@pytest.fixture(scope="session")
def bootstrap_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka-protocol broker, empty at first, shared by all tests of the run."""
    with ExitStack() as stack:
        if IN_CONTAINERS:
            from tests.containers import kafka_container

            yield stack.enter_context(kafka_container())
        else:
            yield stack.enter_context(embedded_broker(_directory(tmp_path_factory, "broker")))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server, empty at first, shared by all tests of the run."""
    with ExitStack() as stack:
        if IN_CONTAINERS:
            from tests.containers import redis_container

            yield stack.enter_context(redis_container())
        else:
            yield stack.enter_context(embedded_redis(_directory(tmp_path_factory, "redis")))


@pytest.fixture
def prefix() -> str:
    """A prefix for topics, groups and keys that no other test uses."""
    return f"t{secrets.token_hex(4)}."


def _directory(factory: pytest.TempPathFactory, name: str) -> Path:
    return factory.mktemp(name)


@pytest.fixture(autouse=True)
def _logging_is_restored() -> Iterator[None]:
    """A test, or a fixture of a module, that runs a service configures logging process-wide.

    The service's handler is dropped before the test as well: a fixture of a module is set up
    before this one.
    """
    root = logging.getLogger()
    level = root.level
    _drop_service_handlers(root)
    yield
    _drop_service_handlers(root)
    root.setLevel(level)


def _drop_service_handlers(root: logging.Logger) -> None:
    for handler in [
        one for one in root.handlers if type(one).__module__ == configure_logging.__module__
    ]:
        root.removeHandler(handler)
