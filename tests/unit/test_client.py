from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from likewise import (
    InvalidInputError,
    Likewise,
    LikewiseError,
    Position,
    ReplyError,
    ReplyTimeoutError,
    TransientError,
)
from likewise.errors import UndeliverableError
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import (
    ForgetUser,
    Like,
    MergeUsers,
    RestoreItem,
    RetireItem,
    Signal,
    Unlike,
    Unsignal,
)
from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.messages.items import CatalogueItem, RemoveItem, decode_item
from likewise.messages.replies import ErrorBody, ErrorReply, RankedUser
from likewise.messages.reply_routes import (
    CORRELATION_HEADER,
    REPLY_PARTITION_HEADER,
    REPLY_TOPIC_HEADER,
)
from likewise.messages.request_options import RequestOptions
from likewise.messages.rules import Boost, MaxPer, Pin
from likewise.messages.scenarios import RemoveScenario, Scenario, decode_scenario
from likewise.messages.where import Compare
from likewise.testing import MemoryBroker
from tests.answering import answering, echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from likewise.messages.events import Event
    from likewise.messages.items import Label
    from likewise.messages.replies import Recommendations
    from likewise.messages.requests import Request

TOPICS = Topics("shop.")
BUY = SignalKind("buy")
U1, U2, I7, I8 = UserId("u1"), UserId("u2"), ItemId("i7"), ItemId("i8")


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker()
    made.ensure_topics(TOPICS.specs(partitions=4))
    return made


@pytest.fixture
def client(broker: MemoryBroker) -> Iterator[Likewise]:
    with Likewise(topic_prefix="shop.", timeout_s=20.0, broker=broker) as made:
        yield made


def events(broker: MemoryBroker) -> list[Event]:
    return [decode_event(record) for record in broker.records(TOPICS.likes)]


# Events


@pytest.mark.parametrize(
    ("publish", "event"),
    [
        (lambda client: client.like("u1", "i7"), Like(U1, I7)),
        (lambda client: client.unlike("u1", "i7"), Unlike(U1, I7)),
        (lambda client: client.forget("u1"), ForgetUser(U1)),
        (lambda client: client.retire_item("i7"), RetireItem(I7)),
        (lambda client: client.restore_item("i7"), RestoreItem(I7)),
        (lambda client: client.like(42, 7), Like(UserId("42"), ItemId("7"))),
        (lambda client: client.dislike("u1", "i7"), Signal(U1, I7, DISLIKE)),
        (lambda client: client.undislike("u1", "i7"), Unsignal(U1, I7, DISLIKE)),
        (lambda client: client.hide("u1", "i7"), Signal(U1, I7, HIDE)),
        (lambda client: client.unhide("u1", "i7"), Unsignal(U1, I7, HIDE)),
        (lambda client: client.signal("u1", "i7", "buy"), Signal(U1, I7, BUY)),
        (lambda client: client.unsignal("u1", "i7", "buy"), Unsignal(U1, I7, BUY)),
        (lambda client: client.merge_users("u1", into="u2"), MergeUsers(U1, U2)),
        (lambda client: client.merge_users("u1", into=2), MergeUsers(U1, UserId("2"))),
    ],
)
def test_each_method_publishes_its_event_and_returns_its_position(
    broker: MemoryBroker,
    client: Likewise,
    publish: Callable[[Likewise], Position],
    event: Event,
) -> None:
    position = publish(client)
    (record,) = broker.records(TOPICS.likes)
    assert decode_event(record) == event
    assert position == Position(record.partition, record.offset)


def test_an_event_names_the_recommendation_that_led_to_it(
    broker: MemoryBroker, client: Likewise
) -> None:
    for publish in (client.like, client.dislike, client.hide):
        publish("u1", "i7", recommendation_id="r-1")
    client.signal("u1", "i7", "buy", recommendation_id="r-1")
    records = broker.records(TOPICS.likes)
    assert [json.loads(record.value or b"")["recommendation_id"] for record in records] == [
        "r-1"
    ] * 4
    assert {type(event) for event in events(broker)} == {Like, Signal}


