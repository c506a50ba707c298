"""Traffic: producers that publish, askers that send requests, and a listener for the replies.

Some users' events come from two clients that hash keys differently, some of them with old timestamps.
"""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import LikewiseError
from likewise.messages.positions import Position
from likewise.messages.reply_routes import CORRELATION_HEADER, REPLY_TOPIC_HEADER
from likewise.records import TopicPartition
from likewise.settings.signals import SignalSettings
from tests.faults import experiment
from tests.faults.crc32_client import Crc32Client
from tests.faults.ledger import Ask, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from likewise.log.port import Broker, Delivery, LogReader, Sink
    from likewise.log.topics import Topics

    Poison = Callable[[random.Random], tuple[bytes | None, bytes | None]]

USERS = [f"user {number}" for number in range(60)]
TWO_CLIENT_USERS = frozenset(USERS[::4])
GUESTS = [f"guest {number}" for number in range(20)]
SIGNALS = SignalSettings(kinds={"buy": 3.0})
"""The settings that the consumers need for this traffic."""
ITEMS = [f"item {number}" for number in range(80)]
CONFIRMATION_TIMEOUT_S = 15.0
EVENTS_AT_ONCE = 10
PAUSE_S = 0.1
POISON_SHARE = 0.05
_USERS_SHARE = 0.8
_ACTIONS = {
    "like": 50,
    "unlike": 20,
    "dislike": 6,
    "undislike": 2,
    "hide": 4,
    "unhide": 1,
    "signal": 8,
    "unsignal": 3,
    "merge_users": 4,
    "forget_user": 2,
}
_DUPLICATE_SHARE = 0.1
_OLD_DUPLICATE_SHARE = 0.02
_REMEMBERED = 200
_LATE_SHARE = 0.1
_LATE_BY_MS = 30_000


class Outgoing(NamedTuple):
    """A record to publish on the likes topic, and by which client."""

    key: bytes | None
    value: bytes | None
    by_crc32_client: bool = False
    age_ms: int = 0


class Clients:
    """likewise's own client, and one that hashes keys differently."""

    def __init__(self, own: Sink, crc32: Crc32Client, likes: str) -> None:
        self.own = own
        self._crc32 = crc32
        self._likes = likes

    def publish(self, record: Outgoing) -> Delivery:
        """Queue the record; see `Sink.send`."""
        key, value, by_crc32_client, age_ms = record
        if by_crc32_client:
            return self._crc32.send(self._likes, value, key=key, age_ms=age_ms)
        return self.own.send(self._likes, value, key=key)


