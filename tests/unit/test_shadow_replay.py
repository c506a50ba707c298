"""Recent requests answered by two models, on fakes: A knows every block, B only the first two."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from indexer.progress import Unwatched
from likewise.errors import LikewiseError
from likewise.evaluation.shadow.comparison import compare
from likewise.evaluation.shadow.replay import ShadowRun, replay
from likewise.log.topics import Topics
from likewise.messages.events import ForgetUser, Like, encode_event
from likewise.messages.ids import ItemId, UserId
from likewise.models.holder import load_model
from likewise.store.port import Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore
from tests.serving_rig import (
    BLOCKS,
    SNAPSHOT_AT_MS,
    item,
    like,
    likes_but_one,
    write_block_model,
)

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.models.holder import ServedModel

A, B = "20260101T000000.000Z", "20260102T000000.000Z"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServedModel, ServedModel]:
    directory: Path = tmp_path_factory.mktemp("models")
    write_block_model(directory, A, blocks=BLOCKS)
    write_block_model(directory, B, blocks=2)
    return load_model(directory, A), load_model(directory, B)


class Deployment:
    """A log and a store, with a clock that is turned on by hand."""

    def __init__(self) -> None:
        self.now_ms = SNAPSHOT_AT_MS + 1_000
        self.topics = Topics()
        self.broker = MemoryBroker(clock_ms=lambda: self.now_ms)
        self.broker.ensure_topics(self.topics.specs(2))
        self.store = MemoryStore()
        self._sink = self.broker.sink()

    def ask(self, body: dict[str, Any] | bytes) -> None:
        """Publish a request, a millisecond later."""
        self.now_ms += 1
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._sink.send(self.topics.requests, value)

    def like(self, user_id: str, item_id: ItemId) -> None:
        """Let the like come into the log and be applied, a second later."""
        self.now_ms += 1_000
        event = Like(UserId(user_id), item_id)
        self._sink.send(self.topics.likes, encode_event(event), key=user_id.encode())
        like(self.store, user_id, {item_id})

    def forget(self, user_id: str) -> None:
        self.now_ms += 1_000
        event = ForgetUser(UserId(user_id))
        self._sink.send(self.topics.likes, encode_event(event), key=user_id.encode())
        self.store.apply(Changes(users={UserId(user_id): UserChange(forget=True)}), {})

    def replay(self, models: tuple[ServedModel, ServedModel], limit: int = 100) -> ShadowRun:
        return replay(
            self.broker, self.store, self.topics, models, limit=limit, progress=Unwatched()
        )


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def test_who_liked_since_what_a_model_would_have_given_shows_which_model_is_better(
    deployment: Deployment, models: tuple[ServedModel, ServedModel]
) -> None:
    """Everybody likes all of a block but one, asks, and likes that one: only A has it to give."""
    users = {f"u{number}": 2 + number % (BLOCKS - 2) for number in range(30)}
    for user, block in users.items():
        like(deployment.store, user, likes_but_one(block))
        deployment.ask({"user_id": user, "count": 1})
    for user, block in users.items():
        deployment.like(user, item(block, 0))
    played = deployment.replay(models)
    assert {tuple(one.a) for one in played.shadowed} == {(item(b, 0),) for b in users.values()}
    assert all(one.later == {*one.a} for one in played.shadowed)
    found = compare(played.shadowed, seed=0)
    assert (found.later["recall"].a, found.later["recall"].b) == (1.0, 0.0)
    assert found.agreement["overlap"].mean == 0.0
    assert found.better == "a"
    turned = compare(deployment.replay((models[1], models[0])).shadowed, seed=0)
    assert turned.better == "b"


def test_likes_that_came_before_a_snapshot_do_not_count(
    deployment: Deployment, models: tuple[ServedModel, ServedModel]
) -> None:
    deployment.now_ms = SNAPSHOT_AT_MS - 5_000
    like(deployment.store, "u", likes_but_one(3))
    deployment.ask({"user_id": "u", "count": 1})
    deployment.like("u", item(3, 0))
    (one,) = deployment.replay(models).shadowed
    assert one.a == [item(3, 0)]
    assert one.later == set()


def test_each_request_is_answered_with_the_likes_of_its_own_time(
    deployment: Deployment, models: tuple[ServedModel, ServedModel]
) -> None:
    """The second request of the same user, after the like, can't be given the item again."""
    like(deployment.store, "u", likes_but_one(3))
    deployment.ask({"user_id": "u", "count": 1})
    deployment.like("u", item(3, 0))
    deployment.ask({"user_id": "u", "count": 1})
    before, after = deployment.replay(models).shadowed
    assert before.a == [item(3, 0)]
    assert item(3, 0) not in after.a
    assert after.later == set()


def test_sessions_neighbouring_items_and_exclusions_are_answered_as_they_are_served(
    deployment: Deployment, models: tuple[ServedModel, ServedModel]
) -> None:
    deployment.ask({"liked": likes_but_one(1), "count": 1})
    deployment.ask({"similar_to": item(1, 2), "count": 4})
    deployment.ask({"liked": likes_but_one(1), "count": 1, "exclude": [item(1, 0)]})
    session, similar, excluded = deployment.replay(models).shadowed
    assert session.a == session.b == [item(1, 0)]
    assert {*similar.a} == {item(1, number) for number in (0, 1, 3, 4)}
    assert item(1, 0) not in [*excluded.a, *excluded.b]
    assert len({session.who, similar.who, excluded.who}) == 3


def test_excluded_and_retired_items_are_no_later_likes(
    deployment: Deployment, models: tuple[ServedModel, ServedModel]
) -> None:
    like(deployment.store, "u", likes_but_one(3)[1:])
    deployment.ask({"user_id": "u", "exclude": [item(3, 0)]})
    for number in (0, 1):
        deployment.like("u", item(3, number))
    deployment.store.apply(Changes(retire={item(3, 1)}), {})
    deployment.like("u", item(4, 0))
    (one,) = deployment.replay(models).shadowed
    assert one.later == {item(4, 0)}
    assert item(3, 1) not in one.a


def test_what_can_not_be_compared_is_counted(
    deployment: Deployment, models: tuple[ServedModel, ServedModel]
) -> None:
    like(deployment.store, "gone", likes_but_one(3))
    deployment.ask(b"no request")
    deployment.ask({"user_id": "gone"})
    deployment.ask({"similar_to": "no such item"})
    deployment.ask({"similar_to": item(5, 0), "count": 2})
    deployment.forget("gone")
    played = deployment.replay(models)
    assert (played.bad, played.forgotten, played.unanswered) == (1, 1, 1)
    (one,) = played.shadowed
    assert len(one.a) == 2
    assert one.b == []  # B does not know the item, and would answer with an error


def test_the_last_requests_of_all_partitions_are_taken(
    deployment: Deployment, models: tuple[ServedModel, ServedModel]
) -> None:
    for number in range(6):
        deployment.ask({"user_id": f"u{number}"})
    assert [one.who for one in deployment.replay(models, limit=3).shadowed] == ["u3", "u4", "u5"]


def test_a_topic_without_requests_is_named(
    deployment: Deployment, models: tuple[ServedModel, ServedModel]
) -> None:
    with pytest.raises(LikewiseError, match="no requests on topic recommendation-requests"):
        deployment.replay(models)
    deployment.ask(b"no request")
    with pytest.raises(LikewiseError, match="none of the last 1 records"):
        deployment.replay(models)
