"""While there is a backlog, batches are ranked in threads; no request is lost or answered twice."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from likewise.errors import TransientError
from likewise.records import TopicPartition
from likewise.settings import ServingSettings
from tests.serving_rig import VERSION, Rig, item, items_of, likes_but_one, running
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BATCH = 4
AT_ONCE = 2
BLOCKS = 10
REQUESTS = BATCH * BLOCKS


class Deferred(Future[Any]):
    """Work that is not done before somebody waits for its result."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self._work = work

    def done(self) -> bool:
        return False

    def result(self, timeout: float | None = None) -> Any:  # the signature of a Future
        return self._work()


class SlowThreads(Executor):
    """Threads that are never found to have finished anything."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        return Deferred(partial(work, *given, **named))


@pytest.fixture(params=["threads", "slow threads"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with (
        SlowThreads() if request.param == "slow threads" else ThreadPoolExecutor(AT_ONCE) as threads
    ):
        yield threads


@pytest.fixture
def rig(model_directory: Path, executor: Executor) -> Rig:
    return rig_of(model_directory, executor)


def rig_of(directory: Path, executor: Executor, partitions: int = 1) -> Rig:
    settings = ServingSettings(max_batch=BATCH, poll_timeout_ms=1, threads=AT_ONCE)
    return Rig(directory, VERSION, settings=settings, executor=executor, partitions=partitions)


def ask_many(rig: Rig, *, partitions: int = 1) -> None:
    for number in range(REQUESTS):
        body = {"liked": likes_but_one(number % BLOCKS), "count": 1, "request_id": str(number)}
        rig.ask(body, partition=number % partitions)


def answers(rig: Rig) -> Counter[str]:
    """Return how often each request was answered; every answer is the right one."""
    for reply in rig.replies():
        assert items_of(reply) == [item(int(reply["request_id"]) % BLOCKS, 0)]
    return Counter(reply["request_id"] for reply in rig.replies())


ONCE_EACH = Counter(str(number) for number in range(REQUESTS))


def run_to_the_end(rig: Rig) -> None:
    """Run the worker until nearly all is answered, and stop it: the rest is in flight by then."""
    with running(rig):
        wait_until(lambda: len(answers(rig)) >= REQUESTS - AT_ONCE * BATCH)


def stop_at_once(rig: Rig) -> None:
    rig.stop.set()
    rig.worker.run()


def test_every_request_is_answered_once_and_committed(rig: Rig) -> None:
    ask_many(rig)
    run_to_the_end(rig)
    assert answers(rig) == ONCE_EACH
    assert rig.committed() == REQUESTS


def test_what_is_in_flight_is_not_committed(model_directory: Path) -> None:
    rig = rig_of(model_directory, SlowThreads())
    ask_many(rig)
    for turn in range(REQUESTS // BATCH):
        assert (rig.committed() or 0) == BATCH * max(turn - AT_ONCE, 0)
        rig.worker.run_once()
    stop_at_once(rig)
    assert rig.committed() == REQUESTS
    assert answers(rig) == ONCE_EACH


def test_a_stop_sends_what_is_in_flight(model_directory: Path) -> None:
    rig = rig_of(model_directory, SlowThreads())
    ask_many(rig)
    rig.worker.run_once()
    assert rig.replies() == []
    stop_at_once(rig)
    assert len(rig.replies()) == BATCH
    assert rig.committed() == BATCH


def test_the_next_server_answers_what_was_in_flight_in_one_that_dies(rig: Rig) -> None:
    ask_many(rig)
    for _ in range(3):
        rig.worker.run_once()
    rig.replace_worker()
    run_to_the_end(rig)
    assert set(answers(rig)) == set(ONCE_EACH)
    assert max(answers(rig).values()) <= 2


def test_no_request_is_lost_in_an_outage_of_the_broker_while_batches_are_in_flight(
    rig: Rig,
) -> None:
    ask_many(rig)
    rig.worker.run_once()
    rig.broker.fail_with(*[TransientError("lost")] * 3, on="send")
    rig.broker.fail_with(*[TransientError("lost")] * 3, on="commit")
    run_to_the_end(rig)
    assert set(answers(rig)) == set(ONCE_EACH)


def test_another_member_that_joins_answers_the_rest(
    model_directory: Path, executor: Executor
) -> None:
    rig = rig_of(model_directory, executor, partitions=2)
    ask_many(rig, partitions=2)
    rig.worker.run_once()
    other = rig.new_worker()
    for _ in range(REQUESTS):
        rig.worker.run_once()
        other.run_once()
    stop_at_once(rig)
    other.run()
    assert set(answers(rig)) == set(ONCE_EACH)
    assert [rig.committed(0), rig.committed(1)] == [REQUESTS // 2] * 2
    assert max(answers(rig).values()) <= 2


def test_what_is_read_again_while_it_is_in_flight_is_answered_once(model_directory: Path) -> None:
    rig = rig_of(model_directory, SlowThreads())
    ask_many(rig)
    rig.worker.run_once()
    # As a rebalance does that takes no partition away; the first poll brings what is in flight.
    rig.source.seek(TopicPartition(rig.topics.requests, 0), 0)
    run_to_the_end(rig)
    assert {answers(rig)[str(number)] for number in range(BATCH)} == {1}


def test_a_server_that_waits_for_a_ranking_is_busy_ranking(model_directory: Path) -> None:
    doing: list[str | None] = []

    class Observed(Deferred):
        def result(self, timeout: float | None = None) -> Any:
            doing.append(served.worker.stats.heartbeat.doing)
            return super().result(timeout)

    class ObservedThreads(Executor):
        def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
            return Observed(partial(work, *given, **named))

    served = rig_of(model_directory, ObservedThreads())
    ask_many(served)
    for _ in range(AT_ONCE + 1):
        served.worker.run_once()
    assert doing == ["ranking since 0 s"]
    assert served.worker.stats.heartbeat.doing is None