def test_items_are_put_and_removed_under_their_ids(broker: MemoryBroker, client: Likewise) -> None:
    client.put_item(
        7,
        title="Solaris",
        categories=("drama",),
        labels={"year": 1972, "cast": ["a", "b"], "cut": None},
        published_at=datetime(1972, 3, 20, tzinfo=UTC),
    )
    client.remove_item(7)
    put, removed = broker.records(TOPICS.items)
    assert (put.key, removed.key) == (b"7", b"7")
    seven = ItemId("7")
    labels: dict[str, Label] = {"year": 1972, "cast": ("a", "b")}
    assert decode_item(put) == CatalogueItem(
        seven, "Solaris", categories=("drama",), labels=labels, published_at_ms=69_897_600_000
    )
    assert decode_item(removed) == RemoveItem(seven)
    assert client.put_items({"item_id": f"i{n}", "more": 0} for n in range(300)) == 300
    assert len(broker.records(TOPICS.items)) == 302


def test_scenarios_are_put_and_removed_under_their_names(
    broker: MemoryBroker, client: Likewise
) -> None:
    client.put_scenario("home", count=20, where={"lang": {"$in": ("en", "de")}}, only=[7])
    client.remove_scenario("home")
    put, removed = broker.records(TOPICS.scenarios)
    assert decode_scenario(put) == Scenario(
        "home",
        RequestOptions(count=20, where=Compare("lang", "$in", ("en", "de")), only=(ItemId("7"),)),
    )
    assert decode_scenario(removed) == RemoveScenario("home")


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda client: client.signal("u1", "i7", "Buy"), "kind"),
        (lambda client: client.signal("u1", "i7", "like"), "kind"),
        (lambda client: client.publish([Signal(U1, I7, SignalKind("b*"))]), "kind"),
        (lambda client: client.merge_users("u1", into="u1"), "into"),
        (lambda client: client.like("u1", "i7", recommendation_id="r 1"), "recommendation_id"),
        (lambda client: client.put_item("i7", labels={"a": {"b": 1}}), "labels.a"),
        (lambda client: client.put_item("i7", labels={"a": float("nan")}), "labels.a"),
        (lambda client: client.put_item("i7", published_at="soon"), "published_at"),
        (lambda client: client.put_items([{"title": "x"}]), "item_id"),
        (lambda client: client.put_scenario("Home"), "name"),
        (lambda client: client.put_scenario("home", where={"$where": "x"}), "where"),
        (lambda client: client.put_scenario("home", only="i7"), "only"),
    ],
)
def test_what_a_consumer_would_refuse_is_refused_at_once(
    broker: MemoryBroker, client: Likewise, call: Callable[[Likewise], object], named: str
) -> None:
    broker.down = True
    with pytest.raises(InvalidInputError, match=named):
        call(client)


def test_the_likes_of_one_user_stay_in_order(broker: MemoryBroker, client: Likewise) -> None:
    positions = [client.like("u1", item) for item in range(20)]
    assert len({position.partition for position in positions}) == 1
    assert [position.offset for position in positions] == list(range(20))


def test_many_likes_are_published_in_order_and_counted(
    broker: MemoryBroker, client: Likewise
) -> None:
    pairs = [(f"u{number % 7}", number) for number in range(500)]
    assert client.like_many(pairs) == 500
    for user in range(7):
        liked = [
            event.item_id
            for event in events(broker)
            if isinstance(event, Like) and event.user_id == f"u{user}"
        ]
        assert liked == [str(item) for name, item in pairs if name == f"u{user}"]


def test_events_of_all_kinds_can_be_published_from_a_generator(
    broker: MemoryBroker, client: Likewise
) -> None:
    sent: list[Event] = [Like(U1, I7), Unlike(U1, I7), ForgetUser(U1), Like(U1, I8)]
    assert client.publish(event for event in sent) == 4
    assert events(broker) == sent
    assert client.publish([]) == 0


