"""`recommend`, `similar` and the commands that publish events, on a broker in memory."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typer.testing import CliRunner

from likewise import Likewise
from likewise.cli import ask, publishing
from likewise.cli.app import app
from likewise.log.topics import Topics
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like, MergeUsers, Signal, Unsignal
from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.messages.rules import Boost, MaxPer, Pin
from likewise.messages.where import Compare
from likewise.testing import MemoryBroker
from tests.answering import answering, echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from likewise.log.port import Sink
    from likewise.messages.events import Event
    from likewise.messages.replies import Recommendations
    from likewise.messages.requests import Request

TOPICS = Topics()
U1, I1 = UserId("u1"), ItemId("i1")


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    made = MemoryBroker()
    made.ensure_topics(TOPICS.specs(partitions=2))

    @contextmanager
    def sink(_: object) -> Iterator[Sink]:
        yield made.sink()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(publishing, "likes_sink", sink)
    monkeypatch.setattr(ask, "_client", lambda _: Likewise(broker=made))
    return made


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result.output


def with_fields(request: Request) -> Recommendations:
    answer = echo(request)
    first, second = answer.items
    fields = {"title": "Solaris [1972]", "cast": ["a", "b"], "hd": True}
    return msgspec.structs.replace(
        answer,
        items=(
            msgspec.structs.replace(first, fields=fields, pinned=True),
            msgspec.structs.replace(second, fields={"price": 9.5}, explored=True),
        ),
        recommendation_id="r-1",
    )


# Events


@pytest.mark.parametrize(
    ("command", "event"),
    [
        ("like u1 i1", Like(U1, I1)),
        ("dislike u1 i1", Signal(U1, I1, DISLIKE)),
        ("undislike u1 i1", Unsignal(U1, I1, DISLIKE)),
        ("hide u1 i1", Signal(U1, I1, HIDE)),
        ("unhide u1 i1", Unsignal(U1, I1, HIDE)),
        ("signal buy u1 i1", Signal(U1, I1, SignalKind("buy"))),
        ("unsignal buy u1 i1", Unsignal(U1, I1, SignalKind("buy"))),
        ("merge-users u1 ada", MergeUsers(U1, UserId("ada"))),
    ],
)
def test_each_command_publishes_its_event_and_prints_its_position(
    broker: MemoryBroker, command: str, event: Event
) -> None:
    shown = run(*command.split())
    (record,) = broker.records(TOPICS.likes)
    assert decode_event(record) == event
    assert shown == f"{record.partition}:{record.offset}\n"
    (described,) = json.loads(run(*command.split(), "--json"))
    again = broker.records(TOPICS.likes)[-1]
    body = json.loads(again.value or b"")
    assert described["position"].endswith(f":{again.offset}")
    assert {**described, **body}.items() >= {"user_id": "u1", "action": body["action"]}.items()
    assert described.keys() - {"position"} <= {*body, "kind"}


def test_several_items_and_the_recommendation_that_led_to_them(broker: MemoryBroker) -> None:
    shown = run("signal", "buy", "u1", "i1", "i2", "--recommendation", "r-1")
    records = broker.records(TOPICS.likes)
    assert len(shown.splitlines()) == len(records) == 2
    bodies = [json.loads(record.value or b"") for record in records]
    assert [body["recommendation_id"] for body in bodies] == ["r-1", "r-1"]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("signal Buy u1 i1", "kind"),
        ("signal hide u1 i1", "use the action"),
        ("merge-users u1 u1", "into"),
        ("like u1 i1 --recommendation r.1", "recommendation_id"),
    ],
)
def test_what_a_consumer_would_refuse_is_not_sent(
    broker: MemoryBroker, command: str, named: str
) -> None:
    assert named in run(*command.split(), code=1)
    assert broker.records(TOPICS.likes) == []


# Requests


def test_every_option_reaches_the_server(broker: MemoryBroker) -> None:
    with answering(broker, TOPICS) as seen:
        run(
            *("recommend", "u1", "--where", '{"price": {"$lte": 20}}', "--only", "a, b"),
            *("--boost", '1.5={"lang": "en"}', "--boost", '0={"lang": "="}'),
            *(
                "--pin",
                "i=7=1",
                "--pin",
                "i8=2",
                "--max-per",
                "artist=2",
                "--fields",
                "title,price",
            ),
            *("--without", "c", "--rotation", "0.5", "--explore", "0.1", "--source", "popular"),
            *("--next-of", "r-1"),
        )
        run(
            "similar", "i7", "--where", "{}", "--pin", "i8=1", "--max-per", "a=1", "--rotation", "1"
        )
        run("recommend", "--source", "trending")
    asked, similar, trending = seen
    assert asked.where == Compare("price", "$lte", 20)
    assert asked.only == ("a", "b")
    assert asked.boost == (
        Boost(Compare("lang", "$eq", "en"), 1.5),
        Boost(Compare("lang", "$eq", "="), 0.0),
    )
    assert asked.pin == (Pin(ItemId("i=7"), 1), Pin(ItemId("i8"), 2))
    assert asked.max_per == MaxPer("artist", 2)
    assert (asked.fields, asked.without) == (("title", "price"), ("c",))
    assert (asked.rotation, asked.explore, asked.source) == (0.5, 0.1, "popular")
    assert (asked.next_of, asked.count, asked.explain, asked.fill) == ("r-1", 10, False, True)
    assert (similar.similar_to, similar.rotation) == ("i7", 1.0)
    assert (trending.source, trending.liked) == ("trending", ())


def test_options_that_are_not_given_are_left_to_the_scenario(broker: MemoryBroker) -> None:
    with answering(broker, TOPICS) as seen:
        run("recommend", "u1", "--scenario", "home")
        run("recommend", "u1", "--scenario", "home", "--count", "10", "--fill", "--rotation", "0")
    assert [sorted(request.explicit) for request in seen] == [[], ["count", "fill", "rotation"]]


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--where", '{"a"', "is not JSON"),
        ("--where", "\udcff", "is not JSON"),
        ("--where", "[" * 100_000, "is not JSON"),
        ("--where", "[]", "is not an object"),
        ("--where", '{"a": {"$regex": "x"}}', "where.a.$regex"),
        ("--boost", "1.5", "does not have the form"),
        ("--boost", 'much={"a": 1}', "does not have the form"),
        ("--boost", "1.5={", "is not JSON"),
        ("--pin", "i7", "does not have the form ITEM=PLACE"),
        ("--pin", "i7=first", "does not have the form ITEM=PLACE"),
        ("--pin", "i7=²", "does not have the form ITEM=PLACE"),
        ("--max-per", "=2", "does not have the form FIELD=N"),
        ("--rotation", "2", "0<=x<=1"),
        ("--source", "trendy", "popular"),
    ],
)
def test_a_bad_option_is_a_usage_error_that_names_it(
    broker: MemoryBroker, option: str, value: str, problem: str
) -> None:
    shown = " ".join(run("recommend", "u1", option, value, code=2).split())
    assert f"Invalid value for '{option}'" in shown
    assert problem in shown
    assert broker.records(TOPICS.requests) == []


def test_the_table_shows_fields_marks_and_the_recommendation(broker: MemoryBroker) -> None:
    with answering(broker, TOPICS, with_fields):
        shown = run("recommend", "u1", "-n", "2", "--fields", "title,cast,hd,price")
        answer: dict[str, Any] = json.loads(run("recommend", "u1", "-n", "2", "--json"))
    heading, first, second, origin = shown.splitlines()
    assert heading.split() == ["rank", "item", "score", "title", "cast", "hd", "price", "mark"]
    assert first.split() == ["1", "u1-0", "1", "Solaris", "[1972]", "a,", "b", "yes", "pinned"]
    assert second.split() == ["2", "u1-1", "0.5", "9.5", "explored"]
    assert origin == "ranked by model v1, 1.0 s old; recommendation r-1"
    assert answer["recommendation_id"] == "r-1"
    assert answer["items"][1] == {
        "item_id": "u1-1",
        "score": 0.5,
        "fields": {"price": 9.5},
        "explored": True,
    }
