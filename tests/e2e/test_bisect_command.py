"""`likewise bisect` on a real topic: bots push items that nobody likes, in the middle of the log."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.log.topics import Topics
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId
from likewise.settings import ModelSettings
from likewise.settings.loader import environment_of
from tests.consuming import opened, send, settings_for
from tests.worlds import world_of_people

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_stretch_in_which_bots_pushed_items_is_found(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_for(bootstrap_servers, redis_url, prefix)
    model = ModelSettings(directory=tmp_path / "models", ranker="cooccurrence")
    settings = msgspec.structs.replace(settings, model=model)
    people = sorted(world_of_people(3, users=300, items=250, each=20).likes, key=lambda one: one[2])
    likes = [Like(user, item) for user, item, _ in people]
    names, counts = np.unique([like.item_id for like in likes], return_counts=True)
    popular, rng = names[np.argsort(-counts)[:80]].tolist(), np.random.default_rng(0)
    pushed = [f"pushed {number}" for number in range(20)]
    bots = [
        Like(UserId(f"bot {bot}"), ItemId(item))
        for bot in range(120)
        for item in (*pushed, *rng.choice(popular, 20, replace=False).tolist())
    ]
    cut = round(0.6 * len(likes))
    with opened(settings) as (broker, _), closing(broker.sink()) as sink:
        for part in (likes[:cut], bots, likes[cut:]):
            send(sink, Topics(prefix).likes, part)

    def run(*arguments: str, code: int = 0) -> str:
        asked = ("bisect", *arguments)
        ended = CliRunner().invoke(app, asked, env=environment_of(settings))
        assert ended.exit_code == code, (ended.output, ended.exception)
        return ended.stdout

    state = ("--rebuild", "--builds", "10", "--directory", "state")
    account = json.loads(run(*state, "--json"))
    assert account["found"]
    assert account["sentence"].startswith("Quality fell between events:")
    stretch = account["stretch"]
    assert stretch["explains"]
    assert all(user.startswith("bot") for user in stretch["users"])
    assert stretch["ndcg_without"] > account["measured"][-1]["ndcg"]
    run(*state, code=1)  # the state of another run is not overwritten
    again = run(*state, "--resume")
    assert "Quality fell between" in again
    assert "events explain it" in again
    assert json.loads(run(*state, "--resume", "--json"))["reused"] == account["models_measured"]
    run("--resume", code=2)
    run("--good", "someday", code=2)
    run("--good", "3:1", code=2)
