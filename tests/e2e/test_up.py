"""`likewise up`, used as a stranger would: plain clients, signals, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer

from tests.running_up import START_TIMEOUT_S, alive, descendants, environment, running_up
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running_up import RunningUp

pytestmark = pytest.mark.timeout(300)

CATS = [f"cat {number}" for number in range(4)]
DOGS = [f"dog {number}" for number in range(4)]


def publish(up: RunningUp, likes: dict[str, list[str]]) -> None:
    with closing(KafkaProducer(bootstrap_servers=up.bootstrap_servers)) as producer:
        for user, items in likes.items():
            for item in items:
                body = json.dumps({"user_id": user, "item_id": item}).encode()
                producer.send("likes", body, key=user.encode())
        producer.flush()


def ask(up: RunningUp, body: dict[str, Any]) -> dict[str, Any]:
    """Send a request as Spring's ReplyingKafkaTemplate does, and return its reply."""
    correlation = os.urandom(16)
    with (
        closing(KafkaProducer(bootstrap_servers=up.bootstrap_servers)) as producer,
        closing(
            KafkaConsumer(
                "recommendation-replies",
                bootstrap_servers=up.bootstrap_servers,
                auto_offset_reset="earliest",
                consumer_timeout_ms=START_TIMEOUT_S * 1_000,
            )
        ) as consumer,
    ):
        producer.send(
            "recommendation-requests",
            json.dumps(body).encode(),
            headers=[
                ("kafka_correlationId", correlation),
                ("kafka_replyTopic", b"recommendation-replies"),
            ],
        )
        producer.flush()
        for record in consumer:
            if ("kafka_correlationId", correlation) in record.headers:
                reply: dict[str, Any] = json.loads(record.value)
                return reply
    raise AssertionError("no reply came")


def likes_of(up: RunningUp, user: str) -> set[str]:
    with closing(redis.Redis.from_url(up.redis_url, decode_responses=True)) as client:
        return {str(item) for item in client.smembers(f"likes:{user}")}


