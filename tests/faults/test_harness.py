"""The harness notices what it is there to notice."""

from __future__ import annotations

import importlib
import json
import random
import socket
import threading
from contextlib import closing, contextmanager, suppress
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.attribution.runs import Runs
from consumers.attribution.stats import AttributionStats
from consumers.attribution.worker import AttributionWorker
from consumers.fold import fold
from likewise.experiments.runs import run_of
from likewise.log.topics import Topics, TopicSpec
from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    Signal,
    Unlike,
    Unsignal,
    encode_event,
)
from likewise.messages.experiments import decode_stored_experiment, experiment_document
from likewise.messages.ids import DISLIKE, ItemId, SignalKind, UserId
from likewise.messages.positions import Position
from likewise.records import TopicPartition
from likewise.service.clock import now_ms
from likewise.settings import ConsumerSettings, Settings
from likewise.settings.experiments import ExperimentSettings
from likewise.store.attribution_port import AttributionUpdate, Step
from likewise.store.port import Advance, Changes, UserChange
from likewise.store.signals_port import SetChange
from likewise.testing import MemoryBroker, MemoryStore
from likewise.testing.memory_log import MemoryRecord
from tests.faults import experiment
from tests.faults.audit import Figures, audit, audit_experiment
from tests.faults.crash_points import CRASH_POINTS, CrashPoint
from tests.faults.deployment import SERVICES
from tests.faults.ledger import Ask, Ledger
from tests.faults.oracle import Oracle
from tests.faults.proxy import proxy_for
from tests.faults.traffic import ITEMS
from tests.ordering import Log, outcome_of_log

if TYPE_CHECKING:
    from collections.abc import Iterator

TOPICS = Topics()
ANN, A, B = UserId("ann"), ItemId("a"), ItemId("b")
EVENTS: list[Like | Unlike] = [Like(ANN, A), Like(ANN, B), Unlike(ANN, B)]

users, items = st.sampled_from([ANN, UserId("bob")]), st.sampled_from([A, B])
guests, kinds = st.just(UserId("guest")), st.sampled_from([DISLIKE, SignalKind("buy")])
events = st.one_of(
    st.builds(Like, users | guests, items),
    st.builds(Unlike, users, items),
    st.builds(Signal, users | guests, items, kinds),
    st.builds(Unsignal, users, items, kinds),
    st.builds(ForgetUser, users),
    st.builds(MergeUsers, guests, users),
)
timed_events = st.lists(st.tuples(st.integers(0, 12), events), max_size=12)
logs = st.dictionaries(st.integers(0, 2), timed_events)


class World:
    """A log of three events, all applied, and their ledger."""

    def __init__(self) -> None:
        self.broker, self.store, self.ledger = MemoryBroker(), MemoryStore(), Ledger()
        self.broker.ensure_topics([TopicSpec(TOPICS.likes, 1, {})])
        sink = self.broker.sink()
        for event, action in zip(EVENTS, ["like", "like", "unlike"], strict=True):
            body = {"action": action, "user_id": ANN, "item_id": event.item_id, "sent_by": "test"}
            value = json.dumps(body).encode()
            place = sink.send(TOPICS.likes, value, key=ANN.encode()).result(1.0)
            self.ledger.confirmed[place] = value
        self.store.apply(fold(EVENTS), {self.partition: Advance(None, len(EVENTS))})

    @property
    def partition(self) -> TopicPartition:
        [partition] = self.broker.partitions(TOPICS.likes)
        return partition

    def damage(self, change: UserChange) -> None:
        """Change the store, and not the log."""
        self.store.apply(Changes(users={ANN: change}, kinds={*(change.signals or ())}), {})

    def audit(self) -> Oracle:
        return audit(self.broker, self.store, TOPICS, self.ledger, Figures())


def test_a_correct_world_passes() -> None:
    world = World()
    world.ledger.asks[b"1"] = Ask("ann", Position(0, 0), confirmed=True, answers=[["b", "c"]])
    assert world.audit().state() == {"ann": {"a"}}