class Traffic:
    """Runs producers and askers in threads; each draws from its own seeded generator."""

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        *,
        bootstrap_servers: str,
        seed: int,
        poison: Poison | None = None,
        merges: bool = True,
        experiments: bool = False,
    ) -> None:
        self.ledger = Ledger()
        self._broker = broker
        self._topics = topics
        self._bootstrap_servers = bootstrap_servers
        self._seed = seed
        self._poison = poison
        self._merges = merges
        self.experiments = experiments
        self._stop = threading.Event()
        self._hang_up = threading.Event()
        self._threads: list[threading.Thread] = []
        self._deaths: list[BaseException] = []
        self._lock = threading.Lock()

    @contextmanager
    def flowing(self, *, producers: int = 3, askers: int = 2) -> Iterator[Ledger]:
        """Publish and ask for the length of a `with` block; replies are heard until `hang_up`."""
        ends = self._broker.end_offsets(self._broker.partitions(self._topics.replies))
        self._spawn(partial(self._listen, ends), "listener")
        for number in range(producers):
            self._spawn(partial(self._produce, number), f"producer {number}")
        for number in range(askers):
            self._spawn(partial(self._ask, number), f"asker {number}")
        if self.experiments:
            self._spawn(self._taste, "taster")
        try:
            yield self.ledger
        finally:
            self._stop.set()
            for thread in self._threads[1:]:
                thread.join(60.0)
                assert not thread.is_alive(), thread.name

    def hang_up(self) -> None:
        """Stop listening for replies; raise what a thread died of."""
        self._hang_up.set()
        self._threads[0].join(60.0)
        assert not self._threads[0].is_alive()
        if self._deaths:
            raise self._deaths[0]

    def _spawn(self, work: Callable[[], None], name: str) -> None:
        def watched() -> None:
            try:
                work()
            except BaseException as death:  # noqa: BLE001  # handed to the test's own thread
                self._deaths.append(death)

        thread = threading.Thread(target=watched, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _produce(self, number: int) -> None:
        rng = random.Random(f"{self._seed} producer {number}")
        remembered: list[Outgoing] = []
        with self._clients() as clients:
            while not self._stop.wait(PAUSE_S):
                self._publish(clients, self._events(rng, number, remembered))

    def _events(
        self, rng: random.Random, number: int, remembered: list[Outgoing]
    ) -> list[Outgoing]:
        """Return fresh events, some twice, some old ones again, some broken."""
        batch: list[Outgoing] = []
        for _ in range(EVENTS_AT_ONCE):
            if self._poison is not None and rng.random() < POISON_SHARE:
                batch.append(Outgoing(*self._poison(rng)))
                continue
            event = an_event(rng, sent_by=f"producer {number}", merges=self._merges)
            batch.append(event)
            remembered.append(event)
            if rng.random() < _DUPLICATE_SHARE:
                batch.append(event)
            if rng.random() < _OLD_DUPLICATE_SHARE:
                batch.append(rng.choice(remembered))
        self.ledger.duplicates += len(batch) - EVENTS_AT_ONCE
        del remembered[:-_REMEMBERED]
        return batch

    def _publish(self, clients: Clients, batch: Sequence[Outgoing]) -> None:
        in_flight: list[tuple[Outgoing, Delivery]] = []
        for record in batch:
            try:
                in_flight.append((record, clients.publish(record)))
            except LikewiseError:
                self.ledger.unconfirmed += 1
        for record, delivery in in_flight:
            try:
                place = delivery.result(CONFIRMATION_TIMEOUT_S)
            except LikewiseError:
                self.ledger.unconfirmed += 1
                continue
            if record.value is not None and b'"sent_by"' in record.value:
                self.ledger.confirmed[place] = record.value
            else:
                self.ledger.poison[place] = (record.key, record.value)

    def _ask(self, number: int) -> None:
        rng = random.Random(f"{self._seed} asker {number}")
        with self._clients() as clients:
            while not self._stop.wait(PAUSE_S):
                user = rng.choice(USERS)
                after = None
                if rng.random() < 0.7:
                    event = _event(rng, user, "like", rng.choice(ITEMS), f"asker {number}")
                    with suppress(LikewiseError):
                        place = clients.publish(event).result(CONFIRMATION_TIMEOUT_S)
                        self.ledger.confirmed[place] = event.value or b""
                        after = Position(*place)
                self._send_request(clients.own, user, after)

    def _taste(self) -> None:
        """Start an experiment; ask for its users, show them lists, and let them like items."""
        rng = random.Random(f"{self._seed} taster")
        number = 0
        with self._clients() as clients:
            document = experiment.definition([*USERS, *GUESTS])
            name = experiment.NAME.encode()
            self._confirmed(lambda: clients.own.send(self._topics.experiments, document, key=name))
            while not self._stop.wait(PAUSE_S):
                user, number = rng.choice(experiment.TASTERS), number + 1
                self._send_request(clients.own, user, None)
                for is_list, body in experiment.records_of(rng, user, ITEMS, number):
                    key, value = user.encode(), json.dumps(body).encode()
                    if is_list:
                        with suppress(LikewiseError):
                            clients.own.send(self._topics.exposures, value, key=key)
                    else:
                        self._publish(clients, [Outgoing(key, value)])

    def _confirmed(self, send: Callable[[], Delivery]) -> None:
        """Send a record until it is confirmed, or the traffic stops."""
        while not self._stop.is_set():
            try:
                send().result(CONFIRMATION_TIMEOUT_S)
            except LikewiseError:
                self._stop.wait(0.2)
            else:
                return

    def _send_request(self, sink: Sink, user: str, after: Position | None) -> None:
        correlation_id = secrets.token_bytes(12)
        body = {"user_id": user, "count": 10} | ({} if after is None else {"after": str(after)})
        ask = self.ledger.asks[correlation_id] = Ask(user, after)
        headers = [
            (CORRELATION_HEADER, correlation_id),
            (REPLY_TOPIC_HEADER, self._topics.replies.encode()),
        ]
        try:
            sink.send(
                self._topics.requests, json.dumps(body).encode(), key=user.encode(), headers=headers
            ).result(CONFIRMATION_TIMEOUT_S)
        except LikewiseError:
            self.ledger.refused += 1
        else:
            ask.confirmed = True

    def _listen(self, start: dict[TopicPartition, int]) -> None:
        """Note every reply, from where the topic ended; a new reader goes on where one failed."""
        following = dict(start)
        while not self._hang_up.is_set():
            try:
                with closing(self._broker.reader(following)) as reader:
                    self._hear(reader, following)
            except LikewiseError:
                self._hang_up.wait(0.2)

    def _hear(self, reader: LogReader, following: dict[TopicPartition, int]) -> None:
        while not self._hang_up.is_set():
            for record in reader.poll(100):
                following[TopicPartition(record.topic, record.partition)] = record.offset + 1
                ask = self.ledger.asks.get(dict(record.headers).get(CORRELATION_HEADER, b""))
                if ask is not None:
                    self._note(ask, record.value or b"")

    def _note(self, ask: Ask, value: bytes) -> None:
        body = json.loads(value)
        if "error" in body:
            ask.errors.append(body["error"]["code"])
            self.ledger.outcomes[body["error"]["code"]] += 1
        else:
            ask.answers.append([item["item_id"] for item in body["items"]])
            self.ledger.outcomes[body["source"]] += 1

    @contextmanager
    def _clients(self) -> Iterator[Clients]:
        with ExitStack() as stack:
            own = stack.enter_context(closing(self._own_sink()))
            crc32 = stack.enter_context(closing(Crc32Client(self._bootstrap_servers)))
            yield Clients(own, crc32, self._topics.likes)

    def _own_sink(self) -> Sink:
        while not self._stop.is_set():
            try:
                return self._broker.sink()
            except LikewiseError:
                time.sleep(0.1)
        raise AssertionError("the broker was not reached before the end")


def an_event(rng: random.Random, *, sent_by: str, merges: bool = True) -> Outgoing:
    """Return an event of a user or a guest: most often a like, sometimes a merge or a forget."""
    user = rng.choice(USERS if rng.random() < _USERS_SHARE else GUESTS)
    action = rng.choices(list(_ACTIONS), list(_ACTIONS.values()))[0]
    if action == "merge_users" and not (merges and user in GUESTS):
        action = "like"
    item = None if action in {"forget_user", "merge_users"} else rng.choice(ITEMS)
    return _event(rng, user, action, item, sent_by)


def _event(rng: random.Random, user: str, action: str, item: str | None, sent_by: str) -> Outgoing:
    body = {"action": action, "user_id": user, "sent_by": sent_by}
    if item is not None:
        body["item_id"] = item
    if action in {"signal", "unsignal"}:
        body["kind"] = "buy"
    elif action == "merge_users":
        body["into"] = rng.choice(USERS)
    by_crc32_client = user in TWO_CLIENT_USERS and rng.random() < 0.5
    late = by_crc32_client and rng.random() < _LATE_SHARE
    age_ms = rng.randrange(_LATE_BY_MS) if late else 0
    return Outgoing(user.encode(), json.dumps(body).encode(), by_crc32_client, age_ms)
