"""Requests that retention removed unanswered are counted: after an absence, and while a server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.records import TopicPartition

if TYPE_CHECKING:
    import pytest

    from tests.serving_rig import Rig


def gone(rig: Rig, before: int) -> None:
    rig.broker.delete_records(TopicPartition(rig.topics.requests, 0), before)


def test_what_went_while_no_server_ran_is_counted_once_and_the_rest_is_answered(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.answer({"user_id": "early"})
    rig.worker._source.close()
    for number in range(6):
        rig.ask({"user_id": f"u{number}"})
    gone(rig, 5)
    worker = rig.new_worker()
    for _ in range(3):
        worker.run_once()
    assert worker.stats.lost == 4
    said = capsys.readouterr()
    assert (said.out + said.err).count("requests are gone") == 1
    assert [reply["user_id"] for reply in rig.replies()] == ["early", "u4", "u5"]


def test_what_goes_under_a_server_that_is_behind_is_counted_too(rig: Rig) -> None:
    rig.answer({"user_id": "early"})
    for number in range(6):
        rig.ask({"user_id": f"u{number}"})
    gone(rig, 4)
    for _ in range(3):
        rig.worker.run_once()
    assert rig.worker.stats.lost == 3


def test_a_group_that_never_was_here_has_lost_nothing(rig: Rig) -> None:
    for number in range(4):
        rig.ask({"user_id": f"u{number}"})
    gone(rig, 2)
    rig.worker.run_once()
    assert rig.worker.stats.lost == 0
    assert len(rig.replies()) == 2
