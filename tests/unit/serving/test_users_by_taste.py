"""Users by taste: the state of now decides, not the state of the snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from consumers.fold import fold
from indexer.build import build_model
from indexer.interactions import UserLikes, interactions_of
from indexer.recipes import DEFAULTS
from likewise.messages.events import ForgetUser, Like, Signal, Unlike
from likewise.messages.ids import DISLIKE, HIDE, ItemId, UserId
from likewise.messages.replies import ErrorBody
from likewise.messages.requests import Request
from likewise.testing import MemoryStore
from serving.users_by_taste import users_by_taste

if TYPE_CHECKING:
    from likewise.messages.events import Event
    from likewise.ranking.model import Model

CATS = [ItemId(f"cat{number}") for number in range(5)]
DOGS = [ItemId(f"dog{number}") for number in range(5)]
# Each user lacks one item of their taste.
LIKES = {
    UserId(f"{name}{lacking}"): {item for item in items if not item.endswith(str(lacking))}
    for name, items in (("c", CATS), ("d", DOGS))
    for lacking in range(5)
}


@pytest.fixture
def model() -> Model:
    interactions = interactions_of([UserLikes(list(LIKES), list(LIKES.values()))])
    return replace(build_model(interactions, DEFAULTS["blend"]), user_ids=interactions.user_ids)


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    happen(store, *(Like(user, item) for user, items in LIKES.items() for item in items))
    return store


def happen(store: MemoryStore, *events: Event) -> None:
    store.apply(fold(events), {})


def names(model: Model, store: MemoryStore, **request: object) -> list[str]:
    found = users_by_taste(model, Request(**request), store, store.kinds())  # type: ignore[arg-type]
    assert not isinstance(found, ErrorBody)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    return [one.user_id for one in found]


def test_an_item_is_for_who_lacks_it_now(model: Model, store: MemoryStore) -> None:
    assert names(model, store, users_for=CATS[1]) == ["c1"]
    happen(store, Like(UserId("c1"), CATS[1]), Unlike(UserId("c2"), CATS[1]))
    assert names(model, store, users_for=CATS[1]) == [], "the snapshot has c2 among the likers"


def test_who_refuses_an_item_or_is_forgotten_is_left_out(model: Model, store: MemoryStore) -> None:
    happen(store, Signal(UserId("c1"), CATS[1], DISLIKE))
    assert names(model, store, users_for=CATS[1]) == []
    happen(store, Signal(UserId("d1"), DOGS[1], HIDE), Signal(UserId("d2"), DOGS[1], HIDE))
    assert names(model, store, users_for=DOGS[1]) == []
    assert names(model, store, users_for=DOGS[3]) == ["d3"]
    happen(store, ForgetUser(UserId("d3")))
    assert names(model, store, users_for=DOGS[3]) == []


def test_users_of_one_taste_are_alike_without_the_user_in_question(
    model: Model, store: MemoryStore
) -> None:
    assert set(names(model, store, users_like=UserId("c1"))) == {"c0", "c2", "c3", "c4"}
    assert len(names(model, store, users_like=UserId("c1"), count=2)) == 2
    happen(store, ForgetUser(UserId("c4")), Like(UserId("new"), DOGS[0]))
    assert set(names(model, store, users_like=UserId("c1"))) == {"c0", "c2", "c3"}
    assert set(names(model, store, users_like=UserId("new"))) <= {"d1", "d2", "d3", "d4", "d0"}
    assert names(model, store, users_like=UserId("nobody")) == []


def test_what_the_model_lacks_is_an_error(model: Model, store: MemoryStore) -> None:
    unknown = users_by_taste(model, Request(users_for=ItemId("?")), store, frozenset())
    assert isinstance(unknown, ErrorBody)
    assert unknown.code == "unknown_item"
    without = users_by_taste(
        replace(model, user_ids=None), Request(users_for=CATS[0]), store, frozenset()
    )
    assert isinstance(without, ErrorBody)
    assert "model.user_ids" in without.message