def likewise(up: RunningUp, home: Path, *arguments: str) -> str:
    servers = ["--bootstrap-servers", up.bootstrap_servers, "--redis-url", up.redis_address]
    return subprocess.run(
        [sys.executable, "-m", "likewise", *servers, *arguments],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_plain_clients_get_right_answers_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        up.await_line(r"^up +ready\.")
        # Two blocks of taste; each user lacks one item of their own block.
        likes = {f"c{number}": [*CATS[:number], *CATS[number + 1 :]] for number in range(4)}
        likes |= {f"d{number}": [*DOGS[:number], *DOGS[number + 1 :]] for number in range(4)}
        publish(up, likes)
        wait_until(
            lambda: all(likes_of(up, user) == set(items) for user, items in likes.items()),
            "the likes to be in Redis",
        )
        up.await_line(r"^server .*model loaded", start=0)
        up.await_line(r"^consumer .*model loaded", start=0)
        wait_until(
            lambda: (
                json.loads(likewise(up, tmp_path, "status", "--json"))["redis"]["model"]["users"]
                == len(likes)
            ),
            "a model of all users",
        )
        wait_until(
            lambda: (
                [item["item_id"] for item in ask(up, {"user_id": "c1", "count": 1})["items"]]
                == ["cat 1"]
            ),
            "the cat that c1 does not have yet",
        )

        started = descendants(up.process.pid)
        assert len(started) >= 6, "two servers and four services"
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(30) == 0
        assert alive(started) == []
        assert list((tmp_path / "likewise").iterdir()) == [], "the private directory is gone"


def test_the_ready_line_names_the_page_and_so_does_the_status(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        assert up.await_line(r"^up +ready\. Open (\S+)$")[1] == up.page
        page = httpx.get(up.page)
        assert page.status_code == 200
        assert "<html" in page.text
        assert httpx.put(f"{up.page}/v1/users/ann/likes/dune").status_code == 200
        wait_until(lambda: likes_of(up, "ann") == {"dune"}, "the like, in Redis")
        assert json.loads(likewise(up, tmp_path, "status", "--json"))["gateway"] == up.page
        assert up.page in likewise(up, tmp_path, "status")


def test_without_a_gateway_there_is_no_page(tmp_path: Path) -> None:
    with running_up(tmp_path, "--no-gateway") as up:
        up.await_line(r"^up +ready\. In another terminal:")
        with pytest.raises(httpx.ConnectError):
            httpx.get(up.page)
        assert json.loads(likewise(up, tmp_path, "status", "--json"))["gateway"] is None


def test_the_demo_has_films_and_recommendations_and_is_loaded_once(tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    with running_up(tmp_path, "--demo", "--data", kept) as up:
        up.await_line(r"^up +demo: loading 9,066 films and 51,568 likes of 671 people")
        up.await_line(r"^up +ready\. Open")
        (film,) = json.loads(likewise(up, tmp_path, "items", "show", "50", "--json"))
        assert (film["title"], film["labels"]["year"]) == ("The Usual Suspects", 1995)
        assert film["categories"] == ["Crime", "Mystery", "Thriller"]
        asked = f"{up.page}/v1/users/15/recommendations"
        answer = httpx.get(asked, params={"count": 50, "fields": "title"}).json()
        assert len(answer["items"]) == 50
        assert all(item["fields"]["title"] for item in answer["items"])
        assert likewise(up, tmp_path, "users", "--for", "50"), "models hold user ids"
        for ranker in ("spectral", "cooccurrence", "neighbours"):
            wait_until(
                lambda: httpx.get(asked, params={"ranker": ranker}).status_code == 200,  # noqa: B023
                f"the alternative {ranker}",
            )
        unliked = next(iter(likes_of(up, "15")))
        httpx.delete(f"{up.page}/v1/users/15/likes/{unliked}")
        wait_until(lambda: unliked not in likes_of(up, "15"), "the unlike, in Redis")
    with running_up(tmp_path, "--demo", "--data", kept) as up:
        up.await_line(r"^up +demo: the films and their likes are there already")
        up.await_line(r"^up +ready\. Open")
        assert unliked not in likes_of(up, "15"), "what was taken back stays away"
        (kept_film,) = json.loads(likewise(up, tmp_path, "items", "show", "50", "--json"))
        assert kept_film == film


def test_everything_dies_with_up_even_when_it_is_killed(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        up.await_line(r"^up +ready\.")
        started = descendants(up.process.pid)
        assert len(started) >= 5
        up.process.kill()
        up.process.wait()
        wait_until(lambda: not alive(started), lambda: f"{alive(started)} to end", timeout_s=15)
    (left,) = (tmp_path / "likewise").iterdir()
    with running_up(tmp_path) as up:
        up.await_line("models in")
        assert not left.exists(), "the next run removes what the killed one could not"


def test_a_service_that_dies_is_started_again(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        up.await_line(r"^up +ready\.")
        said = len(up.lines)
        (consumer,) = [
            pid for pid in descendants(up.process.pid) if alive([pid])[0].endswith("consume ")
        ]
        os.kill(consumer, signal.SIGKILL)
        up.await_line(r"^consumer +ended by signal 9; restarting", start=said)
        publish(up, {"u": ["i"]})
        wait_until(
            lambda: likes_of(up, "u") == {"i"}, "the like, by the new consumer", START_TIMEOUT_S
        )


def test_kept_data_is_there_again_and_hides_no_new_event(tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    with running_up(tmp_path, "--data", kept) as up:
        up.await_line("starting the services")
        publish(up, {"u": [f"old {number}" for number in range(50)]})
        wait_until(
            lambda: len(likes_of(up, "u")) == 50, "the likes of the first run", START_TIMEOUT_S
        )
    with running_up(tmp_path, "--data", kept) as up:
        # Before a consumer can look: by then the log is longer than what was applied before.
        up.await_line("starting the services")
        publish(up, {"u": [f"new {number}" for number in range(60)]})
        wait_until(lambda: len(likes_of(up, "u")) == 110, "the likes of both runs", START_TIMEOUT_S)


def test_settings_that_no_service_can_run_with_end_it_with_their_exit_code(tmp_path: Path) -> None:
    (tmp_path / "likewise.toml").write_text('[serving]\nreply_topic_pattern = "("\n')
    with running_up(tmp_path) as up:
        assert up.process.wait(START_TIMEOUT_S) == 2
        up.await_line(r"reply_topic_pattern")


def test_folders_in_the_current_directory_are_not_imported(tmp_path: Path) -> None:
    for package in ("likewise", "consumers", "indexer", "serving", "gateway", "redis"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('imported')")
    with running_up(tmp_path) as up:
        up.await_line(r"^up +ready\.")
        assert not any("imported" in line for line in up.lines)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with running_up(tmp_path) as first:
        first.await_line(r"on 127.0.0.1:")
        with running_up(tmp_path, "--port-kafka", str(first.kafka_port)) as second:
            assert second.process.wait(START_TIMEOUT_S) == 1
            second.await_line(rf"another process listens on 127.0.0.1:{first.kafka_port}")


def test_an_embedded_server_that_dies_ends_everything(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        up.await_line(r"^up +ready\.")
        (broker,) = [pid for pid in descendants(up.process.pid) if "tansu" in alive([pid])[0]]
        started = descendants(up.process.pid)
        os.kill(broker, signal.SIGKILL)
        assert up.process.wait(60) == 1
        up.await_line(r"The embedded broker has ended; its log is")
        wait_until(lambda: not alive(started), lambda: f"{alive(started)} to end", timeout_s=15)


def test_without_java_up_with_apache_kafka_ends_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with running_up(tmp_path, "--kafka", "apache") as up:
        assert up.process.wait(START_TIMEOUT_S) == 3
        up.await_line(r"needs Java 17 or newer.*apt-get install openjdk")
