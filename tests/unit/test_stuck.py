"""Stuck loops are distinguished from busy ones, and their processes end."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from likewise.service.monitoring.heartbeat import Heartbeat
from likewise.service.monitoring.pages import pages
from likewise.service.watchdog import PATIENCE, watchdog
from serving.measures import METRICS
from serving.stats import ServingStats

TIMEOUT_S = 20.0


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_busy_loop_is_not_stuck_for_as_long_as_it_announced() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock)
    healthz = pages(METRICS, ServingStats(heartbeat=heartbeat), 60.0)["/healthz"]
    heartbeat.beat(ready=True)
    with heartbeat.busy("ranking", at_most_s=100.0):
        clock.now_s = 90.0
        assert (healthz().status, healthz().body) == (200, b"ok, ranking since 90 s\n")
        clock.now_s = 101.0
        assert healthz().status == 503
    assert (healthz().status, healthz().body) == (200, b"ok\n")


def test_the_watchdog_ends_a_process_whose_loop_is_stuck_and_no_other() -> None:
    clock, ended = Clock(), threading.Event()
    reasons: list[tuple[str, float]] = []

    def end(event: str, after_s: float) -> None:
        reasons.append((event, after_s))
        ended.set()

    heartbeat = Heartbeat(clock)
    with watchdog(heartbeat, longest_silence_s=60.0, end=end, look_every_s=0.001):
        clock.now_s = 10_000.0
        assert not ended.wait(0.05), "it has not begun"
        heartbeat.beat(ready=True)
        clock.now_s += PATIENCE * 60.0
        assert not ended.wait(0.05)
        clock.now_s += 1.0
        assert ended.wait(TIMEOUT_S)
    assert reasons[0] == ("the loop is stuck; ending the process", 301.0)


@pytest.mark.parametrize(
    "hangs_in", ["while True: pass", "threading.Lock().acquire(); lock.acquire()"]
)
def test_sigterm_ends_a_process_whose_loop_hangs(hangs_in: str) -> None:
    script = f"""
        import threading
        from likewise.service.signals import stop_on_signals
        lock = threading.Lock(); lock.acquire()
        with stop_on_signals(timeout_s=0.5):
            print("at work", flush=True)
            {hangs_in}
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert "still running after a request to stop" in said
    assert "in <module>" in said, "it says where"
