"""`likewise audit likes` on a real topic, and what the indexer and `evaluate` do with its list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.log.topics import Topics
from likewise.messages.ids import UserId
from likewise.models.files import read_manifest
from likewise.settings import ModelSettings
from likewise.settings.loader import environment_of
from tests.consuming import caught_up, consuming, opened, settings_for
from tests.waiting import wait_until
from tests.worlds import add_rings, world_of_people

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from likewise.models.manifest import Manifest

RING = {UserId(f"ring-0-{member}") for member in range(6)}


def test_those_who_are_named_can_be_left_out(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_for(bootstrap_servers, redis_url, prefix)
    settings = msgspec.structs.replace(settings, model=ModelSettings(directory=tmp_path / "models"))
    world = world_of_people(1, users=150, items=120, each=12)
    add_rings(world, 1, 6)
    file, bots = tmp_path / "likes.csv", tmp_path / "bots.txt"
    rows = [f"{user},{item},{at}" for user, item, at in world.likes]
    file.write_text("\n".join(["user_id,item_id,timestamp", *rows]))

    def run(*arguments: str, code: int = 0, excluded: Path | None = None) -> str:
        env = environment_of(settings)
        if excluded is not None:
            env["LIKEWISE_INDEXER_EXCLUDED_USERS_FILE"] = str(excluded)
        ended = CliRunner().invoke(app, arguments, env=env)
        assert ended.exit_code == code, (ended.output, ended.exception)
        return ended.stdout

    topics = Topics(prefix)
    with opened(settings) as (broker, store), consuming(settings):
        run("import", str(file))
        wait_until(lambda: caught_up(broker, store, topics.likes), "the likes are applied")
    named = json.loads(run("audit", "likes", "--from-topic", "-o", str(bots), "--json"))["named"]
    assert {one["user_id"] for one in named} == RING
    assert {one["group"] for one in named} == {1}
    assert "in lockstep with 5 others" in named[0]["reasons"][0]["sentence"]
    assert "Nobody is excluded" in run("audit", "likes", str(file))

    def built(excluded: Path | None = None) -> Manifest:
        version = json.loads(run("index", "--once", "--json", excluded=excluded))["version"]
        return read_manifest(settings.model.directory, version)

    everybody, without = built(), built(bots)
    assert everybody.users - without.users == len(RING)
    assert without.build["excluded_users"] == len(RING)
    assert "excluded_users" not in everybody.build
    run("index", "--once", code=2, excluded=tmp_path / "none")

    account = json.loads(run("evaluate", str(file), "--exclude", str(bots), "--json"))
    assert account["data"]["users"] == 150
    effect = account["exclusion"]
    assert (effect["listed"], effect["found"]) == (len(RING), len(RING))
    assert effect["including"].keys() == effect["without"].keys()
    assert "Does it help the others" in run("evaluate", str(file), "--exclude", str(bots))