@pytest.mark.parametrize(
    "change",
    [
        UserChange(remove={A}),
        UserChange(add={B}),
        UserChange(signals={DISLIKE: SetChange(add={B})}),
    ],
)
def test_a_lost_or_surplus_like_or_signal_is_noticed(change: UserChange) -> None:
    world = World()
    world.damage(change)
    with pytest.raises(AssertionError):
        world.audit()


def test_a_confirmed_event_that_is_not_in_the_log_is_noticed() -> None:
    world = World()
    world.ledger.confirmed[0, 1] = b"something else"
    with pytest.raises(AssertionError, match="not in the log"):
        world.audit()


def test_a_request_without_a_reply_is_noticed() -> None:
    world = World()
    world.ledger.asks[b"1"] = Ask("ann", None, confirmed=True)
    with pytest.raises(AssertionError):
        world.audit()


def test_an_answer_with_a_liked_item_is_noticed() -> None:
    world = World()
    world.ledger.asks[b"1"] = Ask("ann", Position(0, 1), confirmed=True, answers=[["a"]])
    with pytest.raises(AssertionError, match="liked since"):
        world.audit()


class Tasting:
    """An experiment with lists and likes in the log, all counted."""

    def __init__(self) -> None:
        self.broker, self.store = MemoryBroker(clock_ms=now_ms), MemoryStore()
        self.broker.ensure_topics(TOPICS.specs(2))
        sink, rng = self.broker.sink(), random.Random(7)
        began = {"started_at_ms": now_ms() - 10_000}
        definition = json.dumps(json.loads(experiment.definition([])) | began).encode()
        sink.send(TOPICS.experiments, definition, key=experiment.NAME.encode())
        [record] = self.broker.records(TOPICS.experiments)
        name, document = experiment_document(record)
        applied = {TopicPartition(record.topic, record.partition): Advance(None, 1)}
        self.store.apply(Changes(experiments={name: document}), applied)
        for number in range(60):
            user = rng.choice(experiment.TASTERS)
            for is_list, body in experiment.records_of(rng, user, ITEMS, number):
                topic = TOPICS.exposures if is_list else TOPICS.likes
                sink.send(topic, json.dumps(body).encode(), key=user.encode())
        self.run = run_of(decode_stored_experiment(document or b""))
        stop = threading.Event()
        runs = Runs(self.store, ExperimentSettings())
        settings = Settings(consumer=ConsumerSettings(poll_timeout_ms=1))
        counting = threading.Thread(
            target=AttributionWorker(
                settings, TOPICS, self.broker, self.store, stop, runs=runs, stats=AttributionStats()
            ).run
        )
        counting.start()
        try:
            self.audit()
        finally:
            stop.set()
            counting.join(10.0)

    def audit(self) -> None:
        audit_experiment(self.broker, self.store, TOPICS, Figures())


@pytest.fixture(scope="module")
def tasting() -> Tasting:
    return Tasting()


@pytest.mark.parametrize("change", [1, -1])
@pytest.mark.parametrize("count", ["lists", "shown", "likes", "hits", "users", "n2", "ny", "y2"])
def test_a_count_of_an_experiment_that_is_wrong_by_one_is_noticed(
    tasting: Tasting, count: str, change: int
) -> None:
    damage = {f"/wide/{count}": change}
    tasting.store.apply_attribution(AttributionUpdate(counts={tasting.run.key: damage}))
    with pytest.raises(AssertionError, match=f"counts that differ.*wide/{count}"):
        tasting.audit()
    repair = {f"/wide/{count}": -change}
    tasting.store.apply_attribution(AttributionUpdate(counts={tasting.run.key: repair}))
    tasting.audit()


