"""Signals and merges through the consumer's loop, on the fakes."""

from __future__ import annotations

import threading

import pytest

from consumers.service import run_consumer
from likewise.log.topics import Topics
from likewise.messages.dead_letters import decode_dead_letter
from likewise.messages.events import (
    Event,
    ForgetUser,
    Like,
    MergeUsers,
    Signal,
    Unlike,
    encode_event,
    event_key,
)
from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.operations.verification import Verifier
from likewise.settings import ConsumerSettings, Settings
from likewise.settings.signals import SignalSettings
from likewise.testing import MemoryBroker, MemoryStore
from tests.consuming import caught_up

TOPICS = Topics()
GUEST, ANN, BOB = UserId("guest"), UserId("ann"), UserId("bob")
A, B, C = ItemId("a"), ItemId("b"), ItemId("c")
BUY = SignalKind("buy")
KINDS = [DISLIKE, HIDE, BUY]
OF_A_GUEST: list[Event] = [Like(GUEST, A), Like(GUEST, B), Unlike(GUEST, B), Signal(GUEST, C, BUY)]


class World:
    """A log, a store, and consumers that apply the one to the other in small or large batches."""

    def __init__(self, max_records: int = 500) -> None:
        self.broker, self.store = MemoryBroker(), MemoryStore()
        self.broker.ensure_topics(TOPICS.specs(3))
        self.settings = Settings(
            consumer=ConsumerSettings(max_records=max_records, poll_timeout_ms=1),
            signals=SignalSettings(kinds={"buy": 3.0}),
        )

    def happen(self, *events: Event) -> None:
        """Publish the events, and return when they are applied."""
        for event in events:
            self.broker.sink().send(TOPICS.likes, encode_event(event), key=event_key(event))
        self.consume()

    def consume(self) -> None:
        run_consumer(self.settings, self.broker, self.store, _AllApplied(self))

    def has(self, user: UserId) -> dict[str, set[ItemId]]:
        """Return the user's sets that are not empty."""
        signals = self.store.signals([user], KINDS)[0]
        sets = {"like": self.store.likes([user])[0], **{str(k): set(v) for k, v in signals.items()}}
        return {kind: items for kind, items in sets.items() if items}

    def verify(self) -> None:
        kinds = self.settings.signals.accepted
        found = Verifier(self.broker, self.store, TOPICS.likes, kinds=kinds).run(lambda *_: None)
        assert found.proven, found


class _AllApplied(threading.Event):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def is_set(self) -> bool:
        return caught_up(self._world.broker, self._world.store, TOPICS.likes)


@pytest.fixture(params=[1, 500], ids=["events one by one", "one batch"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def test_a_kind_without_a_setting_is_a_dead_letter_that_names_it(world: World) -> None:
    world.happen(Like(ANN, A), Signal(ANN, A, SignalKind("share")), Signal(ANN, A, BUY))
    assert world.has(ANN) == {"like": {A}, "buy": {A}}
    assert world.store.kinds() == {BUY}
    [letter] = map(decode_dead_letter, world.broker.records(TOPICS.dead_letters))
    assert letter.code == "unknown_kind"
    assert "signals.share" in letter.detail
    world.verify()


def test_forgetting_a_user_leaves_no_signal_of_any_kind(world: World) -> None:
    of_ann = [Signal(ANN, A, kind) for kind in KINDS]
    world.happen(Like(ANN, A), *of_ann, Signal(BOB, A, BUY), ForgetUser(ANN), Signal(ANN, B, HIDE))
    assert world.has(ANN) == {"hide": {B}}
    assert world.has(BOB) == {"buy": {A}}
    world.verify()


def test_a_kind_that_was_taken_out_of_the_settings_is_forgotten_too(world: World) -> None:
    world.happen(Signal(ANN, A, BUY))
    world.settings = Settings(consumer=world.settings.consumer)
    world.happen(ForgetUser(ANN))
    assert world.has(ANN) == {}


def test_a_guests_likes_and_signals_become_the_accounts(world: World) -> None:
    world.happen(Like(ANN, C), Signal(ANN, A, BUY), *OF_A_GUEST, MergeUsers(GUEST, ANN))
    assert world.has(GUEST) == {}
    assert world.has(ANN) == {"like": {A, C}, "buy": {A, C}}
    assert {ANN, GUEST} <= set(world.store.take_changed(10))
    world.verify()


def test_what_a_guest_does_after_the_merge_is_the_guests(world: World) -> None:
    world.happen(*OF_A_GUEST, MergeUsers(GUEST, ANN), Like(GUEST, C), MergeUsers(GUEST, BOB))
    world.happen(Like(GUEST, B))
    assert world.has(ANN) == {"like": {A}, "buy": {C}}
    assert world.has(BOB) == {"like": {C}}
    assert world.has(GUEST) == {"like": {B}}
    world.verify()


def test_a_merge_of_an_unknown_guest_moves_nothing(world: World) -> None:
    world.happen(Like(ANN, A), MergeUsers(GUEST, ANN), MergeUsers(BOB, GUEST))
    assert (world.has(ANN), world.has(GUEST)) == ({"like": {A}}, {})
    world.verify()


def test_what_moved_can_be_taken_back_and_forgotten(world: World) -> None:
    world.happen(*OF_A_GUEST, MergeUsers(GUEST, ANN))
    world.happen(Unlike(ANN, A))
    assert world.has(ANN) == {"buy": {C}}
    world.happen(ForgetUser(ANN))
    assert world.has(ANN) == {}
    world.verify()


def test_an_account_forgotten_before_the_merge_gets_what_the_guest_had(world: World) -> None:
    world.happen(Like(ANN, B))
    world.happen(ForgetUser(ANN))
    world.happen(*OF_A_GUEST, MergeUsers(GUEST, ANN))
    assert world.has(ANN) == {"like": {A}, "buy": {C}}


def test_guests_are_merged_through_a_chain(world: World) -> None:
    world.happen(*OF_A_GUEST, MergeUsers(GUEST, BOB))
    world.happen(Like(BOB, B), MergeUsers(BOB, ANN))
    assert world.has(ANN) == {"like": {A, B}, "buy": {C}}
    assert (world.has(GUEST), world.has(BOB)) == ({}, {})


def test_a_rebuild_from_the_log_gives_the_same_sets(world: World) -> None:
    world.happen(*OF_A_GUEST, MergeUsers(GUEST, ANN), Unlike(ANN, A), Like(GUEST, A))
    before = world.has(ANN), world.has(GUEST)
    world.store.flush()
    world.consume()
    assert (world.has(ANN), world.has(GUEST)) == before
    world.verify()
