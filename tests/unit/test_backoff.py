from __future__ import annotations

import itertools
import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likewise.errors import InvalidInputError, TransientError
from likewise.retry import StoppedError, delays_s, retry


@given(st.integers(), st.floats(0.001, 1), st.floats(1, 100))
def test_delays_are_random_below_a_bound_that_doubles_up_to_the_longest(
    seed: int, first_s: float, longest_s: float
) -> None:
    delays = itertools.islice(
        delays_s(random.Random(seed), first_s=first_s, longest_s=longest_s), 12
    )
    for number, delay_s in enumerate(delays):
        bound_s = min(first_s * 2**number, longest_s)
        assert bound_s / 10 <= delay_s <= bound_s


def test_workers_do_not_retry_in_step() -> None:
    assert next(delays_s(random.Random(1))) != next(delays_s(random.Random(2)))


def test_what_succeeds_at_once_is_tried_once() -> None:
    failures: list[TransientError] = []
    result = retry(lambda: 7, stop=threading.Event(), on_failure=lambda e, _: failures.append(e))
    assert (result, failures) == (7, [])


def test_transient_failures_are_reported_and_retried() -> None:
    attempts = iter([TransientError("one"), TransientError("two"), None])
    told: list[tuple[str, float]] = []

    def attempt() -> str:
        if (failure := next(attempts)) is not None:
            raise failure
        return "done"

    result = retry(
        attempt,
        stop=threading.Event(),
        on_failure=lambda error, wait_s: told.append((str(error), wait_s)),
        longest_s=0.1,
    )
    assert result == "done"
    assert [sentence for sentence, _ in told] == ["one", "two"]
    assert all(0 < wait_s <= 0.1 for _, wait_s in told)


def test_other_errors_are_not_tried_again() -> None:
    attempts: list[int] = []

    def attempt() -> None:
        attempts.append(1)
        raise InvalidInputError("bad", "for good")

    with pytest.raises(InvalidInputError):
        retry(attempt, stop=threading.Event(), on_failure=lambda *_: None)
    assert len(attempts) == 1


def test_a_stop_ends_the_wait_at_once() -> None:
    stop = threading.Event()
    started_s = time.monotonic()
    with pytest.raises(StoppedError):
        retry(fail, stop=stop, on_failure=lambda *_: stop.set(), longest_s=60.0)
    assert time.monotonic() - started_s < 5.0


def test_somebody_is_called_while_it_waits() -> None:
    stop = threading.Event()
    calls: list[int] = []

    def while_waiting() -> None:
        calls.append(1)
        if len(calls) == 3:
            stop.set()

    with pytest.raises(StoppedError):
        retry(
            fail,
            stop=stop,
            on_failure=lambda *_: None,
            while_waiting=while_waiting,
            longest_s=0.1,
        )
    assert len(calls) == 3


def fail() -> None:
    raise TransientError("down")
