"""`likewise evaluate` from a file, from Redis and from the likes topic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.events import Like, encode_event, event_key
from likewise.messages.ids import ItemId, UserId
from likewise.settings import KafkaSettings, RedisSettings
from likewise.store.port import Changes, UserChange
from likewise.store.redis import RedisStore

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

BLOCKS, USERS, ITEMS = 4, 8, 9
NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z


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
        ((), "give exactly one source"),
        (("likes.csv", "--from-redis"), "give exactly one source"),
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


@pytest.fixture
def topic(bootstrap_servers: str, prefix: str) -> list[str]:
    """A topic of two partitions with events a minute apart in the past; what leads to it."""
    topics = Topics(prefix)
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap_servers), client_id="test")
    broker.ensure_topics(topics.specs(2))
    sink = broker.sink()
    for number in range(ITEMS - 1):
        for place, (user, items) in enumerate(likes().items()):
            item = items[(number + place) % len(items)]  # not everybody's last are the same
            body = encode_event(Like(user, item), timestamp_ms=NOON_MS + 60_000 * number)
            sink.send(topics.likes, body, key=user.encode(), partition=place % 2)
    sink.flush(10)
    sink.close()
    broker.close()
    return ["--bootstrap-servers", bootstrap_servers, "--topic-prefix", prefix]


def test_a_model_of_then_is_tested_on_what_came_since(topic: list[str]) -> None:
    """Everybody likes eight items, a minute apart; the last three lie after the point."""
    travel = ("--until", "2026-01-01T12:05", "--ranker", "popular")
    account = evaluated(*topic, "evaluate", "--from-topic", *travel)
    data, users = account["data"], BLOCKS * USERS
    assert data["until"] == "2026-01-01T12:05:00Z"
    assert data["split"] == "until, valid taken out of train"
    assert (data["train"], data["valid"], data["test"]) == (4 * users, users, 3 * users)
    assert account["rankers"][account["default"]]["recall@20"] > 0.9
    half = (ITEMS - 1) * users // 4
    by_offsets = ("--until", f"0:{half},1:{half}", "--ranker", "popular")
    assert evaluated(*topic, "evaluate", "--from-topic", *by_offsets)["data"]["test"] == 4 * users
    shown = run(*topic, "evaluate", "--from-topic", *travel).stdout
    assert "train ends before 2026-01-01T12:05:00Z" in shown


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2020-01-01", "there are no likes before 2020-01-01T00:00:00Z: the events are from 2026"),
        ("-1s", "there are no new likes after"),
        ("0:3", "needs an offset for every partition; partition 1 is missing"),
        ("0:3,1:9999", "1:9999 is outside the log"),
    ],
)
def test_a_point_at_which_the_log_can_not_be_divided_is_refused(
    topic: list[str], until: str, said: str
) -> None:
    assert said in run(*topic, "evaluate", "--from-topic", "--until", until, code=1).output


def test_a_file_with_times_travels_too(tmp_path: Path) -> None:
    path = tmp_path / "timed.csv"
    rows = [
        f"{user},{item},{NOON_MS + 60_000 * number},train"
        for user, items in likes().items()
        for number, item in enumerate(items)
    ]
    path.write_text("\n".join(["user_id,item_id,timestamp,split", *rows]))
    options = ("--until", "2026-01-01T12:06:00Z", "--ranker", "popular")
    assert evaluated("evaluate", str(path), *options)["data"]["test"] == 2 * BLOCKS * USERS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from-redis", "--until", "-7d"), "which Redis does not have"),
        (("likes.csv", "--until", "0:12"), "with a FILE takes a time"),
        (("--from-topic", "--until", "yesterday"), "is not a time"),
        (("--until", "-7d"), "give exactly one source"),
    ],
)
def test_a_point_that_makes_no_sense_is_a_usage_error(
    csv: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert csv.exists()
    assert said in " ".join(run("evaluate", *arguments, code=2).output.replace("│", "").split())


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
    assert "is not a time" in ended.output


def test_settings_out_needs_a_search_and_a_new_file(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "likewise.toml"
    assert "needs --tune" in run("evaluate", str(csv), "--settings-out", str(out), code=2).output
    out.write_text("")
    ended = run("evaluate", str(csv), "--tune", "--settings-out", str(out), code=1)
    assert "is there already" in ended.output