def test_a_list_that_was_passed_without_being_counted_is_noticed() -> None:
    tasting = Tasting()
    body = next(
        body
        for is_list, body in experiment.records_of(random.Random(1), "taster 0", ITEMS, 10_000)
        if is_list
    )
    sent = tasting.broker.sink().send(TOPICS.exposures, json.dumps(body).encode(), key=b"taster 0")
    partition, offset = sent.result(1.0)
    passed = TopicPartition(TOPICS.exposures, partition)
    at = tasting.store.attribution_positions()[passed]
    step = Step(at, at._replace(offset=offset + 1))
    tasting.store.apply_attribution(AttributionUpdate(steps={passed: step}))
    with pytest.raises(AssertionError, match="counts that differ"):
        tasting.audit()


@given(logs)
def test_the_oracle_merges_each_users_partitions_by_timestamp(log: Log) -> None:
    likes, signals, _ = outcome_of_log(log)
    expected = {str(user): items for user, items in likes.items()}
    for kind, own in signals.items():
        expected |= {f"{kind}:{user}": items for user, items in own.items()}
    assert oracle_of(log).state() == expected


def test_an_item_counts_as_liked_only_if_nothing_later_takes_it_back() -> None:
    oracle = oracle_of(
        {
            0: [(10, Like(ANN, A)), (20, Like(ANN, B)), (30, Unlike(ANN, B))],
            1: [(5, ForgetUser(ANN)), (15, Unlike(ANN, A))],
            2: [(16, Like(ANN, A))],
        }
    )
    assert oracle.scattered_users() == 1
    assert oracle.liked_ever_since(ANN, A, Position(2, 0))
    assert not oracle.liked_ever_since(ANN, A, Position(0, 0)), "unliked later, elsewhere"
    assert not oracle.liked_ever_since(ANN, A, Position(1, 1)), "not liked there"
    assert not oracle.liked_ever_since(ANN, B, Position(0, 1)), "unliked later"


def oracle_of(log: Log) -> Oracle:
    oracle = Oracle()
    for partition, events in log.items():
        for offset, (time_ms, event) in enumerate(events):
            body = {**json.loads(encode_event(event)), "sent_by": "test"}
            value = json.dumps(body).encode()
            place = TOPICS.likes, partition, offset, time_ms
            oracle.take([MemoryRecord(*place, key=None, value=value)])
    return oracle


@pytest.mark.parametrize("point", CRASH_POINTS, ids=lambda point: point.name)
def test_every_crash_point_names_a_call_of_its_service(point: CrashPoint) -> None:
    module, _, path = point.call.partition(":")
    assert callable(attrgetter(path)(importlib.import_module(module)))
    assert point.service in SERVICES


def test_a_proxy_forwards_delays_swallows_and_cuts() -> None:
    with an_echo() as port, proxy_for(port) as proxy:
        with closing(socket.create_connection(("127.0.0.1", proxy.port), 5.0)) as client:
            client.sendall(b"hello")
            assert client.recv(10) == b"hello"
            proxy.swallow()
            client.settimeout(0.2)
            client.sendall(b"lost?")
            with pytest.raises(TimeoutError):
                client.recv(10)
            proxy.flow()
            client.settimeout(5.0)
            assert client.recv(10) == b"lost?"
            proxy.reset()
            assert cut_off(client)
        proxy.refuse()
        with (
            suppress(ConnectionResetError),
            closing(socket.create_connection(("127.0.0.1", proxy.port), 5.0)) as client,
        ):
            assert cut_off(client)


def cut_off(client: socket.socket) -> bool:
    """Whether the connection has ended."""
    try:
        client.sendall(b"anybody?")
        return client.recv(10) == b""
    except OSError:
        return True


@contextmanager
def an_echo() -> Iterator[int]:
    """Run a server that sends back what it receives; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with closing(connection), suppress(ConnectionResetError):
            while piece := connection.recv(100):
                connection.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with closing(listener):
        yield listener.getsockname()[1]
    thread.join(5.0)
