"""`likewise models` and `index --once` on real servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.messages.ids import ItemId, UserId
from likewise.settings import RedisSettings
from likewise.store.port import Changes, UserChange
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result


@pytest.fixture
def run(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Callable[..., Any]:
    """Returns what runs a command against a deployment with a few likes and no model."""
    settings = RedisSettings(url=redis_url, key_prefix=prefix)
    changes = Changes(
        users={
            UserId(f"u{number}"): UserChange(add={ItemId("i1"), ItemId(f"i{number}")})
            for number in range(6)
        }
    )
    store = RedisStore(settings)
    store.apply(changes, {})
    store.close()
    before = ["--bootstrap-servers", bootstrap_servers, "--redis-url", redis_url]
    before += ["--topic-prefix", prefix, "--key-prefix", prefix]
    before += ["--models", str(tmp_path / "models")]

    def invoke(*arguments: str, code: int = 0) -> Result:
        ended = CliRunner().invoke(app, [*before, *arguments])
        assert ended.exit_code == code, ended.output
        return ended

    return invoke


def build(run: Callable[..., Any]) -> dict[str, Any]:
    built: dict[str, Any] = json.loads(run("index", "--once", "--json").stdout)
    return built


def listed(run: Callable[..., Any], *options: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run("models", "list", "--json", *options).stdout)
    return rows


def test_a_build_is_listed_as_the_current_model(run: Callable[..., Any]) -> None:
    assert listed(run) == []
    built = build(run)
    assert (built["users"], built["items"], built["likes"]) == (6, 6, 11)
    assert built["current"] is True
    assert built["seconds"]["snapshot"] >= 0
    (row,) = listed(run, "--verify")
    assert row["version"] == built["version"]
    assert row["current"] is True
    assert row["sound"] is True
    assert row["bytes"] > 0


def test_an_older_version_can_be_used_again(run: Callable[..., Any]) -> None:
    older, newer = build(run)["version"], build(run)["version"]
    assert [(row["version"], row["current"]) for row in listed(run)] == [
        (newer, True),
        (older, False),
    ]
    run("models", "use", older)
    assert [row["current"] for row in listed(run)] == [False, True]
    status = json.loads(run("status", "--json").stdout)
    assert status["redis"]["model"]["version"] == older


def test_a_version_that_is_not_there_or_broken_is_not_used(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    broken, current = build(run)["version"], build(run)["version"]
    factors = tmp_path / "models" / broken / "item_factors.npy"
    factors.write_bytes(factors.read_bytes()[:-1])
    assert "item_factors.npy" in run("models", "use", broken, code=1).stderr
    assert "not a model version" in run("models", "use", "../elsewhere", code=1).stderr
    run("models", "use", "20200101T000000.000Z", code=1)
    assert [(row["version"], row["sound"]) for row in listed(run, "--verify")] == [
        (current, True),
        (broken, False),
    ]
    assert "broken" in run("models", "list", "--verify").stdout


def test_pruning_keeps_the_newest_and_the_current_one(run: Callable[..., Any]) -> None:
    versions = [build(run)["version"] for _ in range(4)]
    run("models", "use", versions[0])
    would = json.loads(run("models", "prune", "--keep", "1", "--dry-run", "--json").stdout)
    assert would == [versions[2], versions[1]]
    assert len(listed(run)) == 4
    assert json.loads(run("models", "prune", "--keep", "1", "--json").stdout) == would
    assert [row["version"] for row in listed(run)] == [versions[3], versions[0]]
    assert "nothing to remove" in run("models", "prune", "--keep", "1").stdout


def test_nothing_is_pruned_while_nobody_says_which_one_is_current(
    run: Callable[..., Any],
) -> None:
    version = build(run)["version"]
    away = ("--redis-url", "redis://127.0.0.1:1/0")
    run(*away, "models", "prune", "--keep", "1", code=4)
    assert [row["version"] for row in listed(run)] == [version]


def test_status_of_a_deployment_without_topics(run: Callable[..., Any], prefix: str) -> None:
    status = json.loads(run("status", "--json").stdout)
    assert status["kafka"]["likes"] == {
        "topic": f"{prefix}likes",
        "group": "likewise-consumers",
        "partitions": 0,
        "records": 0,
        "lag": 0,
        "held_back": 0,
    }
    assert status["redis"]["users"] == 6
    assert status["redis"]["likes"] == 11
    assert status["redis"]["changed_users"] == 6
    assert status["redis"]["model"] is None
    shown = run("status").stdout
    assert "the topic does not exist yet" in shown
    assert "none yet" in shown
