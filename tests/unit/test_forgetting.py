"""`forget_user`: gone from the store at once, and from the next model; `verify` proves the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consumers.fold import fold
from indexer.build import build_model
from indexer.progress import Unwatched
from indexer.snapshot import Snapshots
from likewise.log.topics import TopicSpec
from likewise.messages.events import ForgetUser, Like, encode_event, event_key
from likewise.messages.ids import ItemId, UserId
from likewise.models.files import write_model
from likewise.operations.verification import Verifier
from likewise.ranking.recipe import Recipe
from likewise.records import TopicPartition
from likewise.store.port import Advance, Changes, UserChange
from likewise.testing import MemoryBroker, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.messages.events import Event

TOPIC = "likes"
PERSON = UserId("a-person-with-a-name")
OTHERS = [UserId(f"u{number}") for number in range(8)]
ITEMS = [ItemId(f"i{number}") for number in range(4)]
OWN_ITEM = ItemId("only-the-person-likes-this")


class World:
    """A log, a store that has applied all of it, and an indexer's snapshots."""

    def __init__(self, *, full_every: int) -> None:
        self.broker = MemoryBroker()
        self.broker.ensure_topics([TopicSpec(TOPIC, 1, {})])
        self.store = MemoryStore()
        self.snapshots = Snapshots(
            self.store, chunk=3, full_every=full_every, clock_ms=lambda: 1_000
        )
        self._applied = 0

    def happen(self, *events: Event) -> None:
        for event in events:
            self.broker.sink().send(TOPIC, encode_event(event), key=event_key(event))
        advance = Advance(self._applied or None, self._applied + len(events))
        self.store.apply(fold(events), {TopicPartition(TOPIC, 0): advance})
        self._applied += len(events)

    def is_proven(self) -> bool:
        return Verifier(self.broker, self.store, TOPIC).run(lambda _read, _total: None).equal


@pytest.fixture(params=[1, 100], ids=["full snapshots", "incremental snapshots"])
def world(request: pytest.FixtureRequest) -> World:
    world = World(full_every=request.param)
    world.happen(
        Like(PERSON, OWN_ITEM),
        *(Like(PERSON, item) for item in ITEMS[:2]),
        *(Like(user, item) for user in OTHERS for item in ITEMS),
    )
    return world


def test_the_likes_are_gone_at_once_and_verify_proves_it(world: World) -> None:
    assert world.store.likes([PERSON]) == [{OWN_ITEM, *ITEMS[:2]}]
    world.happen(ForgetUser(PERSON))
    assert world.store.likes([PERSON]) == [set()]
    assert PERSON not in {user for users in world.store.scan_users(10) for user in users}
    assert world.is_proven()


def test_verify_notices_a_like_that_should_have_been_forgotten(world: World) -> None:
    world.happen(ForgetUser(PERSON))
    world.store.apply(Changes(users={PERSON: UserChange(add={ITEMS[0]})}), {})
    assert not world.is_proven()


def test_the_next_snapshot_has_neither_the_user_nor_what_only_they_liked(world: World) -> None:
    before = world.snapshots.take(Unwatched()).interactions
    assert PERSON in before.user_ids
    assert OWN_ITEM in before.item_ids
    world.happen(ForgetUser(PERSON))
    after = world.snapshots.take(Unwatched()).interactions
    assert PERSON not in after.user_ids
    assert OWN_ITEM not in after.item_ids
    assert after.likes == before.likes - 3
    assert not world.store.changed_count(), "the mark with the user's id is taken as well"


def test_no_model_file_ever_holds_a_user_id(world: World, tmp_path: Path) -> None:
    interactions = world.snapshots.take(Unwatched()).interactions
    model = build_model(interactions, Recipe(rank=3))
    write_model(tmp_path, "20260101T000000.000Z", model, snapshot_at_ms=1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(OWN_ITEM.encode() in path.read_bytes() for path in files)
    assert not any(PERSON.encode() in path.read_bytes() for path in files)
