from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from likewise import Likewise, Position, ReplyTimeoutError, TransientError
from likewise.embedded import EmbeddedBroker, free_port
from likewise.errors import UndeliverableError
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like, Unlike
from likewise.messages.ids import ItemId, UserId
from tests.answering import answering
from tests.services import kafka_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.records import Record


@pytest.fixture
def broker(bootstrap_servers: str, prefix: str) -> Iterator[Broker]:
    with closing(KafkaBroker(kafka_settings(bootstrap_servers, prefix))) as made:
        made.ensure_topics(Topics(prefix).specs(partitions=3))
        yield made


@pytest.fixture
def client(bootstrap_servers: str, prefix: str, broker: Broker) -> Iterator[Likewise]:
    with Likewise(settings=kafka_settings(bootstrap_servers, prefix), timeout_s=20.0) as made:
        yield made


def read_all(broker: Broker, topic: str, count: int) -> list[Record]:
    records: list[Record] = []
    give_up_at_s = time.monotonic() + 20
    with closing(broker.reader(dict.fromkeys(broker.partitions(topic), 0))) as reader:
        while len(records) < count and time.monotonic() < give_up_at_s:
            records += reader.poll(200)
    return records


def test_likes_arrive_where_their_positions_say(
    broker: Broker, client: Likewise, prefix: str
) -> None:
    liked = client.like("u1", "i7")
    unliked = client.unlike("u1", "i7")
    assert unliked == Position(liked.partition, liked.offset + 1)
    like, unlike = read_all(broker, Topics(prefix).likes, 2)
    assert decode_event(like) == Like(UserId("u1"), ItemId("i7"))
    assert decode_event(unlike) == Unlike(UserId("u1"), ItemId("i7"))
    assert Position(unlike.partition, unlike.offset) == unliked


def test_thousands_of_likes_arrive_in_each_users_order(
    broker: Broker, client: Likewise, prefix: str
) -> None:
    pairs = [(f"u{number % 50}", f"i{number}") for number in range(3_000)]
    assert client.like_many(pairs) == 3_000
    records = read_all(broker, Topics(prefix).likes, 3_000)
    for user in {name for name, _ in pairs}:
        events = [decode_event(record) for record in records if record.key == user.encode()]
        assert events == [Like(UserId(user), ItemId(item)) for name, item in pairs if name == user]


def test_many_threads_get_their_answers_at_once(
    broker: Broker, client: Likewise, prefix: str
) -> None:
    def ask(number: int) -> bool:
        answer = client.recommend(f"u{number}", count=1)
        return answer.items[0].item_id == f"u{number}-0"

    with answering(broker, Topics(prefix)), ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(64)))


def test_two_clients_hear_only_their_own_replies(
    bootstrap_servers: str, broker: Broker, client: Likewise, prefix: str
) -> None:
    settings = kafka_settings(bootstrap_servers, prefix)
    with Likewise(settings=settings, timeout_s=20.0) as other, answering(broker, Topics(prefix)):
        for number in range(5):
            assert client.recommend(number, count=1).user_id == str(number)
            assert other.similar(f"i{number}", count=1).items[0].item_id == f"i{number}-0"


def test_an_answer_comes_back_without_waiting_for_a_poll_to_time_out(
    broker: Broker, client: Likewise, prefix: str
) -> None:
    with answering(broker, Topics(prefix)):
        client.recommend("u1")
        took_s = []
        for _ in range(20):
            started_s = time.monotonic()
            client.recommend("u1")
            took_s.append(time.monotonic() - started_s)
    # One who waits for polls to time out is woken by each only when it is over, every time.
    assert min(took_s) < 0.1


def test_without_a_server_a_request_times_out(client: Likewise) -> None:
    with pytest.raises(ReplyTimeoutError, match="likewise serve"):
        client.recommend("u1", timeout_s=3.0)


def test_topics_that_do_not_exist_are_named_and_not_created(
    bootstrap_servers: str, broker: Broker, prefix: str
) -> None:
    with Likewise(bootstrap_servers, topic_prefix=f"{prefix}none.", timeout_s=20.0) as client:
        for call in (lambda: client.like("u1", "i7"), lambda: client.recommend("u1")):
            with pytest.raises(UndeliverableError, match="there is no topic"):
                call()
    assert broker.partitions(f"{prefix}none.likes") == []


def test_an_unreachable_broker_is_reported_within_the_timeout() -> None:
    with Likewise(f"127.0.0.1:{free_port()}", timeout_s=1.0) as client:
        started_s = time.monotonic()
        with pytest.raises(TransientError):
            client.like("u1", "i7")
        with pytest.raises(TransientError):
            client.recommend("u1")
        assert time.monotonic() - started_s < 8.0


def test_a_client_recovers_when_a_broker_returns_without_its_records(tmp_path: Path) -> None:
    topics = Topics()
    with EmbeddedBroker(tmp_path) as server:
        settings = kafka_settings(server.bootstrap_servers, "")
        with Likewise(settings=settings, timeout_s=3.0) as client:
            for _ in range(2):
                with closing(KafkaBroker(settings)) as broker:
                    broker.ensure_topics(topics.specs(partitions=1))
                    with answering(broker, topics):
                        assert until_it_works(client) == "u1-0"
                server.kill()
                with pytest.raises(TransientError):
                    client.like("u1", "i7")
                server.start()


def until_it_works(client: Likewise) -> str:
    give_up_at_s = time.monotonic() + 40
    while True:
        try:
            client.like("u1", "i7")
            return client.recommend("u1", count=1).items[0].item_id
        except (TransientError, ReplyTimeoutError, UndeliverableError):
            assert time.monotonic() < give_up_at_s
