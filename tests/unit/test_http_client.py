"""`LikewiseHttp` and `AsyncLikewiseHttp` against a gateway made of a function."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from likewise import (
    AsyncLikewiseHttp,
    InvalidInputError,
    Likewise,
    LikewiseHttp,
    Position,
    ReplyError,
    ReplyTimeoutError,
    SettingsError,
    TransientError,
    UndeliverableError,
)
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER = {
    "items": [{"item_id": "i9", "score": 0.5}],
    "source": "model",
    "model": {"version": "v1", "age_s": 1.0},
    "recommendation_id": "r-1",
}


class Gateway:
    """Answers from a queue, then as a gateway to which nothing bad happens; records every request."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=answer.content
            )
        if request.url.path == "/v1/events":
            events = json.loads(request.content)
            positions = [f"3:{offset}" for offset, _ in enumerate(events)]
            return httpx.Response(200, json={"published": len(events), "positions": positions})
        return httpx.Response(200, json=ANSWER)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"type": f"/docs#error-{code}", "title": code, "status": status, "code": code}
    kind = {"content-type": "application/problem+json"}
    return httpx.Response(status, json={**body, "detail": f"it is {code}"}, headers=kind | headers)


class Blocking:
    """Makes one call with `LikewiseHttp`."""

    def __call__(self, gateway: Gateway, call: Callable[[Any], Any], **options: Any) -> Any:
        transport = httpx.MockTransport(gateway)
        with LikewiseHttp("http://gateway", transport=transport, **options) as client:
            return call(client)


class Awaited:
    """Makes one call with `AsyncLikewiseHttp`."""

    def __call__(self, gateway: Gateway, call: Callable[[Any], Any], **options: Any) -> Any:
        async def run() -> Any:
            transport = httpx.MockTransport(gateway)
            async with AsyncLikewiseHttp(
                "http://gateway", transport=transport, **options
            ) as client:
                return await call(client)

        return asyncio.run(run())


@pytest.fixture(params=[Blocking(), Awaited()], ids=["LikewiseHttp", "AsyncLikewiseHttp"])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


# --- what is sent ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "event"),
    [
        (lambda c: c.like("u1", "a/b"), {"action": "like", "user_id": "u1", "item_id": "a/b"}),
        (lambda c: c.unlike(1, ".."), {"action": "unlike", "user_id": "1", "item_id": ".."}),
        (lambda c: c.dislike("u1", "i7"), {"action": "dislike", "user_id": "u1", "item_id": "i7"}),
        (lambda c: c.unhide("u1", "i7"), {"action": "unhide", "user_id": "u1", "item_id": "i7"}),
        (
            lambda c: c.signal("u1", "i7", "buy", recommendation_id="r-1"),
            {
                "action": "signal",
                "user_id": "u1",
                "item_id": "i7",
                "kind": "buy",
                "recommendation_id": "r-1",
            },
        ),
        (
            lambda c: c.merge_users("u1", into=2),
            {"action": "merge_users", "user_id": "u1", "into": "2"},
        ),
        (lambda c: c.forget("u1"), {"action": "forget_user", "user_id": "u1"}),
        (lambda c: c.retire_item("i7"), {"action": "retire_item", "item_id": "i7"}),
        (lambda c: c.restore_item("i7"), {"action": "restore_item", "item_id": "i7"}),
    ],
)
def test_an_event_is_sent_as_on_the_topic_and_its_position_comes_back(
    make: Any, gateway: Gateway, call: Callable[[Any], Any], event: dict[str, Any]
) -> None:
    assert make(gateway, call) == Position(3, 0)
    assert gateway.bodies == [[event]]
    assert str(gateway.requests[0].url) == "http://gateway/v1/events"


