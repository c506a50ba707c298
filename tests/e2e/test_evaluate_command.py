"""`likewise evaluate` from a file, from Redis and from the likes topic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.events import Like, encode_event, event_key
from likewise.ids import ItemId, UserId
from likewise.kafka_streams import KafkaBroker
from likewise.redis_store import RedisStore
from likewise.settings import KafkaSettings, RedisSettings
from likewise.store import Changes, UserChange
from likewise.topics import Topics

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

BLOCKS, USERS, ITEMS = 4, 8, 9


def likes() -> dict[UserId, list[ItemId]]:
    """Users like all items of their block but one."""
    return {
        UserId(f"b{block}-u{user}"): [
            ItemId(f"b{block}-i{number}") for number in range(ITEMS) if number != user
        ]
        for block in range(BLOCKS)
        for user in range(USERS)
    }


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "likes.csv"
    rows = [f"{user},{item}" for user, items in likes().items() for item in items]
    path.write_text("\n".join(["user_id,item_id", *rows]))
    return path


@pytest.fixture(autouse=True)
def _away_from_settings_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, code: int = 0) -> Result:
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == code, ended.output
    return ended


def evaluated(*arguments: str) -> dict[str, Any]:
    account: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return account


def test_a_file_is_divided_measured_and_accounted_for(csv: Path) -> None:
    account = evaluated("evaluate", str(csv), "--k", "5", "--seed", "3")
    assert account["data"]["split"] == "random"
    assert account["data"]["users"] == BLOCKS * USERS
    served = account["rankers"][account["default"]]
    assert served["recall@5"] > 0.8 > account["rankers"]["popular"]["recall@5"]
    assert 0 < served["ndcg@5"] <= 1


def test_a_parquet_file_with_a_split_gives_what_the_csv_gives(csv: Path, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(csv)
    frame["split"] = ["test" if n % 8 == 0 else "train" for n in range(len(frame))]
    frame.to_csv(csv.with_name("split.csv.gz"), index=False)
    frame.to_parquet(tmp_path / "split.parquet")
    one, other = (
        evaluated("evaluate", str(tmp_path / name), "--ranker", "popular")
        for name in ("split.csv.gz", "split.parquet")
    )
    assert one["data"]["split"] == "column, valid taken out of train"
    assert one["data"]["test"] == len(frame) // 8
    for metric in ("recall@20", "ndcg@20"):
        assert one["rankers"]["popular"][metric] == other["rankers"]["popular"][metric]


def test_people_see_a_table_and_the_report_is_written(csv: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    shown = run("evaluate", str(csv), "--report", str(page)).stdout
    for name in ("recall@20", "nDCG@20", "exact_neighbours", "popular", "approximate search"):
        assert name in shown
    assert page.read_text().startswith("<!doctype html>")


def test_bad_rows_are_left_out_and_counted(csv: Path) -> None:
    csv.write_text(csv.read_text() + "\n,i1\n")
    account = evaluated("evaluate", str(csv), "--ranker", "popular")
    assert account["data"]["bad_rows"] == 1
    assert "user_id" in account["data"]["first_bad_row"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name one source"),
        (("likes.csv", "--from-redis"), "name one source"),
        (("likes.csv", "--ranker", "magic"), "no ranker 'magic'"),
    ],
)
def test_what_can_not_be_asked_is_a_usage_error(
    csv: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert csv.exists()
    assert said in run("evaluate", *arguments, code=2).output


def test_likes_too_few_to_divide_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("user_id,item_id\nu1,i1\n")
    assert "too few to divide" in run("evaluate", str(path), code=1).output


def test_what_everybody_likes_in_redis_is_evaluated(redis_url: str, prefix: str) -> None:
    store = RedisStore(RedisSettings(url=redis_url, key_prefix=prefix))
    users = {user: UserChange(add=set(items)) for user, items in likes().items()}
    store.apply(Changes(users=users), {})
    store.close()
    before = ["--redis-url", redis_url, "--key-prefix", prefix]
    account = evaluated(*before, "evaluate", "--from-redis", "--ranker", "popular")
    assert account["data"]["source"] == "Redis"
    assert account["data"]["likes"] == BLOCKS * USERS * (ITEMS - 1)
    assert account["data"]["split"] == "random"


def test_the_likes_topic_is_evaluated_by_time(bootstrap_servers: str, prefix: str) -> None:
    topics = Topics(prefix)
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap_servers), client_id="test")
    broker.ensure_topics(topics.specs(1))
    sink = broker.sink()
    for user, items in likes().items():
        for event in (Like(user, item) for item in items):
            sink.send(topics.likes, encode_event(event), key=event_key(event))
    sink.send(topics.likes, b"no event")
    sink.flush(10)
    sink.close()
    broker.close()
    before = ["--bootstrap-servers", bootstrap_servers, "--topic-prefix", prefix]
    account = evaluated(*before, "evaluate", "--from-topic", "--ranker", "popular")
    assert account["data"]["likes"] == BLOCKS * USERS * (ITEMS - 1)
    assert account["data"]["split"] == "time"
    assert account["data"]["bad_rows"] == 1
    assert account["rankers"]["popular"]["users"] == BLOCKS * USERS


def test_a_topic_that_is_not_there_is_named(bootstrap_servers: str, prefix: str) -> None:
    before = ["--bootstrap-servers", bootstrap_servers, "--topic-prefix", prefix]
    ended = run(*before, "evaluate", "--from-topic", code=1)
    assert f"there is no topic {prefix}likes" in ended.output


def test_tuning_writes_settings_that_serve_as_tuned(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "tuned.toml"
    options = ("--tune", "--budget", "3s", "--settings-out", str(out), "--ranker", "popular")
    account = evaluated("evaluate", str(csv), *options)
    assert account["tuning"]["trials"] > 0
    recipe = account["tuning"]["tuned"]["recipe"]
    assert account["rankers"]["tuned"]["recipe"] == recipe
    again = evaluated("--config", str(out), "evaluate", str(csv), "--ranker", "popular")
    assert again["rankers"][again["default"]]["recipe"] == recipe


@pytest.mark.parametrize("budget", ["0s", "soon", "5 days"])
def test_a_budget_that_is_no_time_is_a_usage_error(csv: Path, budget: str) -> None:
    ended = run("evaluate", str(csv), "--tune", "--budget", budget, code=2)
    assert "is no time" in ended.output


def test_settings_out_needs_a_search_and_a_new_file(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "likewise.toml"
    assert "name both" in run("evaluate", str(csv), "--settings-out", str(out), code=2).output
    out.write_text("")
    ended = run("evaluate", str(csv), "--tune", "--settings-out", str(out), code=1)
    assert "is there already" in ended.output
