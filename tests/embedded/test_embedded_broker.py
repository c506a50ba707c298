"""Real Kafka clients can use the embedded broker."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer, KafkaProducer

from likewise.embedded import EmbeddedBroker, embedded_broker
from likewise.embedded.ports import HOST, is_free

if TYPE_CHECKING:
    from pathlib import Path


def produce_and_consume(bootstrap_servers: str, value: bytes) -> bytes:
    """Send one record to the topic "likes" and read the first one back."""
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers)
    producer.send("likes", key=b"u1", value=value).get(timeout=10)
    producer.close()
    consumer = KafkaConsumer(
        "likes",
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=10_000,
    )
    try:
        return bytes(next(iter(consumer)).value)
    finally:
        consumer.close()


def test_a_record_makes_the_round_trip(tmp_path: Path) -> None:
    with embedded_broker(tmp_path) as bootstrap_servers:
        assert produce_and_consume(bootstrap_servers, b"liked") == b"liked"


def test_two_brokers_at_once_do_not_share_topics(tmp_path: Path) -> None:
    with embedded_broker(tmp_path / "a") as first, embedded_broker(tmp_path / "b") as second:
        assert produce_and_consume(first, b"first") == b"first"
        assert produce_and_consume(second, b"second") == b"second"


def test_a_restart_keeps_the_port_and_forgets_the_records(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        before = broker.bootstrap_servers
        assert produce_and_consume(before, b"before") == b"before"
        broker.restart()
        assert broker.bootstrap_servers == before
        assert produce_and_consume(before, b"after") == b"after"


def test_it_runs_in_its_own_session_so_that_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        assert broker.pid is not None
        assert os.getsid(broker.pid) == broker.pid


def test_an_error_inside_the_block_still_stops_the_broker(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    with pytest.raises(KeyError), broker:
        raise KeyError
    assert not broker.running
    assert is_free(broker.port)


def test_the_stop_signal_ends_it_although_clients_are_connected(tmp_path: Path) -> None:
    with (
        EmbeddedBroker(tmp_path) as broker,
        socket.create_connection((HOST, broker.port)) as client,
    ):
        assert broker.pid is not None
        os.kill(broker.pid, broker.stop_signal)
        client.settimeout(4)  # on SIGTERM it would be 5 s
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_settings_of_tansu_in_the_environment_do_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_ENGINE", "postgres://nowhere")
    monkeypatch.setenv("SCHEMA_REGISTRY", "not a URL")
    with EmbeddedBroker(tmp_path) as broker:
        assert broker.running


def test_it_describes_itself(tmp_path: Path) -> None:
    description = EmbeddedBroker(tmp_path).description
    assert description.startswith("Tansu 0.")
    assert description.endswith("(in memory)")