def test_many_events_are_sent_in_batches_and_counted(make: Any, gateway: Gateway) -> None:
    assert make(gateway, lambda c: c.like_many((f"u{n}", "i7") for n in range(2_300))) == 2_300
    assert [len(batch) for batch in gateway.bodies] == [1_000, 1_000, 300]
    large = [Like(UserId("u" * 200), ItemId("i" * 200))] * 1_500
    assert make(gateway, lambda c: c.publish(large)) == 1_500
    assert all(len(request.content) < 300_000 for request in gateway.requests)
    assert make(Gateway(), lambda c: c.publish([])) == 0


def test_items_and_scenarios_have_paths_with_their_ids(make: Any, gateway: Gateway) -> None:
    make(gateway, lambda c: c.put_item("a/b c?", title="A", published_at="1972-03-20T00:00:00Z"))
    assert make(gateway, lambda c: c.put_items([{"item_id": 7}, {"item_id": "é"}])) == 2
    make(gateway, lambda c: c.remove_item("%2e"))
    make(gateway, lambda c: c.put_scenario("home", count=20, where={"lang": "en"}))
    make(gateway, lambda c: c.remove_scenario("home"))
    assert [(one.method, one.url.raw_path) for one in gateway.requests] == [
        ("PUT", b"/v1/items/a%2Fb%20c%3F"),
        ("PUT", b"/v1/items/7"),
        ("PUT", b"/v1/items/%C3%A9"),
        ("DELETE", b"/v1/items/%252e"),
        ("PUT", b"/v1/scenarios/home"),
        ("DELETE", b"/v1/scenarios/home"),
    ]


def test_a_request_is_sent_as_on_the_topic(make: Any, gateway: Gateway) -> None:
    answer = make(
        gateway,
        lambda c: c.recommend("..", count=3, where={"a": 1}, after=Position(3, 17), ranker="blend"),
    )
    assert [item.item_id for item in answer.items] == ["i9"]
    make(gateway, lambda c: c.similar("i7", user_id="u1", next_of=answer, timeout_s=2.0))
    make(gateway, lambda c: c.recommend(liked=["i7"], scenario="home", deadline_ms=5))
    assert make(gateway, lambda c: c.users_for("i7", count=3)) == ()
    assert gateway.bodies == [
        {
            "user_id": "..",
            "count": 3,
            "where": {"a": {"$eq": 1}},
            "after": "3:17",
            "deadline_ms": 10_000,
            "ranker": "blend",
        },
        {"similar_to": "i7", "user_id": "u1", "next_of": "r-1", "deadline_ms": 2_000},
        {"liked": ["i7"], "scenario": "home", "deadline_ms": 5},
        {"users_for": "i7", "count": 3, "deadline_ms": 10_000},
    ]


def test_the_api_key_is_sent_and_is_in_no_error(make: Any) -> None:
    gateway = Gateway(problem(401, "unauthorized"))
    with pytest.raises(SettingsError) as refused:
        make(gateway, lambda c: c.like("u1", "i7"), api_key="geheim")
    assert gateway.requests[0].headers["authorization"] == "Bearer geheim"
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.like("", "i7"),
        lambda c: c.like("u1", True),
        lambda c: c.signal("u1", "i7", "Buy"),
        lambda c: c.put_item("i7", labels={"a": {"b": 1}}),
        lambda c: c.put_item("."),
        lambda c: c.remove_item(".."),
        lambda c: c.put_scenario("Home"),
        lambda c: c.recommend(),
        lambda c: c.recommend("u1", count=0),
        lambda c: c.similar("x" * 257),
        lambda c: c.recommend("u1", only=["x" * 200 for _ in range(4_000)]),
    ],
)
def test_what_would_be_rejected_is_not_sent(make: Any, gateway: Gateway, call: Any) -> None:
    with pytest.raises(InvalidInputError):
        make(gateway, call)
    assert gateway.requests == []


# --- what comes back -------------------------------------------------------------------------


def like(client: Any) -> Any:
    return client.like("u1", "i7")


def recommend(client: Any) -> Any:
    return client.recommend("u1")


