"""Requests that retention removed unanswered are counted: after a downtime, and while a server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.records import TopicPartition

if TYPE_CHECKING:
    import pytest

    from tests.serving_rig import Rig


def expire(rig: Rig, before: int) -> None:
    rig.broker.delete_records(TopicPartition(rig.topics.requests, 0), before)


def test_what_expires_while_no_server_runs_is_counted_once_and_the_rest_is_answered(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.answer({"user_id": "early"})
    rig.source.close()
    for number in range(6):
        rig.ask({"user_id": f"u{number}"})
    expire(rig, 5)
    worker = rig.new_worker()
    for _ in range(3):
        worker.run_once()
    assert worker.stats.lost == 4
    logged = capsys.readouterr()
    assert (logged.out + logged.err).count("requests expired unanswered") == 1
    assert [reply["user_id"] for reply in rig.replies()] == ["early", "u4", "u5"]


def test_what_expires_before_a_server_that_lags_is_counted_too(rig: Rig) -> None:
    rig.answer({"user_id": "early"})
    for number in range(6):
        rig.ask({"user_id": f"u{number}"})
    expire(rig, 4)
    for _ in range(3):
        rig.worker.run_once()
    assert rig.worker.stats.lost == 3


def test_a_group_that_never_read_the_topic_has_lost_nothing(rig: Rig) -> None:
    for number in range(4):
        rig.ask({"user_id": f"u{number}"})
    expire(rig, 2)
    rig.worker.run_once()
    assert rig.worker.stats.lost == 0
    assert len(rig.replies()) == 2
