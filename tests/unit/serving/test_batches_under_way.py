"""While there is a backlog, batches are ranked beside the loop; none is lost, none answered twice."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import pytest

from likewise.errors import TransientError
from likewise.ranking.recommend import Threads
from likewise.records import TopicPartition
from likewise.settings import ServingSettings
from serving.threads import Later, RankingThreads
from tests.serving_rig import VERSION, Rig, item, items_of, likes_but_one, running
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serving.threads import Beside, Promise

T = TypeVar("T")
BATCH = 4
AT_ONCE = 2
BLOCKS = 10
REQUESTS = BATCH * BLOCKS


class Unfinished(Later[T]):
    """Work that is never done before somebody waits for it."""

    def done(self) -> bool:
        return False


class TakingTheirTime:
    """Two threads that nobody has seen finish anything."""

    sharing = Threads(map, AT_ONCE)

    def begin(self, work: Callable[[], T]) -> Promise[T]:
        return Unfinished(work)


@pytest.fixture(params=["threads", "taking their time"])
def beside(request: pytest.FixtureRequest) -> Iterator[Beside]:
    if request.param == "taking their time":
        yield TakingTheirTime()
        return
    with closing(RankingThreads(AT_ONCE)) as threads:
        yield threads


@pytest.fixture
def rig(model_directory: Path, beside: Beside) -> Rig:
    return rig_of(model_directory, beside)


def rig_of(directory: Path, beside: Beside, partitions: int = 1) -> Rig:
    settings = ServingSettings(max_batch=BATCH, poll_timeout_ms=1)
    return Rig(directory, VERSION, settings=settings, beside=beside, partitions=partitions)


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
    """Run the worker until nearly all is answered, and stop it: the rest is under way by then."""
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


def test_what_is_under_way_is_not_committed(model_directory: Path) -> None:
    rig = rig_of(model_directory, TakingTheirTime())
    ask_many(rig)
    for turn in range(REQUESTS // BATCH):
        assert (rig.committed() or 0) == BATCH * max(turn - AT_ONCE, 0)
        rig.worker.run_once()
    stop_at_once(rig)
    assert rig.committed() == REQUESTS
    assert answers(rig) == ONCE_EACH


def test_a_stop_sends_what_is_under_way(model_directory: Path) -> None:
    rig = rig_of(model_directory, TakingTheirTime())
    ask_many(rig)
    rig.worker.run_once()
    assert rig.replies() == []
    stop_at_once(rig)
    assert len(rig.replies()) == BATCH
    assert rig.committed() == BATCH


def test_a_server_that_dies_leaves_what_is_under_way_to_the_next(rig: Rig) -> None:
    ask_many(rig)
    for _ in range(3):
        rig.worker.run_once()
    rig.worker._source.close()  # as a killed one does, seen from the broker
    rig.worker = rig.new_worker()
    run_to_the_end(rig)
    assert set(answers(rig)) == set(ONCE_EACH)
    assert max(answers(rig).values()) <= 2


def test_an_outage_of_the_broker_while_batches_are_under_way_costs_no_request(rig: Rig) -> None:
    ask_many(rig)
    rig.worker.run_once()
    rig.broker.fail_with(*[TransientError("lost")] * 3, on="send")
    rig.broker.fail_with(*[TransientError("lost")] * 3, on="commit")
    run_to_the_end(rig)
    assert set(answers(rig)) == set(ONCE_EACH)


def test_another_member_that_joins_finds_the_rest(model_directory: Path, beside: Beside) -> None:
    rig = rig_of(model_directory, beside, partitions=2)
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


def test_what_is_read_again_while_it_is_under_way_is_answered_once(model_directory: Path) -> None:
    rig = rig_of(model_directory, TakingTheirTime())
    ask_many(rig)
    rig.worker.run_once()
    # As a rebalance does that takes no partition away; the first poll brings what is under way.
    rig.worker._source.seek(TopicPartition(rig.topics.requests, 0), 0)
    run_to_the_end(rig)
    assert {answers(rig)[str(number)] for number in range(BATCH)} == {1}


def test_a_server_that_waits_for_a_ranking_says_so(model_directory: Path) -> None:
    said: list[str | None] = []

    class Telling(Later[T]):
        def result(self) -> T:
            said.append(served.worker.stats.heartbeat.doing)
            return super().result()

    class Beside(TakingTheirTime):
        def begin(self, work: Callable[[], T]) -> Promise[T]:
            return Telling(work)

    served = rig_of(model_directory, Beside())
    ask_many(served)
    served.worker.run_once()
    assert said == ["ranking since 0 s"]
    assert served.worker.stats.heartbeat.doing is None
