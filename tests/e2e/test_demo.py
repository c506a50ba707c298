"""The demo as a newcomer runs it: figures that make sense, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
EVENTS = 4_000
TIMEOUT_S = 110.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo puts its files, instead of /tmp."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def finished(private: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("--events", str(EVENTS), "--json"),
        env=environment(private),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "likewise", "demo", *options]


def environment(private: Path) -> dict[str, str]:
    """The demo must not look at these settings: they lead nowhere."""
    nowhere = {
        "LIKEWISE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "LIKEWISE_REDIS_URL": "redis://127.0.0.1:1",
    }
    python_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **nowhere, "PYTHONPATH": python_path, "TMPDIR": str(private)}


def processes_of(private: Path) -> list[str]:
    """The command lines of all processes that were given the demo's directory."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if f"TMPDIR={private}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # not a process, somebody else's, or gone meanwhile
            continue
    return found


def test_the_demo_ends_well_and_says_so_in_json(
    finished: subprocess.CompletedProcess[str],
) -> None:
    assert finished.returncode == 0, finished.stderr
    figures: dict[str, Any] = json.loads(finished.stdout)
    assert figures["events"] == EVENTS
    assert figures["verified"] is True
    assert figures["users"] > 10
    assert 0 < figures["published_s"] <= figures["applied_s"] < figures["total_s"] < TIMEOUT_S
    assert figures["answers"] == 300
    assert 0 < figures["answer_p50_ms"] <= figures["answer_p99_ms"]


def test_the_newcomer_is_answered_from_what_was_just_liked(
    finished: subprocess.CompletedProcess[str],
) -> None:
    newcomer = json.loads(finished.stdout)["newcomer"]
    assert len(set(newcomer["liked"])) == 3
    assert len(newcomer["recommended"]) == 5
    assert not set(newcomer["liked"]) & set(newcomer["recommended"])
    assert newcomer["taken_back"] in newcomer["liked"]
    still_liked = set(newcomer["liked"]) - {newcomer["taken_back"]}
    assert not still_liked & set(newcomer["recommended_afterwards"])
    assert newcomer["recommended_afterwards"] != newcomer["recommended"]


def test_nothing_is_left_running_or_lying_about(
    finished: subprocess.CompletedProcess[str], private: Path
) -> None:
    assert finished.returncode == 0
    assert processes_of(private) == []
    assert list(private.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    with subprocess.Popen(
        command(),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "likewise serve" in line:  # servers and services are up
                break
        assert len(processes_of(tmp_path)) > 2
        demo.send_signal(number)
        output = demo.stdout.read()
        assert demo.wait(30) == 130, output
    wait_until(lambda: not processes_of(tmp_path), lambda: f"the end of {processes_of(tmp_path)}")
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in output


def test_a_killed_demo_takes_its_processes_along(tmp_path: Path) -> None:
    with subprocess.Popen(
        command(), env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "likewise serve" in line:
                break
        assert len(processes_of(tmp_path)) > 2
        demo.kill()
    wait_until(lambda: not processes_of(tmp_path), lambda: f"the end of {processes_of(tmp_path)}")
