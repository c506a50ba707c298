"""`likewise models compare` on real servers: a model of all blocks against one of half of them."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.log.topics import Topics
from likewise.messages.announcements import decode_announcement
from likewise.messages.events import Like, encode_event
from likewise.messages.ids import ItemId, UserId
from likewise.messages.requests import Request, encode_request
from likewise.models.versions import new_version
from likewise.settings import ModelSettings, Settings
from likewise.settings.loader import environment_of
from tests.consuming import opened, settings_for
from tests.serving_rig import SNAPSHOT_AT_MS, item, like, likes_but_one, write_block_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

USERS = 24
BLOCKS = 6
FULL, HALF, OLDER = (new_version(SNAPSHOT_AT_MS + 1_000 * number) for number in (3, 2, 1))


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    made = settings_for(bootstrap_servers, redis_url, prefix)
    return msgspec.structs.replace(made, model=ModelSettings(directory=tmp_path / "models"))


@pytest.fixture
def run(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, code: int = 0) -> Result:
        ended = CliRunner().invoke(app, arguments, env=environment_of(settings))
        assert ended.exit_code == code, (ended.output, ended.exception)
        return ended

    return invoke


@pytest.fixture
def deployed(settings: Settings) -> Iterator[None]:
    """Users like all of a block but one item, ask, and like that one; the full model is current."""
    directory, topics = settings.model.directory, Topics(settings.kafka.topic_prefix)
    announcement = write_block_model(directory, FULL, blocks=BLOCKS)
    write_block_model(directory, HALF, blocks=BLOCKS // 2)
    write_block_model(directory, OLDER, blocks=BLOCKS)
    users = {UserId(f"u{number}"): number % BLOCKS for number in range(USERS)}
    with ExitStack() as stack:
        broker, store = stack.enter_context(opened(settings))
        broker.ensure_topics(topics.specs(2))
        sink = stack.enter_context(closing(broker.sink()))
        assert decode_announcement(announcement).version == FULL
        store.announce_model(announcement)
        for user, block in users.items():
            like(store, user, likes_but_one(block))
            sink.send(topics.requests, encode_request(Request(user_id=user, count=1)))
        sink.send(topics.requests, b"no request")
        sink.flush(10)
        asked_at_ms = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 <= asked_at_ms:
            pass  # a like of the same millisecond is not a later one
        for user, block in users.items():
            event = Like(user, item(block, 0))
            sink.send(topics.likes, encode_event(event), key=user.encode())
            like(store, user, {ItemId(event.item_id)})
        sink.flush(10)
        yield


@pytest.mark.usefixtures("deployed")
def test_the_model_that_foretold_later_likes_is_better(run: Callable[..., Any]) -> None:
    account = json.loads(run("models", "compare", "previous", "current", "--json").stdout)
    assert (account["a"]["version"], account["b"]["version"]) == (HALF, FULL)
    assert account["requests"] == {"compared": USERS, "bad": 1, "forgotten": 0, "unanswered": 0}
    assert account["agreement"]["overlap"]["mean"] == 0.5
    later = account["later_likes"]
    assert (later["users"], later["likes"]) == (USERS, USERS)
    recall = later["metrics"]["recall"]
    assert (recall["a"], recall["b"], recall["difference"]["mean"]) == (0.5, 1.0, 0.5)
    assert account["better"] == "b"
    shown = run("models", "compare", HALF, FULL).stdout
    assert "B is better: of what users liked later, B's answers hold 100.0% and A's 50.0%" in shown
    assert "rank-biased overlap" in shown


@pytest.mark.usefixtures("deployed")
def test_two_models_of_the_same_likes_are_alike(run: Callable[..., Any]) -> None:
    compared = run("models", "compare", OLDER, FULL, "--requests", "10", "--json")
    account = json.loads(compared.stdout)
    assert account["requests"]["compared"] + account["requests"]["bad"] == 10
    assert account["agreement"]["identical"]["mean"] == 1.0
    assert account["better"] is None


@pytest.mark.usefixtures("deployed")
def test_versions_that_can_not_be_compared_are_refused(run: Callable[..., Any]) -> None:
    unknown = run("models", "compare", "20200101T000000.000Z", "current", code=1).stderr
    assert "there is no model '20200101T000000.000Z'" in unknown
    assert f"{FULL}, {HALF}, {OLDER}" in unknown
    assert "A and B are both" in run("models", "compare", FULL, "current", code=2).output


def test_a_deployment_without_requests_or_models_says_so(
    run: Callable[..., Any], settings: Settings
) -> None:
    assert "no model is current yet" in run("models", "compare", "current", "x", code=1).stderr
    for version in (HALF, FULL):
        write_block_model(settings.model.directory, version, blocks=2)
    said = run("models", "compare", HALF, FULL, code=1).stderr
    assert "there are no requests on topic" in said


@pytest.mark.usefixtures("deployed")
def test_a_model_is_built_without_any_server_taking_it_up(run: Callable[..., Any]) -> None:
    built = json.loads(run("index", "--once", "--no-announce", "--json").stdout)
    assert built["current"] is False
    current = [row["version"] for row in json.loads(run("models", "list", "--json").stdout)]
    assert current[0] == built["version"]
    account = json.loads(run("models", "compare", "current", built["version"], "--json").stdout)
    assert account["a"]["version"] == FULL
    # All likes came before its snapshot: nothing says which is better, and it is not guessed.
    assert account["better"] is None
    assert "Compare again once likes have come in" in account["verdict"]
    run("index", "--no-announce", code=2)
