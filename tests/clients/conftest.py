"""One deployment on Apache Kafka for all clients, and the clients, built while it starts."""

from __future__ import annotations

import json
import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer

from tests.clients.programs import MODELINA, PROGRAMS, Program, build
from tests.clients.taste import LIKES
from tests.running_up import RunningUp, running_up

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def builds() -> Iterator[dict[str, Future[None]]]:
    """All builds, one after another: there are few cores, and two builds share an environment."""
    with ThreadPoolExecutor(1) as pool:
        yield {program.name: pool.submit(build, program) for program in [*PROGRAMS, MODELINA]}
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, builds: dict[str, Future[None]]
) -> Iterator[RunningUp]:
    """`likewise up --kafka apache`, with a model of people who like cats and people who like dogs."""
    with running_up(tmp_path_factory.mktemp("up"), "--kafka", "apache") as up:
        up.await_line(r"^up +ready\.")
        publish_likes(up)
        yield up


@pytest.fixture(scope="session")
def tansu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """`likewise up` as it is by itself, with the same model."""
    with running_up(tmp_path_factory.mktemp("up")) as up:
        up.await_line(r"^up +ready\.")
        publish_likes(up)
        yield up


def publish_likes(up: RunningUp) -> None:
    """Return once a model of all the likes serves."""
    with closing(KafkaProducer(bootstrap_servers=up.bootstrap_servers)) as producer:
        for user, item in LIKES:
            body = json.dumps({"user_id": user, "item_id": item}).encode()
            producer.send("likes", body, key=user.encode())
        producer.flush()
    announced = up.await_line(rf"^indexer .*model announced .*likes={len(LIKES)} .*version=(\S+)")
    up.await_line(rf"^server .*model loaded .*version={re.escape(announced[1])}")


@pytest.fixture(scope="session", params=PROGRAMS, ids=lambda program: program.name)
def program(request: pytest.FixtureRequest, builds: dict[str, Future[None]]) -> Program:
    found: Program = request.param
    builds[found.name].result(timeout=600)
    return found
