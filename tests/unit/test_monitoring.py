"""What a service tells over HTTP."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from consumers.measures import METRICS as CONSUMER
from consumers.prequential.stats import Outcome, QualityStats
from consumers.stats import ConsumerStats
from indexer.measures import METRICS as INDEXER
from indexer.worker import IndexerStats
from likewise.embedded import free_port
from likewise.errors import SettingsError
from likewise.messages.announcements import Announcement
from likewise.service.monitoring import http
from likewise.service.monitoring.endpoint import monitoring
from likewise.service.monitoring.heartbeat import Heartbeat
from likewise.settings import MonitoringSettings
from serving.measures import METRICS as SERVER
from serving.stats import ServingStats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.service.monitoring.measures import ServiceMetrics, StatsT


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def served(metrics: ServiceMetrics[StatsT], stats: StatsT) -> Iterator[str]:
    settings = MonitoringSettings(port=free_port())
    with monitoring(settings, metrics, stats, longest_silence_s=60) as port:
        yield f"http://127.0.0.1:{port}"


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_service_is_alive_while_its_loop_turns() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock)
    with served(CONSUMER, ConsumerStats(heartbeat=heartbeat)) as url:
        heartbeat.beat(ready=True)
        assert get(f"{url}/healthz") == (200, "ok\n")
        clock.now_s = 61
        status, sentence = get(f"{url}/healthz")
        assert status == 503
        assert "has not turned for 61 s" in sentence
        heartbeat.beat(ready=False)
        assert get(f"{url}/healthz")[0] == 200


def test_a_service_that_waits_for_its_servers_to_start_is_alive_but_not_ready() -> None:
    clock = Clock()
    with served(SERVER, ServingStats(heartbeat=Heartbeat(clock))) as url:
        clock.now_s = 3_600
        assert get(f"{url}/healthz") == (200, "ok\n")
        assert get(f"{url}/readyz") == (503, "the server is not ready\n")


def test_a_service_is_ready_only_when_its_worker_says_so() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock)
    with served(CONSUMER, ConsumerStats(heartbeat=heartbeat)) as url:
        assert get(f"{url}/readyz")[0] == 503
        heartbeat.beat(ready=True)
        assert get(f"{url}/readyz") == (200, "ready\n")
        clock.now_s = 61
        assert get(f"{url}/readyz")[0] == 503, "who has fallen silent is not ready"
        heartbeat.beat(ready=False)
        assert get(f"{url}/readyz")[0] == 503


def test_the_metrics_of_a_consumer_follow_its_stats() -> None:
    stats = ConsumerStats()
    with served(CONSUMER, stats) as url:
        assert "likewise_consumer_events_applied_total 0.0" in get(f"{url}/metrics")[1]
        stats.events_applied = 7
        stats.heartbeat.beat(ready=True)
        lines = get(f"{url}/metrics")[1].splitlines()
    assert "likewise_consumer_events_applied_total 7.0" in lines
    assert "likewise_consumer_ready 1.0" in lines
    assert any(line.startswith("process_cpu_seconds_total ") for line in lines)


def test_a_consumer_tells_its_quality_only_where_it_is_measured() -> None:
    stats = ConsumerStats()
    with served(CONSUMER, stats) as url:
        assert "quality" not in get(f"{url}/metrics")[1]
        stats.quality = QualityStats()
        lines = get(f"{url}/metrics")[1].splitlines()
        assert "likewise_consumer_quality_measuring 0.0" in lines
        assert not any(line.startswith("likewise_consumer_quality_hit_rate ") for line in lines)
        stats.quality.model_version = "v"
        stats.quality.count([Outcome("hit", popular=False), Outcome("miss", popular=False)])
        stats.quality.dropped["overload"] += 3
        stats.quality.discarded["retired_item"] += 1
        lines = get(f"{url}/metrics")[1].splitlines()
    assert "likewise_consumer_quality_measuring 1.0" in lines
    assert "likewise_consumer_quality_hit_rate 0.5" in lines
    assert "likewise_consumer_quality_popular_hit_rate 0.0" in lines
    assert "likewise_consumer_quality_window 2.0" in lines
    assert 'likewise_consumer_quality_questions_total{outcome="miss"} 1.0' in lines
    assert "likewise_consumer_quality_popular_hits_total 0.0" in lines
    assert 'likewise_consumer_quality_dropped_total{reason="overload"} 3.0' in lines
    assert 'likewise_consumer_quality_dropped_total{reason="retired_item"} 1.0' in lines


def test_lag_failures_and_batches_of_a_consumer_are_told() -> None:
    stats = ConsumerStats()
    with served(CONSUMER, stats) as url:
        stats.lag = {"0": 5, "3": 0}
        stats.server_errors["redis"] += 2
        stats.on_batch(300)
        stats.on_delay_s(0.2)
        lines = get(f"{url}/metrics")[1].splitlines()
    assert 'likewise_consumer_lag{partition="0"} 5.0' in lines
    assert 'likewise_consumer_lag{partition="3"} 0.0' in lines
    assert 'likewise_consumer_server_errors_total{server="redis"} 2.0' in lines
    assert "likewise_consumer_batch_records_sum 300.0" in lines
    assert 'likewise_consumer_delay_seconds_bucket{le="0.1"} 0.0' in lines
    assert 'likewise_consumer_delay_seconds_bucket{le="0.25"} 1.0' in lines


def test_the_metrics_of_an_indexer_follow_its_stats() -> None:
    stats = IndexerStats()
    with served(INDEXER, stats) as url:
        assert "likewise_indexer_model_users" not in get(f"{url}/metrics")[1]
        stats.leads = True
        stats.seconds = {"svd": 1.5}
        stats.current = Announcement(
            version="v", snapshot_at_ms=1, users=2, items=3, likes=4, ranker="blend"
        )
        lines = get(f"{url}/metrics")[1].splitlines()
    assert "likewise_indexer_leads 1.0" in lines
    assert 'likewise_indexer_build_seconds{step="svd"} 1.5' in lines
    assert "likewise_indexer_model_users 2.0" in lines
    assert "likewise_indexer_model_likes 4.0" in lines


def test_the_metrics_of_a_server_follow_its_stats() -> None:
    stats = ServingStats()
    with served(SERVER, stats) as url:
        stats.replies.update(["model", "model", "unknown_item"])
        stats.waiting = 3
        stats.model_snapshot_at_ms = 1_500
        stats.on_latency_s(0.03)
        lines = get(f"{url}/metrics")[1].splitlines()
    assert 'likewise_server_replies_total{outcome="model"} 2.0' in lines
    assert 'likewise_server_replies_total{outcome="unknown_item"} 1.0' in lines
    assert "likewise_server_waiting 3.0" in lines
    assert "likewise_server_model_snapshot_timestamp_seconds 1.5" in lines
    assert 'likewise_server_latency_seconds_bucket{le="0.02"} 0.0' in lines
    assert 'likewise_server_latency_seconds_bucket{le="0.05"} 1.0' in lines


def test_other_pages_are_not_found_and_the_answer_names_those_there_are() -> None:
    with served(CONSUMER, ConsumerStats()) as url:
        status, sentence = get(f"{url}/")
    assert status == 404
    assert "/healthz" in sentence


def test_port_0_listens_nowhere() -> None:
    with monitoring(MonitoringSettings(port=0), CONSUMER, ConsumerStats()) as port:
        assert port == 0


def test_a_taken_port_is_an_error_of_the_settings() -> None:
    with served(CONSUMER, ConsumerStats()) as url:
        settings = MonitoringSettings(port=int(url.rpartition(":")[2]))
        with (
            pytest.raises(SettingsError, match="LIKEWISE_MONITORING_PORT"),
            monitoring(settings, SERVER, ServingStats()),
        ):
            pass


def test_the_port_is_free_again_afterwards() -> None:
    with served(CONSUMER, ConsumerStats()) as url:
        port = int(url.rpartition(":")[2])
    with monitoring(MonitoringSettings(port=port), SERVER, ServingStats()) as again:
        assert again == port


def exchange(port: int, sent: bytes) -> bytes:
    """Return all that the server says to these bytes before it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_thousand_clients_that_do_not_finish_their_request_keep_nobody_else_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "_EXCHANGE_S", 60.0)  # longer than `get` waits
    with served(CONSUMER, ConsumerStats()) as url, ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        for number in range(1_000):
            idle = socket.create_connection(("127.0.0.1", port), timeout=10)
            stack.enter_context(closing(idle))
            if number % 2:
                idle.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
            if number % 100 == 99:
                assert get(f"{url}/healthz")[0] == 200
        assert {thread.name for thread in threading.enumerate()} >= {"monitoring"}
        assert threading.active_count() < 20


