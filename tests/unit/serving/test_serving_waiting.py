from __future__ import annotations

from typing import TYPE_CHECKING

from serving import waiting
from tests.serving_rig import (
    VERSION,
    Rig,
    error_of,
    item,
    items_of,
    like,
    likes_but_one,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_request_past_its_deadline_gets_an_error_instead_of_a_late_answer(rig: Rig) -> None:
    rig.ask({"user_id": "u", "deadline_ms": 100})
    rig.now_ms += 100
    rig.worker.run_once()
    assert error_of(rig.replies()[0]) == "deadline_exceeded"


def test_a_request_within_its_deadline_is_answered(rig: Rig) -> None:
    rig.ask({"user_id": "u", "deadline_ms": 100})
    rig.now_ms += 99
    rig.worker.run_once()
    assert rig.replies()[0]["source"] == "popular"


def test_the_deadline_of_a_record_without_a_timestamp_counts_from_receipt(rig: Rig) -> None:
    now_ms, rig.now_ms = rig.now_ms, -1
    rig.ask({"user_id": "u", "deadline_ms": 100})
    rig.now_ms = now_ms
    rig.worker.run_once()
    assert rig.replies()[0]["source"] == "popular"


def test_an_answer_waits_for_the_like_it_follows(rig: Rig) -> None:
    rig.ask({"user_id": "u", "after": "0:41", "count": 1})
    rig.worker.run_once()
    rig.applied(0, 41)  # all before it
    rig.worker.run_once()
    assert rig.replies() == []
    assert rig.worker.stats.waiting == 1
    like(rig.store, "u", likes_but_one(2))
    rig.applied(0, 42)
    rig.worker.run_once()
    rig.worker.run_once()
    assert [items_of(reply) for reply in rig.replies()] == [[item(2, 0)]]
    assert rig.worker.stats.waiting == 0


def test_a_clock_that_is_set_back_does_not_delay_a_request_by_as_much(rig: Rig) -> None:
    rig.ask({"user_id": "u", "after": "0:41"})
    rig.worker.run_once()
    rig.now_ms -= 3_600_000
    rig.worker.run_once()
    assert error_of(rig.replies()[0]) == "after_timeout"


def test_an_answer_does_not_wait_for_a_like_that_is_applied(rig: Rig) -> None:
    rig.applied(0, 42)
    assert "items" in rig.answer({"user_id": "u", "after": "0:41"})


def test_nothing_is_committed_past_a_request_that_waits(rig: Rig) -> None:
    assert "items" in rig.answer({"user_id": "a"})
    rig.ask({"user_id": "b", "after": "0:0"})
    rig.ask({"user_id": "c"})
    rig.worker.run_once()
    assert [reply["user_id"] for reply in rig.replies()] == ["a", "c"]
    assert rig.committed() == 1
    rig.applied(0, 1)
    rig.worker.run_once()
    rig.worker.run_once()
    assert [reply["user_id"] for reply in rig.replies()] == ["a", "c", "b"]
    assert rig.committed() == 3


def test_a_like_that_is_not_applied_in_time_ends_in_an_error(rig: Rig) -> None:
    rig.ask({"user_id": "u", "after": "0:0"})
    rig.worker.run_once()
    rig.now_ms += rig.settings.after_timeout_ms
    rig.worker.run_once()
    [reply] = rig.replies()
    assert error_of(reply) == "after_timeout"
    assert "is a consumer running?" in reply["error"]["message"]
    assert rig.committed() == 1


def test_a_request_that_waits_ends_at_its_deadline(rig: Rig) -> None:
    rig.ask({"user_id": "u", "after": "0:0", "deadline_ms": 60_000})
    rig.worker.run_once()
    rig.now_ms += 59_999
    rig.worker.run_once()
    assert rig.replies() == []
    rig.now_ms += 1
    rig.worker.run_once()
    assert error_of(rig.replies()[0]) == "deadline_exceeded"


def test_a_position_in_a_partition_that_does_not_exist_is_an_error(rig: Rig) -> None:
    assert error_of(rig.answer({"user_id": "u", "after": "1:0"})) == "invalid_position"


def test_an_event_in_a_partition_that_was_added_is_waited_for(rig: Rig) -> None:
    assert "items" in rig.answer({"user_id": "u"})
    rig.broker.add_partitions(rig.topics.likes, 3)
    rig.now_ms += 500  # the broker is asked for partitions once a second
    rig.ask({"user_id": "u", "after": "2:0"})
    rig.ask({"user_id": "v", "after": "3:0"})
    rig.worker.run_once()
    assert rig.worker.stats.waiting == 2
    rig.now_ms += 500
    rig.worker.run_once()
    rig.worker.run_once()
    assert [error_of(reply) for reply in rig.replies()[1:]] == ["invalid_position"]
    rig.applied(2, 1)
    rig.worker.run_once()
    rig.worker.run_once()
    assert "items" in rig.replies()[2]


def test_one_requester_may_fill_half_of_the_waiting_requests_and_others_find_room(
    model_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting.Waiting.__init__, "__kwdefaults__", {"limit": 6})
    rig = Rig(model_directory, VERSION)
    for number in range(4):
        rig.ask({"user_id": f"u{number}", "after": "0:0"})
    rig.ask({"user_id": "other", "after": "0:0"}, reply_partition=1)
    rig.ask({"user_id": "does not wait"})
    rig.worker.run_once()
    overloaded, answered = sorted(rig.replies(), key=lambda reply: "error" not in reply)
    assert (error_of(overloaded), overloaded["user_id"]) == ("overloaded", "u3")
    assert answered["user_id"] == "does not wait"
    assert rig.worker.stats.waiting == 4
    assert rig.committed() == 0
    rig.applied(0, 1)
    for _ in range(2):
        rig.worker.run_once()
    assert {reply.get("user_id") for reply in rig.replies() if "items" in reply} >= {"u0", "other"}
    rig.ask({"user_id": "later", "after": "0:7"})
    rig.worker.run_once()
    assert rig.worker.stats.waiting == 1, "what was let go of has made room"
