"""An A/A and an A/B through the topics of `likewise up`, with plain Kafka clients, checked by the program in the documentation."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.plain_kafka import PlainApp, plain_app
from tests.running_up import RunningUp, environment, running_up
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(600)

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"
COUNTED_S = 120.0
LIKED = 0.08
"""How probably a user likes an item that is shown."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    with running_up(tmp_path_factory.mktemp("home")) as running:
        running.await_line(r"^up +ready\.")
        yield running


@pytest.fixture(scope="module")
def app(up: RunningUp) -> Iterator[PlainApp]:
    """An application of a deployment with a model."""
    draw = random.Random(1)
    with plain_app(up.bootstrap_servers, "") as asking:
        for user in range(60):
            for item in draw.sample(range(60), 10):
                asking.event("like", f"early{user}", f"i{item}")
        wait_until(lambda: asking.ask(user_id="early0").get("model"), "a model")
        yield asking


def likewise(up: RunningUp, *arguments: str) -> str:
    """Return what a command prints; it succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", "likewise", *arguments],
        env=environment(up.home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def recompute(up: RunningUp, name: str) -> dict[str, Any]:
    """Return what the program in the documentation prints."""
    [program] = re.findall(r"```python recompute\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(program.splitlines()) <= 40
    command = [sys.executable, "-c", program, up.bootstrap_servers, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(up: RunningUp, app: PlainApp, name: str, *variants: str, users: int) -> int:
    """Start an experiment, let users ask three times and like what they see; return the number of lists."""
    options = [one for variant in variants for one in ("--variant", variant)]
    likewise(up, "experiments", "start", name, *options, "--seed", name)
    probes = 0

    def takes_part() -> bool:
        nonlocal probes
        reply = app.ask(user_id=f"probe of {name}")
        probes += reply.get("experiment") == name
        return probes > 0

    wait_until(takes_part, "the server follows the experiment")
    draw = random.Random(name)
    for _ in range(3):
        asked = [(user, app.send(user_id=user)) for user in (f"{name}{n}" for n in range(users))]
        for number, (user, correlation) in enumerate(asked):
            reply = app.reply(correlation)
            assert reply["experiment"] == name
            named = {"recommendation_id": reply["recommendation_id"]} if number % 2 else {}
            for item in reply["items"]:
                if draw.random() < LIKED:
                    app.event("like", user, item["item_id"], **named)
    return 3 * users + probes


def counted(up: RunningUp, name: str, lists: int) -> dict[str, Any]:
    """Return the report on an experiment, once all its lists and likes are counted."""
    likes: list[int] = recompute(up, name)["likes"]

    def report() -> dict[str, Any] | None:
        shown: dict[str, Any] = json.loads(likewise(up, "experiments", "show", name, "--json"))
        variants = shown["tally"]["variants"].values()
        all_lists = sum(one["lists"] for one in variants) == lists
        return shown if all_lists and [one["likes"] for one in variants] == likes else None

    return wait_until(report, "everything is counted", COUNTED_S)


def test_a_longer_list_is_found_better_and_anybody_can_recompute_it(
    up: RunningUp, app: PlainApp
) -> None:
    lists = run(up, app, "ab", "short,count=4", "long,count=10", users=150)
    report = counted(up, "ab", lists)

    [found] = report["verdict"]["comparisons"]
    assert found["decision"] == "better", report["verdict"]["sentence"]
    assert report["verdict"]["sample_ratio_ok"]

    variants = report["tally"]["variants"].values()
    assert recompute(up, "ab") == {
        "users": [one["users"] for one in variants],
        "wrong": 0,
        "lists": [one["lists"] for one in variants],
        "likes": [one["likes"] for one in variants],
        "found": pytest.approx([found["effect"], found["low"], found["high"]]),
    }
    verified = json.loads(likewise(up, "experiments", "verify", "ab", "--json"))
    assert verified["equal"]
    assert verified["verdict"] == report["verdict"]
    likewise(up, "experiments", "stop", "ab")


def test_between_equal_variants_no_difference_is_found(up: RunningUp, app: PlainApp) -> None:
    lists = run(up, app, "aa", "control", "same", users=100)
    report = counted(up, "aa", lists)

    [found] = report["verdict"]["comparisons"]
    assert found["decision"] == "undecided"
    assert found["low"] < 0 < found["high"]
    assert json.loads(likewise(up, "experiments", "verify", "aa", "--json"))["equal"]