def test_a_bulk_whose_delivery_fails_raises(broker: MemoryBroker, client: Likewise) -> None:
    broker.fail_with(TransientError("no leader"), on="deliver")
    with pytest.raises(TransientError, match="no leader"):
        client.like_many([("u1", "i1"), ("u1", "i2")])


@pytest.mark.parametrize("bad", ["", "x" * 257, "é" * 129, "\ud800", None, 1.5, True, ["u1"], b"u"])
def test_bad_ids_are_refused_at_once_and_nothing_is_sent(
    broker: MemoryBroker, client: Likewise, bad: Any
) -> None:
    broker.down = True
    calls: list[Callable[[], object]] = [
        lambda: client.like(bad, "i7"),
        lambda: client.like("u1", bad),
        lambda: client.unlike("u1", bad),
        lambda: client.forget(bad),
        lambda: client.retire_item(bad),
        lambda: client.like_many([(bad, "i7")]),
        lambda: client.publish([Like(bad, I7)]),
        lambda: client.similar(bad),
        lambda: client.recommend(liked=[bad]),
        lambda: client.recommend("u1", exclude=[bad]),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError):
            call()
    broker.down = False
    assert broker.records(TOPICS.likes) == broker.records(TOPICS.requests) == []


# Questions


def test_a_recommendation_comes_back_to_its_requester(
    broker: MemoryBroker, client: Likewise
) -> None:
    with answering(broker, TOPICS):
        answer = client.recommend("u1", count=3)
    assert [item.item_id for item in answer.items] == ["u1-0", "u1-1", "u1-2"]
    assert (answer.source, answer.model.version, answer.user_id) == ("model", "v1", "u1")


def test_every_option_reaches_the_server(broker: MemoryBroker, client: Likewise) -> None:
    with answering(broker, TOPICS) as seen:
        client.recommend(
            7, count=2, exclude=["a", 3], explain=True, after=Position(3, 1042), deadline_ms=250
        )
        client.recommend(liked=["i7", 9])
        client.similar("i7", user_id="u1", count=4, exclude=["i8"], after=Position(0, 1))
        client.recommend(7, diversity=0.3, novelty=1)
        client.similar("i7", diversity=1, novelty=0.2)
    asked, session, beside, shifted, shifted_beside = seen
    assert (asked.diversity, asked.novelty) == (0, 0)
    assert (shifted.diversity, shifted.novelty) == (0.3, 1)
    assert (shifted_beside.diversity, shifted_beside.novelty) == (1, 0.2)
    assert (asked.user_id, asked.count, asked.exclude) == ("7", 2, ("a", "3"))
    assert (asked.explain, asked.after, asked.deadline_ms) == (True, Position(3, 1042), 250)
    assert (session.user_id, session.liked, session.count) == (None, ("i7", "9"), 10)
    assert (beside.similar_to, beside.user_id, beside.count) == ("i7", "u1", 4)
    assert (beside.exclude, beside.after) == (("i8",), Position(0, 1))


