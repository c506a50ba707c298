"""The same story with each client, on one deployment: over Kafka, over HTTP, and over HTTP with asyncio."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from likewise import (
    AsyncLikewiseHttp,
    InvalidInputError,
    Likewise,
    LikewiseHttp,
    Position,
    ReplyError,
    ReplyTimeoutError,
    TransientError,
)
from likewise.embedded import free_port
from likewise.messages.events import Like, Unlike
from likewise.messages.ids import ItemId, UserId
from tests.serving_rig import block_items, item, likes_but_one
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.deployment import Deployment


class Blocking:
    """`AsyncLikewiseHttp` with methods that block."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncLikewiseHttp(url)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._runner.run(getattr(self._client, name)(*args, **kwargs))

        return call

    def close(self) -> None:
        """Close all connections."""
        self._runner.run(self._client.close())
        self._runner.close()


CLIENTS: dict[str, Callable[[Deployment], Any]] = {
    "Likewise": lambda running: Likewise(broker=running.broker),
    "LikewiseHttp": lambda running: LikewiseHttp(running.url),
    "AsyncLikewiseHttp": lambda running: Blocking(running.url),
}


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest, running: Deployment) -> Iterator[Any]:
    with closing(CLIENTS[request.param](running)) as made:
        yield made


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A user of this test and client, whose id has to be encoded in a path."""
    return f"{request.node.name}/é?%2F"


def test_a_like_counts_in_the_answer_that_waits_for_it(client: Any, user: str) -> None:
    for liked in likes_but_one(3, missing=2):
        position = client.like(user, liked)
        assert isinstance(position, Position)
    answer = client.recommend(user, count=1, after=position, explain=True)
    [recommended] = answer.items
    assert (recommended.item_id, answer.source, answer.user_id) == (item(3, 2), "model", user)
    assert {one.item_id for one in recommended.because} <= block_items(3)
    assert answer.recommendation_id
    position = client.unlike(user, item(3, 0))
    again = client.recommend(user, count=9, fill=False, after=position)
    assert {one.item_id for one in again.items} == {item(3, 0), item(3, 2)}


def test_events_in_bulk_count(client: Any, user: str, running: Deployment) -> None:
    assert client.like_many([(user, liked) for liked in sorted(block_items(1))]) == 5
    events = [Like(UserId(user), ItemId("..")), Unlike(UserId(user), item(1, 0))]
    assert client.publish(event for event in events) == 2
    expected = {*block_items(1), ".."} - {item(1, 0)}
    wait_until(
        lambda: running.store.likes([UserId(user)]) == [expected], "the likes are applied", 20
    )
    client.forget(user)
    wait_until(lambda: running.store.likes([UserId(user)]) == [set()], "they are forgotten", 20)


def test_what_is_hidden_or_excluded_is_not_shown(client: Any, user: str) -> None:
    client.like(user, item(5, 0))
    position = client.hide(user, item(5, 1))
    shown = client.recommend(user, after=position, fill=False, exclude=[item(5, 2)])
    assert {one.item_id for one in shown.items} == {item(5, 3), item(5, 4)}


def test_visitors_items_and_users_can_be_asked_about(client: Any) -> None:
    visitor = client.recommend(liked=likes_but_one(7), count=1)
    assert [one.item_id for one in visitor.items] == [item(7, 0)]
    similar = client.similar(item(7, 0), count=4)
    assert {one.item_id for one in similar.items} == block_items(7) - {item(7, 0)}
    users = client.users_for(item(7, 0), count=1)
    assert users[0].user_id.startswith("7/")
    assert {one.user_id for one in client.users_like("7/0", count=4)} == {
        f"7/{number}" for number in range(1, 5)
    }


def test_the_catalogue_filters_and_returns_fields(
    client: Any, user: str, running: Deployment
) -> None:
    client.put_item(item(9, 0), title="Ran", labels={"year": 1985})
    assert client.put_items([{"item_id": item(9, 1), "title": "Ikiru", "labels": {"year": 1952}}])

    def titles() -> list[Any]:
        old = {"year": {"$lt": 1960}}
        answer = client.recommend(liked=[item(9, 4)], where=old, fields=["title"])
        return [(one.item_id, one.fields) for one in answer.items]

    wait_until(lambda: titles() == [(item(9, 1), {"title": "Ikiru"})], "the catalogue", 20)
    client.remove_item(item(9, 0))
    client.remove_item(item(9, 1))
    wait_until(lambda: titles() == [], "the items are removed", 20)


def test_a_scenario_gives_defaults_until_it_is_removed(client: Any) -> None:
    client.put_scenario("two", count=2)

    def asked() -> int | str:
        try:
            return len(client.recommend(liked=[item(9, 4)], scenario="two").items)
        except ReplyError as error:
            return error.code

    wait_until(lambda: asked() == 2, "the scenario", 20)
    client.remove_scenario("two")
    wait_until(lambda: asked() == "unknown_scenario", "it is removed", 20)


def test_errors_are_the_same_errors(client: Any, user: str) -> None:
    with pytest.raises(ReplyError) as refused:
        client.similar("no such item")
    assert refused.value.code == "unknown_item"
    with pytest.raises((ReplyError, ReplyTimeoutError)) as late:
        client.recommend(user, after=Position(0, 10**9), timeout_s=0.3)
    assert getattr(late.value, "code", "after_timeout") in {"after_timeout", "deadline_exceeded"}
    with pytest.raises(InvalidInputError):
        client.recommend(user, count=0)


@pytest.mark.parametrize("make", [LikewiseHttp, Blocking])
def test_a_gateway_that_is_not_there_is_a_transient_error(make: Any) -> None:
    with closing(make(f"http://127.0.0.1:{free_port()}")) as client:
        calls: list[Callable[[], Any]] = [
            lambda: client.like("u1", "i1"),
            lambda: client.recommend("u1"),
        ]
        for call in calls:
            with pytest.raises(TransientError, match="cannot be reached"):
                call()
