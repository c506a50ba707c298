"""The commands as people call them, with a consumer and a server at work on real servers."""

from __future__ import annotations

import csv
import json
import os
import secrets
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pandas as pd
import pytest
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.cli.children import child_environment
from likewise.cli.supervision import STOP_TIMEOUT_S, Service, ServiceSpec
from likewise.embedded import free_port
from likewise.log.topics import Topics
from likewise.messages.events import Like, encode_event
from likewise.messages.ids import ItemId, UserId
from likewise.messages.positions import Position
from likewise.settings import ModelSettings
from likewise.settings.loader import environment_of
from likewise.store.port import Changes, UserChange
from tests.consuming import caught_up, opened, settings_for
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from likewise.log.port import Broker
    from likewise.settings import Settings
    from likewise.store.port import LikeStore

BLOCKS = [["a1", "a2", "a3", "a4", "a5"], ["b1", "b2", "b3", "b4", "b5"]]
"""Items that go together: a user likes those of one block."""


class Deployed(NamedTuple):
    """A deployment of its own, with a consumer and a server running."""

    settings: Settings
    broker: Broker
    store: LikeStore

    @property
    def topics(self) -> Topics:
        return Topics(self.settings.kafka.topic_prefix)

    def run(self, *arguments: str, code: int = 0) -> Result:
        """Call the command line and check its exit code."""
        environment: dict[str, str | None] = dict.fromkeys(
            name for name in os.environ if name.startswith("LIKEWISE_")
        )
        result = CliRunner().invoke(
            app, arguments, env={**environment, **environment_of(self.settings)}
        )
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def run_json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def likes(self, *users: str) -> list[set[ItemId]]:
        """What is stored, once everything is applied."""
        self.settle()
        return self.store.likes([UserId(user) for user in users])

    def settle(self) -> None:
        wait_until(lambda: caught_up(self.broker, self.store, self.topics.likes), "all applied")


@contextmanager
def running(settings: Settings, command: str) -> Iterator[None]:
    """Run `likewise consume` or `likewise serve` as a process of its own, until it has ended."""
    port = free_port()
    lines: list[str] = []
    spec = ServiceSpec(command, [command], child_environment(settings, port), port)
    service = Service(spec, lambda _name, line: lines.append(line))
    service.start()
    try:
        wait_until(service.ready, f"{command} is ready: {lines}")
        yield
    finally:
        service.ask_to_stop()
        service.await_end(time.monotonic() + STOP_TIMEOUT_S)