def test_filters_and_rules_reach_the_server(broker: MemoryBroker, client: Likewise) -> None:
    with answering(broker, TOPICS) as seen:
        page = client.recommend(
            "u1",
            where={"price": {"$lte": 20}},
            only=[1, "b"],
            boost=[{"where": {"lang": "en"}, "factor": 1.5}],
            pin=[{"item_id": 7, "place": 1}],
            max_per={"field": "artist", "count": 2},
            fields=["title"],
            without=["c"],
            rotation=0.5,
            explore=0.1,
            source="popular",
            next_of="r-1",
        )
        client.recommend("u1", scenario="home", count=10, fill=True)
        client.similar("i7", next_of=msgspec.structs.replace(page, recommendation_id="r-2"))
        client.users_for("i7", count=3)
        client.users_like(1)
    ruled, stored, paged, users_for, users_like = seen
    assert ruled.where == Compare("price", "$lte", 20)
    assert ruled.only == ("1", "b")
    assert ruled.boost == (Boost(Compare("lang", "$eq", "en"), 1.5),)
    assert ruled.pin == (Pin(ItemId("7"), 1),)
    assert ruled.max_per == MaxPer("artist", 2)
    assert (ruled.fields, ruled.without, ruled.source) == (("title",), ("c",), "popular")
    assert (ruled.rotation, ruled.explore, ruled.next_of) == (0.5, 0.1, "r-1")
    assert (stored.scenario, sorted(stored.explicit)) == ("home", ["count", "fill"])
    assert (paged.similar_to, paged.next_of) == ("i7", "r-2")
    assert (users_for.users_for, users_for.count) == ("i7", 3)
    assert users_like.users_like == "1"


