from __future__ import annotations

import pytest

from indexer.schedule import Schedule
from likewise.settings import IndexerSettings

SETTINGS = IndexerSettings(interval_s=60, min_interval_s=5, changed_share=0.1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(clock: Clock) -> Schedule:
    """A schedule whose first build has just ended."""
    schedule = Schedule(SETTINGS, clock)
    schedule.built()
    return schedule


def test_the_first_build_is_due_at_once_even_of_an_empty_store(clock: Clock) -> None:
    assert Schedule(SETTINGS, clock).due(changed=0, users=0) == "first"


def test_without_a_change_nothing_is_ever_due(schedule: Schedule, clock: Clock) -> None:
    clock.now_s += 1e9
    assert schedule.due(changed=0, users=100) is None


def test_any_change_is_built_once_the_interval_is_over(schedule: Schedule, clock: Clock) -> None:
    clock.now_s += 59.9
    assert schedule.due(changed=1, users=100) is None
    clock.now_s += 0.1
    assert schedule.due(changed=1, users=100) == "interval over"


def test_many_changes_do_not_wait_for_the_interval(schedule: Schedule, clock: Clock) -> None:
    clock.now_s += 4.9
    assert schedule.due(changed=10, users=100) is None
    clock.now_s += 0.1
    assert schedule.due(changed=9, users=100) is None
    assert schedule.due(changed=10, users=100) == "share changed"


def test_an_empty_model_is_replaced_at_the_first_like(schedule: Schedule) -> None:
    assert schedule.due(changed=0, users=0) is None
    assert schedule.due(changed=1, users=0) == "first likes"


def test_a_failed_build_of_the_first_likes_waits_for_the_interval(
    schedule: Schedule, clock: Clock
) -> None:
    schedule.failed()
    assert schedule.due(changed=1, users=0) is None
    clock.now_s += 60
    assert schedule.due(changed=1, users=0) == "retry"


def test_what_is_asked_for_is_due_at_once(schedule: Schedule) -> None:
    assert schedule.due(changed=0, users=100, asked=True) == "asked"


def test_a_failure_is_tried_again_after_the_interval_although_nothing_changed(
    schedule: Schedule, clock: Clock
) -> None:
    schedule.failed()
    clock.now_s += 59
    assert schedule.due(changed=100, users=100) is None
    clock.now_s += 1
    assert schedule.due(changed=0, users=100) == "retry"
    schedule.built()
    clock.now_s += 60
    assert schedule.due(changed=0, users=100) is None


def test_times_count_from_the_end_of_a_build(schedule: Schedule, clock: Clock) -> None:
    clock.now_s += 60
    assert schedule.due(changed=1, users=100) == "interval over"
    clock.now_s += 1_000
    schedule.built()
    assert schedule.due(changed=1, users=100) is None


def test_after_starting_over_a_first_build_is_due(schedule: Schedule) -> None:
    schedule.start_over()
    assert schedule.due(changed=0, users=100) == "first"