@pytest.fixture(scope="module")
def deployed(
    bootstrap_servers: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    prefix = f"t{secrets.token_hex(4)}."
    settings = msgspec.structs.replace(
        settings_for(bootstrap_servers, redis_url, prefix),
        model=ModelSettings(directory=tmp_path_factory.mktemp("models")),
    )
    with opened(settings) as (broker, store), running(settings, "consume"):
        deployment = Deployed(settings, broker, store)
        publish_blocks(deployment, tmp_path_factory.mktemp("likes"))
        deployment.run("index", "--once")
        with running(settings, "serve"):
            yield deployment


def publish_blocks(deployment: Deployed, directory: Path) -> None:
    """Import users who each like four of the five items of their block."""
    rows = [
        {"user_id": f"user {block}{number}", "item_id": item}
        for block, items in enumerate(BLOCKS)
        for number in range(20)
        for place, item in enumerate(items)
        if place != number % 5
    ]
    path = directory / "blocks.parquet"
    pd.DataFrame(rows).to_parquet(path)
    summary = deployment.run_json("import", str(path), "--wait")
    assert (summary["published"], summary["bad_rows"]) == (len(rows), 0)
    assert summary["applied_s"] >= summary["published_s"] > 0


def test_a_like_and_an_unlike_reach_redis(deployed: Deployed) -> None:
    positions = deployed.run("like", "u1", "x", "y").stdout.split()
    assert len([Position.parse(position) for position in positions]) == 2
    (unliked,) = deployed.run_json("unlike", "u1", "y")
    assert (unliked["action"], unliked["user_id"], unliked["item_id"]) == ("unlike", "u1", "y")
    assert deployed.likes("u1") == [{"x"}]


def test_topics_are_created_once_and_stay_as_they_are(deployed: Deployed) -> None:
    before = deployed.run_json("topics", "create")
    assert before.keys() == {spec.name for spec in deployed.topics.specs(1)}
    fewer = msgspec.structs.replace(deployed.settings.kafka, partitions=1)
    settings = msgspec.structs.replace(deployed.settings, kafka=fewer)
    assert deployed._replace(settings=settings).run_json("topics", "create") == before
    other = msgspec.structs.replace(fewer, topic_prefix=f"{deployed.topics.prefix}2.")
    elsewhere = deployed._replace(settings=msgspec.structs.replace(settings, kafka=other))
    assert set(elsewhere.run_json("topics", "create").values()) == {1}


def test_a_forgotten_user_has_nothing(deployed: Deployed) -> None:
    deployed.run("like", "u2", "x")
    deployed.run("forget", "u2", "--yes")
    assert deployed.likes("u2") == [set()]


def test_an_id_that_is_none_is_refused_before_anything_is_sent(deployed: Deployed) -> None:
    before = deployed.broker.end_offsets(deployed.broker.partitions(deployed.topics.likes))
    result = deployed.run("like", "u3", "x", "y" * 257, code=1)
    assert "longer than 256 bytes" in result.stderr
    assert deployed.broker.end_offsets([*before]) == before


def test_a_recommendation_counts_the_like_before_it_and_says_why(deployed: Deployed) -> None:
    deployed.run("like", "newcomer", "a1", "a2")
    position = deployed.run("like", "newcomer", "a3").stdout.strip()
    answer = deployed.run_json("recommend", "newcomer", "--after", position, "--explain", "-n", "2")
    assert {item["item_id"] for item in answer["items"]} == {"a4", "a5"}
    reasons = {reason["item_id"] for item in answer["items"] for reason in item["because"]}
    assert reasons <= {"a1", "a2", "a3"}
    assert answer["source"] == "model"


def test_an_anonymous_visitor_and_an_excluded_item(deployed: Deployed) -> None:
    answer = deployed.run_json("recommend", "--liked", "b1,b2", "--exclude", "b3", "-n", "2")
    assert {item["item_id"] for item in answer["items"]} == {"b4", "b5"}


def test_what_is_liked_may_come_again_and_nothing_else_follows(deployed: Deployed) -> None:
    asked = ["recommend", "--liked", "b1,b2", "-n", "50"]
    bare = deployed.run_json(*asked, "--no-fill")
    assert {item["item_id"] for item in bare["items"]} == {"b3", "b4", "b5"}
    again = deployed.run_json(*asked, "--no-fill", "--include-liked")
    assert {item["item_id"] for item in again["items"]} == {"b1", "b2", "b3", "b4", "b5"}


def test_the_table_names_rank_item_reason_and_model(deployed: Deployed) -> None:
    shown = deployed.run("recommend", "--liked", "b1", "--explain", "-n", "1").stdout
    heading, row, origin = shown.splitlines()
    assert heading.split()[:3] == ["rank", "item", "score"]
    assert row.split()[0] == "1"
    assert row.split()[1] in BLOCKS[1]
    assert "b1" in row
    assert origin.startswith("ranked by model 2")
    assert "old" in origin


def test_similar_items_are_of_the_same_block(deployed: Deployed) -> None:
    answer = deployed.run_json("similar", "a1", "--count", "4")
    assert {item["item_id"] for item in answer["items"]} == {"a2", "a3", "a4", "a5"}


def test_a_retired_item_is_not_recommended_until_it_is_restored(deployed: Deployed) -> None:
    def shown() -> set[str]:
        answer = deployed.run_json("recommend", "--liked", "a1,a2,a3", "-n", "2")
        return {item["item_id"] for item in answer["items"]}

    deployed.run("retire", "a5")
    wait_until(lambda: "a5" not in shown(), "a5 is retired")
    deployed.run("restore", "a5")
    wait_until(lambda: "a5" in shown(), "a5 is restored")


def test_an_answer_that_does_not_come_in_time_is_exit_code_4(deployed: Deployed) -> None:
    nobody = deployed._replace(
        settings=msgspec.structs.replace(
            deployed.settings,
            kafka=msgspec.structs.replace(
                deployed.settings.kafka, topic_prefix=f"{deployed.topics.prefix}nobody."
            ),
        )
    )
    nobody.broker.ensure_topics(nobody.topics.specs(1))
    result = nobody.run("recommend", "u1", "--timeout", "1", code=4)
    assert "likewise serve" in result.stderr


def test_a_recommendation_needs_one_subject(deployed: Deployed) -> None:
    deployed.run("recommend", code=2)
    deployed.run("recommend", "u1", "--liked", "a1", code=2)


def test_bad_rows_are_shown_and_left_out_unless_strict(deployed: Deployed, tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("user_id,item_id\nfile,1\n,2\nfile,3,x\nfile,4\n")
    strict = deployed.run("import", str(path), "--strict", code=1)
    assert "2 of 4 rows are bad, the first in line 3" in strict.stderr
    assert deployed.likes("file") == [set()]
    lenient = deployed.run("import", str(path), "--wait", code=5)
    assert "2 bad rows of 4" in lenient.stderr
    assert deployed.likes("file") == [{"1", "4"}]


def test_what_events_took_back_stays_so_when_an_old_file_is_imported_again(
    deployed: Deployed, tmp_path: Path
) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("user_id,item_id,timestamp\nold1,a,\nold1,b,2001-01-01\nold2,a,\nold3,a,\n")
    deployed.run("import", str(path), "--wait")
    deployed.run("unlike", "old1", "a", "b")
    deployed.run("forget", "old2", "--yes")
    assert deployed.likes("old1", "old2", "old3") == [set(), set(), {"a"}]

    again = deployed.run_json("import", str(path), "--wait")
    assert (again["published"], sum(again["skipped"].values())) == (1, 3)
    assert deployed.likes("old1", "old2", "old3") == [set(), set(), {"a"}]

    path.write_text(f"user_id,item_id,timestamp\nold1,b,{time.time() + 60}\nold2,c,9999-12-31\n")
    deployed.run("import", str(path), "--wait")  # rows that are newer than the events
    assert deployed.likes("old1", "old2") == [{"b"}, {"c"}]
    path.write_text("user_id,item_id\nold2,a\n")
    deployed.run("import", str(path), "--wait", "--bring-back")
    assert deployed.likes("old2") == [{"a", "c"}]


def test_users_are_forgotten_by_a_file_without_items(deployed: Deployed, tmp_path: Path) -> None:
    deployed.run("like", "gone1", "x")
    deployed.run("like", "gone2", "x")
    path = tmp_path / "forget.csv"
    path.write_text("user_id,action\ngone1,forget_user\n")
    deployed.run("import", str(path), "--wait")
    path.write_text("gone2\n")
    deployed.run("import", str(path), "--no-header", "--action", "forget_user", "--wait")
    assert deployed.likes("gone1", "gone2") == [set(), set()]


def test_a_file_without_the_columns_is_refused(deployed: Deployed, tmp_path: Path) -> None:
    path = tmp_path / "likes.csv"
    path.write_text("who,what\nu,i\n")
    assert "--user-column" in deployed.run("import", str(path), code=1).stderr
    deployed.run("import", str(path), "--user-column", "who", "--item-column", "what", "--wait")
    assert deployed.likes("u") == [{"i"}]


@pytest.mark.parametrize("name", ["all.csv", "all.csv.gz", "all.parquet"])
def test_an_export_holds_every_like_and_can_be_imported(
    deployed: Deployed, tmp_path: Path, name: str
) -> None:
    deployed.settle()
    path = tmp_path / name
    summary = deployed.run_json("export", str(path))
    assert summary["likes"] == deployed.run_json("status")["redis"]["likes"]
    before = path.read_bytes()
    assert deployed.run_json("import", str(path), "--wait")["published"] == summary["likes"]
    deployed.run("export", str(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_says_which_ids_only_parquet_carries(deployed: Deployed, tmp_path: Path) -> None:
    deployed.run("like", "two\nlines", "x")
    deployed.settle()
    path = tmp_path / "all.csv"
    assert "1 ids contain line breaks" in deployed.run("export", str(path)).stderr
    assert "is not closed" in deployed.run("import", str(path), "--dry-run", code=5).stderr
    deployed.run("export", str(path.with_suffix(".parquet")))
    deployed.run("import", str(path.with_suffix(".parquet")), "--dry-run", "--strict")
    deployed.run("forget", "two\nlines", "--yes")


def test_an_export_to_standard_output_is_csv_and_nothing_else(deployed: Deployed) -> None:
    deployed.run("like", 'a "quoted", user', "x")
    deployed.settle()
    rows = list(csv.reader(deployed.run("export", "-").stdout.splitlines()))
    assert rows[0] == ["user_id", "item_id"]
    assert ['a "quoted", user', "x"] in rows
    assert rows[1:] == sorted(rows[1:])


def test_dead_letters_are_listed_and_sent_again_once(deployed: Deployed) -> None:
    with closing(deployed.broker.sink()) as sink:
        right = encode_event(Like(UserId("u7"), ItemId("x")))
        sink.send(deployed.topics.likes, b"{", key=b"u7", headers=[("trace", b"\x00\xff")])
        sink.send(deployed.topics.likes, right, key=b"somebody else")
        sink.flush(10)
    deployed.settle()
    listed = deployed.run_json("dead-letters", "list")
    assert listed["reasons"] == {"not_json": 1, "key_mismatch": 1}
    (letter,) = deployed.run_json("dead-letters", "list", "--reason", "not_json")["dead_letters"]
    assert (letter["key"], letter["value"], letter["headers"]) == ("u7", "{", [["trace", "AP8="]])
    assert "key_mismatch" in deployed.run("dead-letters", "list", "--show").stdout

    assert deployed.run_json("dead-letters", "replay", "--dry-run")["sent"] == 2
    chosen = deployed.run_json("dead-letters", "replay", "--offset", letter["offset"])
    assert chosen["sent"] == 1
    deployed.settle()
    assert deployed.run_json("dead-letters", "replay")["sent"] == 3, "it was refused once more"
    deployed.settle()
    assert deployed.run_json("dead-letters", "replay", "--dry-run")["sent"] == 3, "only the new"
    assert deployed.run_json("dead-letters", "replay", "--dry-run", "--all")["sent"] == 6
    newest = deployed.run_json("dead-letters", "list", "--reason", "not_json", "--limit", "1")
    assert newest["dead_letters"][0]["headers"] == [["trace", "AP8="]]
    deployed.run("dead-letters", "replay", "--offset", "999", code=1)


def test_verify_finds_what_a_fault_has_broken_and_repairs_it(deployed: Deployed) -> None:
    deployed.run("like", "u8", "x", "y")
    deployed.settle()
    assert deployed.run_json("verify")["equal"] is True
    broken = UserChange(add={ItemId("ghost")}, remove={ItemId("x")})
    deployed.store.apply(Changes(users={UserId("u8"): broken}, retire={ItemId("y")}), {})
    found = deployed.run_json("verify", code=1)
    assert found["differing_users"] == {"u8": {"missing": ["x"], "extra": ["ghost"]}}
    assert found["retired"] == {"missing": [], "extra": ["y"]}
    assert "-x, +ghost" in deployed.run("verify", code=1).stdout
    assert deployed.run_json("verify", "--repair")["repaired_users"] == 1
    assert deployed.run_json("verify")["equal"] is True
    assert deployed.likes("u8") == [{"x", "y"}]