def test_the_example_in_the_documentation_runs(broker: MemoryBroker, client: Likewise) -> None:
    page = (Path(__file__).parents[2] / "docs/clients.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    def answer(request: Request) -> Recommendations:
        return msgspec.structs.replace(echo(request), recommendation_id="r-1")

    with answering(broker, TOPICS, answer) as seen:
        exec(example, {"likewise": client})
    assert [request.next_of for request in seen] == [None, "r-1", None]
    assert [request.scenario for request in seen] == [None, None, "home"]
    assert {type(event) for event in events(broker)} == {Like, Signal, MergeUsers}
    assert len(broker.records(TOPICS.items)) == len(broker.records(TOPICS.scenarios)) == 1


def test_users_come_back_as_users(broker: MemoryBroker, client: Likewise) -> None:
    def rank_users(request: Request) -> Recommendations:
        users = (RankedUser(UserId("u2"), 0.5),)
        return msgspec.structs.replace(echo(request), items=(), users=users)

    with answering(broker, TOPICS, rank_users):
        assert client.users_for("i7") == (RankedUser(U2, 0.5),)


def test_an_option_that_does_not_exist_is_a_type_error(client: Likewise) -> None:
    for call in (client.recommend, client.put_scenario):
        with pytest.raises(TypeError, match="colour"):
            call("u1", colour="red")  # type: ignore[call-arg] # what is tested


def test_an_empty_session_is_a_valid_request(broker: MemoryBroker, client: Likewise) -> None:
    with answering(broker, TOPICS) as seen:
        client.recommend(liked=[])
    assert seen[0].liked == ()


def test_the_timeout_is_the_deadline_unless_one_is_given(
    broker: MemoryBroker, client: Likewise
) -> None:
    with answering(broker, TOPICS) as seen:
        client.recommend("u1")
        client.recommend("u1", timeout_s=7.5)
        client.recommend("u1", timeout_s=1e9)
    assert [request.deadline_ms for request in seen] == [20_000, 7_500, 3_600_000]


def test_a_request_names_where_its_reply_goes(broker: MemoryBroker, client: Likewise) -> None:
    with answering(broker, TOPICS):
        client.recommend("u1")
        client.similar("i7")
    first, second = sorted(broker.records(TOPICS.requests), key=lambda record: record.timestamp)
    assert {first.key, second.key} == {b"u1", b"i7"}
    headers = [dict(record.headers) for record in (first, second)]
    assert [h[REPLY_TOPIC_HEADER] for h in headers] == [TOPICS.replies.encode()] * 2
    assert [len(h[CORRELATION_HEADER]) for h in headers] == [16, 16]
    assert headers[0][CORRELATION_HEADER] != headers[1][CORRELATION_HEADER]
    (partition,) = {h[REPLY_PARTITION_HEADER] for h in headers}
    assert int.from_bytes(partition, "big") in range(4)
    assert {record.partition for record in broker.records(TOPICS.replies)} == {
        int.from_bytes(partition, "big")
    }


def test_an_error_reply_raises_with_its_code(broker: MemoryBroker, client: Likewise) -> None:
    def refuse(_request: Request) -> ErrorReply:
        return ErrorReply(error=ErrorBody("unknown_item", "no item i9"))

    with answering(broker, TOPICS, refuse), pytest.raises(ReplyError, match="no item i9") as caught:
        client.similar("i9")
    assert caught.value.code == "unknown_item"


def test_without_a_server_the_timeout_names_topic_time_and_likely_cause(
    broker: MemoryBroker, client: Likewise
) -> None:
    started_s = time.monotonic()
    with pytest.raises(ReplyTimeoutError) as caught:
        client.recommend("u1", timeout_s=0.2)
    assert 0.2 <= time.monotonic() - started_s < 5.0
    sentence = str(caught.value)
    assert "shop.recommendation-replies" in sentence
    assert "0.2 s" in sentence
    assert "likewise serve" in sentence
    assert isinstance(caught.value, TimeoutError)


def test_late_and_foreign_replies_are_dropped(broker: MemoryBroker, client: Likewise) -> None:
    held: list[Request] = []

    def answer_the_second(request: Request) -> Recommendations | None:
        held.append(request)
        return None if len(held) == 1 else echo(request)

    with answering(broker, TOPICS, answer_the_second):
        with pytest.raises(ReplyTimeoutError):
            client.recommend("slow", timeout_s=0.1)
        (asked,) = broker.records(TOPICS.requests)
        with closing(broker.sink()) as sink:
            for partition in range(4):
                sink.send(TOPICS.replies, b"late", headers=asked.headers, partition=partition)
                sink.send(TOPICS.replies, b"foreign", headers=[(CORRELATION_HEADER, b"?")])
                sink.send(TOPICS.replies, b"headerless", partition=partition)
                sink.send(TOPICS.replies, None, partition=partition)
        assert client.recommend("quick", count=1).items[0].item_id == "quick-0"


def test_many_threads_share_a_client_and_each_gets_its_own_answer(
    broker: MemoryBroker, client: Likewise
) -> None:
    def ask(number: int) -> bool:
        answer = client.recommend(f"u{number}", count=1)
        return answer.items[0].item_id == f"u{number}-0"

    with answering(broker, TOPICS), ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))
    assert sum(thread.name == "likewise-replies" for thread in threading.enumerate()) == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"count": 0}, "invalid_count"),
        ({"count": 1001}, "invalid_count"),
        ({"count": 2.5}, "wrong_type"),
        ({"count": float("nan")}, "wrong_type"),
        ({"deadline_ms": 0}, "invalid_deadline"),
        ({"liked": ["i7"]}, "ambiguous_subject"),
        ({"exclude": "i7"}, "wrong_type"),
        ({"exclude": ["i"] * 10_001}, "too_large"),
        ({"only": map(str, range(1_000_000))}, "too_large"),
        ({"only": ["x" * 60] * 10_000}, "too_large"),
        ({"diversity": float("nan")}, "invalid_diversity"),
        ({"boost": [{"where": {}, "factor": float("nan")}]}, "invalid_boost"),
        ({"where": {"a": float("inf")}}, "invalid_where"),
        ({"where": "price < 20"}, "invalid_where"),
        ({"pin": [{"item_id": "a", "place": 11}]}, "invalid_pin"),
        ({"max_per": {"field": "a", "count": 0}}, "invalid_max_per"),
        ({"source": "trendy"}, "invalid_source"),
        ({"scenario": "Home page"}, "invalid_scenario"),
        ({"next_of": "r 1"}, "invalid_recommendation_id"),
    ],
)
def test_invalid_requests_are_refused_at_once(
    broker: MemoryBroker, client: Likewise, options: dict[str, Any], code: str
) -> None:
    broker.down = True
    with pytest.raises(InvalidInputError) as caught:
        client.recommend("u1", **options)
    assert caught.value.code == code


