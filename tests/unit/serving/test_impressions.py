"""What was shown: recorded without delaying an answer, and used by `rotation`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from likewise.errors import TransientError
from likewise.messages.ids import ItemId
from likewise.settings import ImpressionsSettings
from likewise.store.shown_port import ShownList, Viewer
from likewise.testing import MemoryStore
from serving import impressions
from serving.rotation import demoted
from tests.serving_rig import BLOCK_ITEMS, block_items, items_of, like, likes_but_one, running
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.store.shown_port import ShownRecord
    from tests.serving_rig import Rig

HALF_LIFE = ImpressionsSettings(half_life_s=10.0, max_age_s=35.0)
A, B, C, D = (ItemId(one) for one in "abcd")


def lists(*ages_and_items: tuple[float, Sequence[ItemId]]) -> list[ShownList]:
    return [ShownList(int(-1000 * age), "r", 1, tuple(items)) for age, items in ages_and_items]


def test_what_was_shown_fades_adds_up_and_is_not_held_against_a_liked_item() -> None:
    shown = lists((0, [A, D]), (10, [A, B]), (20, [B, C]), (40, [C]), (-5, [D]))
    factors = demoted(shown, [D], rotation=0.8, now_ms=0, settings=HALF_LIFE)
    assert factors == pytest.approx({A: 0.2, B: 1 - 0.8 * 0.75, C: 1 - 0.8 * 0.25})


def test_rotation_moves_what_was_shown_back(rig: Rig) -> None:
    like(rig.store, "u", [*likes_but_one(3, missing=0)[:2], *likes_but_one(7, missing=0)[:2]])
    first = items_of(rig.answer({"user_id": "u", "count": 3}))
    assert items_of(rig.answer({"user_id": "u", "count": 3})) == first
    rotated = rig.answer({"user_id": "u", "count": 3, "rotation": 1.0})
    assert not {*items_of(rotated)} & {*first}
    assert {*items_of(rotated)} <= block_items(3) | block_items(7)
    rig.now_ms += 1000 * 3_000_000
    assert items_of(rig.answer({"user_id": "u", "count": 3, "rotation": 1.0})) == first


def test_rotation_of_a_user_who_was_shown_nothing_changes_nothing(rig: Rig) -> None:
    like(rig.store, "u", likes_but_one(3))
    rotated = items_of(rig.answer({"user_id": "u", "count": BLOCK_ITEMS, "rotation": 1.0}))
    assert rotated == items_of(rig.answer({"user_id": "u", "count": BLOCK_ITEMS}))


def test_a_request_without_rotation_reads_nothing_that_was_shown(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig.store, "shown", None)
    assert rig.answer({"user_id": "u"})["items"]


class SlowStore(MemoryStore):
    """Records nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def record_shown(self, records: Sequence[ShownRecord]) -> None:
        assert self.released.wait(20)
        super().record_shown(records)


def test_a_slow_store_delays_no_answer_and_what_does_not_fit_is_dropped_and_counted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impressions, "_MAX_PENDING_WEIGHT", 50)
    slow = rig.store = SlowStore()
    rig.worker = rig.new_worker()
    stats = rig.worker.stats
    with rig.impressions.writing(), running(rig):
        for number in range(6):
            rig.ask({"user_id": f"u{number}"})
            wait_until(lambda n=number: len(rig.replies()) == n + 1, "an answer")  # type: ignore[misc] # a default keeps the number
        assert stats.shown_dropped > 0
        slow.released.set()
        wait_until(lambda: stats.shown_recorded == 6 - stats.shown_dropped, "the rest is recorded")


def test_what_is_queued_is_recorded_before_a_server_stops(rig: Rig) -> None:
    rig.ask({"user_id": "u"})
    with rig.impressions.writing():
        rig.worker.run_once()
    [[shown]] = rig.store.shown([Viewer("user", "u")])
    assert shown.recommendation_id == rig.replies()[0]["recommendation_id"]


def test_the_thread_outlives_a_store_that_was_down(rig: Rig) -> None:
    stats = rig.worker.stats
    with rig.impressions.writing():
        rig.ask({"user_id": "u"})
        rig.worker.run_once()
        wait_until(lambda: stats.shown_recorded == 1, "the first list")
        rig.ask({"user_id": "u"})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rig.store, "record_shown", _down)
            rig.worker.run_once()
            wait_until(lambda: stats.shown_dropped == 1, "a list is dropped")
        rig.ask({"user_id": "u"})
        rig.worker.run_once()
        wait_until(lambda: stats.shown_recorded == 2, "the third list")


def _down(_: object) -> None:
    raise TransientError("the store is down")
