"""Commands without settings find the running `likewise up`, as from another terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.running_up import environment, running_up
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)


def likewise(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as in another terminal of the user, in another directory."""
    return subprocess.run(
        [sys.executable, "-m", "likewise", *arguments],
        cwd=home / "likewise",
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_commands_without_settings_use_the_running_deployment_and_say_so(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        up.await_line(r"^up +ready\.")
        announced = f"likewise: using `likewise up` (pid {up.process.pid}, started in {tmp_path})\n"

        def shown(*arguments: str) -> str:
            done = likewise(tmp_path, *arguments)
            assert (done.returncode, done.stderr) == (0, announced)
            return done.stdout

        for user, item in (("u1", "i1"), ("u2", "i1"), ("u2", "i2")):
            shown("like", user, item)

        def current() -> list[str]:
            listed = json.loads(shown("models", "list", "--json"))
            return [one["version"] for one in listed if one["current"]]

        # A version is on disk before it is announced.
        assert len(wait_until(current, "a current model")) == 1
        status = json.loads(shown("status", "--json"))
        assert status["redis"]["likes"] == 3
        settings = {one["name"]: one for one in json.loads(shown("config", "--json"))}
        assert settings["redis.url"]["value"] == up.redis_address
        assert settings["redis.url"]["origin"] == "likewise up"
        assert settings["redis.password"]["value"] == "********"

        other = likewise(tmp_path, "--redis-url", "redis://127.0.0.1:1", "status", "--json")
        assert other.returncode == 4, "explicit settings win"
        assert "using" not in other.stderr


def test_with_several_deployments_the_options_that_choose_one_are_named(tmp_path: Path) -> None:
    with running_up(tmp_path) as first, running_up(tmp_path) as second:
        for up in (first, second):
            up.await_line(r"^up +ready\.")
        undecided = likewise(tmp_path, "status")
        assert undecided.returncode == 2
        assert undecided.stderr.startswith("likewise: 2 runs of `likewise up` are active")
        for up in (first, second):
            (line,) = (
                line for line in undecided.stderr.splitlines() if f"(pid {up.process.pid}," in line
            )
            assert f"--bootstrap-servers {up.bootstrap_servers} " in line
            assert f"--redis-url {up.redis_address} " in line

        chosen = likewise(tmp_path, "--bootstrap-servers", first.bootstrap_servers, "status")
        assert chosen.returncode == 0
        assert f"(pid {first.process.pid}," in chosen.stderr
        second.await_line(rf"likewise --bootstrap-servers {second.bootstrap_servers} .* status")