def test_a_request_without_user_item_or_likes_is_refused(client: Likewise) -> None:
    with pytest.raises(InvalidInputError, match="user_id"):
        client.recommend()


# Trouble


def test_an_unreachable_broker_is_a_transient_error_for_every_call(
    broker: MemoryBroker, client: Likewise
) -> None:
    broker.down = True
    for call in (
        lambda: client.like("u1", "i7"),
        lambda: client.like_many([("u1", "i7")]),
        lambda: client.recommend("u1"),
    ):
        with pytest.raises(TransientError):
            call()
    broker.down = False
    assert client.like("u1", "i7").offset == 0


def test_missing_topics_are_named_with_what_creates_them() -> None:
    with Likewise(broker=MemoryBroker()) as client:
        with pytest.raises(UndeliverableError, match=r"topic likes.*likewise up"):
            client.like("u1", "i7")
        with pytest.raises(UndeliverableError, match=r"recommendation-replies.*likewise up"):
            client.recommend("u1")


def test_replies_are_read_again_after_an_outage(broker: MemoryBroker, client: Likewise) -> None:
    with answering(broker, TOPICS):
        client.recommend("u1")
        broker.fail_with(*[TransientError("gone")] * 6, on="poll")
        assert client.recommend("u2", count=1).items[0].item_id == "u2-0"


def test_a_recreated_reply_topic_is_read_from_its_beginning(
    broker: MemoryBroker, client: Likewise
) -> None:
    with answering(broker, TOPICS):
        for _ in range(5):
            client.recommend("u1")
        broker.recreate_topic(TOPICS.replies)
        assert client.recommend("u2", count=1).items[0].item_id == "u2-0"


def test_a_reading_thread_that_fails_raises_instead_of_timing_out(
    broker: MemoryBroker, client: Likewise
) -> None:
    with answering(broker, TOPICS):
        client.recommend("u1")
    broker.fail_with(LikewiseError("not allowed to read"), on="poll")
    with pytest.raises(LikewiseError, match="not allowed to read"):
        client.recommend("u1")


def test_closing_ends_the_thread_and_the_calls_that_wait(broker: MemoryBroker) -> None:
    client = Likewise(topic_prefix="shop.", broker=broker)
    failures: list[Exception] = []

    def wait_for_a_reply() -> None:
        try:
            client.recommend("u1", timeout_s=60.0)
        except LikewiseError as error:
            failures.append(error)

    asked = threading.Event()

    def keep_silent(_request: Request) -> None:
        asked.set()

    with answering(broker, TOPICS, keep_silent):
        waiting = threading.Thread(target=wait_for_a_reply)
        waiting.start()
        assert asked.wait(10)
        client.close()
        waiting.join(10)
    assert [str(failure) for failure in failures] == ["the client was closed"]
    assert not [thread for thread in threading.enumerate() if thread.name == "likewise-replies"]


def test_a_closed_client_can_only_be_closed_again(broker: MemoryBroker, client: Likewise) -> None:
    client.like("u1", "i7")
    client.close()
    client.close()
    with pytest.raises(LikewiseError, match="closed"):
        client.like("u1", "i8")
    with pytest.raises(LikewiseError, match="closed"):
        client.recommend("u1")
    assert len(broker.records(TOPICS.likes)) == 1


def test_a_client_that_was_never_used_connects_to_nothing_and_closes() -> None:
    with Likewise("127.0.0.1:1", timeout_s=0.1):
        pass


def test_a_given_reply_topic_is_used(broker: MemoryBroker) -> None:
    broker.ensure_topics([spec._replace(name="mine") for spec in TOPICS.specs(1)[:1]])
    with (
        Likewise(topic_prefix="shop.", reply_topic="mine", broker=broker) as client,
        answering(broker, TOPICS),
    ):
        client.recommend("u1")
    assert len(broker.records("mine")) == 1
    assert broker.records(TOPICS.replies) == []