def test_a_client_that_sends_a_byte_now_and_then_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def trickle() -> None:
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            slow.send(b"G")
            with suppress(TimeoutError):
                slow.recv(1)

    monkeypatch.setattr(http, "_EXCHANGE_S", 0.1)
    with (
        served(CONSUMER, ConsumerStats()) as url,
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 0.01) as slow,
        pytest.raises(ConnectionError),
    ):
        trickle()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 200),
        (b"HEAD /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /healthz?verbose HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"POST /healthz HTTP/1.1\r\n\r\n", 405),
        (b"\x16\x03\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000, 431),
    ],
)
def test_what_is_sent_gets_the_status_that_fits(sent: bytes, status: int) -> None:
    with served(CONSUMER, ConsumerStats()) as url:
        said = exchange(int(url.rpartition(":")[2]), sent)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (body == b"") == sent.startswith(b"HEAD")


def test_a_page_that_fails_says_so() -> None:
    def broken() -> float:
        raise RuntimeError("no clock")

    heartbeat = Heartbeat(Clock())
    heartbeat.beat(ready=True)
    heartbeat._clock_s = broken
    with served(CONSUMER, ConsumerStats(heartbeat=heartbeat)) as url:
        assert get(f"{url}/healthz") == (500, "this page failed\n")