@pytest.mark.parametrize(
    ("answer", "call", "error"),
    [
        (problem(400, "invalid_id"), like, InvalidInputError),
        (problem(413, "too_large"), like, InvalidInputError),
        (problem(422, "undeliverable"), like, UndeliverableError),
        (problem(403, "forbidden"), like, SettingsError),
        (problem(500, "internal"), like, TransientError),
        (httpx.Response(502, text="<html>"), like, TransientError),
        (httpx.Response(200, text="<html>"), like, TransientError),
        (problem(400, "invalid_count"), recommend, ReplyError),
        (problem(404, "unknown_item"), recommend, ReplyError),
        (problem(504, "deadline_exceeded"), recommend, ReplyError),
        (problem(500, "internal"), recommend, ReplyError),
        (httpx.Response(502, text="<html>"), recommend, TransientError),
        (httpx.Response(200, text="<html>"), recommend, ReplyError),
        (problem(403, "forbidden"), recommend, SettingsError),
    ],
)
def test_an_error_is_raised_as_what_the_caller_can_do_about_it(
    make: Any, answer: httpx.Response, call: Any, error: type[Exception]
) -> None:
    gateway = Gateway(answer)
    with pytest.raises(error):
        make(gateway, call)
    assert len(gateway.requests) == 1


def test_a_reply_error_has_the_code_and_the_sentence_of_the_gateway(make: Any) -> None:
    with pytest.raises(ReplyError) as refused:
        make(Gateway(problem(404, "unknown_item")), lambda c: c.similar("i7"))
    assert (refused.value.code, refused.value.message) == ("unknown_item", "it is unknown_item")


# --- retries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [like, recommend])
def test_a_busy_gateway_is_asked_again_after_the_time_that_it_names(make: Any, call: Any) -> None:
    gateway = Gateway(problem(503, "overloaded", **{"retry-after": "0.3"}), problem(429, "rate"))
    started_s = time.monotonic()
    assert make(gateway, call)
    assert time.monotonic() - started_s >= 0.3 + 0.2
    assert len(gateway.requests) == 3


def test_a_connection_that_fails_is_tried_again_a_few_times(make: Any) -> None:
    assert make(Gateway(httpx.ConnectError("refused")), like) == Position(3, 0)
    gateway = Gateway(*[httpx.ConnectError("refused")] * 9)
    with pytest.raises(TransientError, match="http://gateway cannot be reached: refused"):
        make(gateway, like)
    assert len(gateway.requests) == 3
    with pytest.raises(TransientError):
        make(gateway, recommend, retries=0)
    assert len(gateway.requests) == 4


def test_no_call_waits_beyond_its_timeout(make: Any) -> None:
    gateway = Gateway(problem(503, "overloaded", **{"retry-after": "60"}))
    started_s = time.monotonic()
    with pytest.raises(TransientError, match="overloaded"):
        make(gateway, like)
    assert time.monotonic() - started_s < 5
    assert len(gateway.requests) == 1


def test_an_answer_that_does_not_come_in_time_is_a_timeout(make: Any) -> None:
    with pytest.raises(ReplyTimeoutError):
        make(Gateway(httpx.ReadTimeout("late")), recommend, retries=0)
    with pytest.raises(TransientError):
        make(Gateway(httpx.ReadTimeout("late")), like, retries=0)


# --- the clients have the same methods -------------------------------------------------------


@pytest.mark.parametrize("client", [LikewiseHttp, AsyncLikewiseHttp])
def test_a_client_has_every_method_of_the_kafka_client_with_its_parameters(client: type) -> None:
    methods = [name for name in dir(Likewise) if not name.startswith("_")]
    assert "like" in methods
    for name in methods:
        over_kafka = inspect.signature(getattr(Likewise, name))
        over_http = inspect.signature(getattr(client, name))
        added = {**over_http.parameters}
        added.pop("ranker", None)
        assert list(added.values()) == list(over_kafka.parameters.values()), name
        assert over_http.return_annotation == over_kafka.return_annotation, name
