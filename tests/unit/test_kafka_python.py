"""What we replace in kafka-python is still there, and still needs it.

A test that fails after an upgrade names a patch to adapt or to remove.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import kafka
import pytest
from kafka import errors as kafka_errors
from kafka.consumer.fetcher import Fetcher
from kafka.coordinator.base import BaseCoordinator
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.future import Future
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.api_key import ApiKey
from kafka.record.memory_records import MemoryRecords

from likewise.log.kafka.connection import Connection
from likewise.log.kafka.sending import KafkaDelivery
from likewise.settings import KafkaSettings
from tests.raw_batches import Sent, batch, with_header_name

if TYPE_CHECKING:
    from collections.abc import Callable

PARTITION = kafka.TopicPartition("likes", 0)


def parameters(function: Callable[..., Any]) -> list[str]:
    return [*inspect.signature(function).parameters]


def test_the_version_is_one_that_this_was_tested_with() -> None:
    assert kafka.__version__.startswith("3.0.")


# likewise.log.kafka.guarded_records and fetching


def test_the_parts_that_decode_are_as_we_replace_them() -> None:
    records = Fetcher.PartitionRecords
    assert parameters(records)[:3] == ["fetch_offset", "tp", "records"]
    assert parameters(records._unpack_records)[:3] == ["self", "tp", "records"]
    assert parameters(records._consume_aborted_transactions_up_to) == ["self", "offset"]
    assert parameters(Fetcher._append)[1:] == ["drained", "part", "max_records", "update_offsets"]
    assert parameters(Fetcher._parse_fetched_data) == ["self", "completed_fetch"]


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(batch([Sent(b"like")])[:-1] + b"\xee", id="checksum"),
        pytest.param(with_header_name(Sent(b"like"), b"\xff\xfe"), id="header name"),
    ],
)
def test_a_batch_that_kafka_python_cannot_decode_still_makes_poll_loop(damaged: bytes) -> None:
    fetched = MemoryRecords(damaged + batch([Sent(b"next")], base_offset=1))
    records = Fetcher.PartitionRecords(0, PARTITION, fetched)
    with pytest.raises((kafka_errors.CorruptRecordError, UnicodeDecodeError)):
        records.take()
    assert records.take() == []
    assert records, "it is still true, so the fetcher asks it again, without end"


# likewise.log.kafka.rebalancing


def test_an_assignment_that_arrives_between_two_polls_is_still_dropped() -> None:
    """The task of a finished join has the assignment; kafka-python starts another join."""
    joins: list[object] = []

    async def wait_for(_task: object, _timeout_ms: float | None) -> bytes:
        raise kafka_errors.KafkaTimeoutError

    async def ready(**_options: Any) -> bool:
        return True

    coordinator = object.__new__(ConsumerCoordinator)
    vars(coordinator).update(
        config={"api_version": (4, 0)},
        rejoin_needed=True,
        rejoining=True,
        ensure_coordinator_ready_async=ready,
        need_rejoin=lambda: True,
        _join_task=SimpleNamespace(is_done=True, value=b"assignment"),
        _manager=SimpleNamespace(call_soon=joins.append, wait_for=wait_for),
    )
    with pytest.raises(StopIteration):
        coordinator.join_group_async(0).send(None)
    assert joins == [coordinator._do_join_and_sync_async]


def test_the_parts_that_join_a_group_are_as_we_wrap_them() -> None:
    assert parameters(BaseCoordinator._do_join_and_sync_async) == ["self"]
    assert parameters(BaseCoordinator._process_join_group_response)[1:] == ["response", "send_time"]
    assert parameters(BaseCoordinator.reset_generation) == ["self", "member_id"]


# likewise.log.kafka.leader_epochs, tansu, sending and preflight


def test_no_admin_client_asks_for_leader_epochs_yet() -> None:
    admin = kafka.KafkaAdminClient
    assert parameters(admin._async_get_leader_for_partitions) == ["self", "partitions"]
    assert not [name for name in dir(admin) if "epoch" in name and not name.startswith("_")]


def test_the_supported_requests_of_a_new_broker_still_cannot_be_listed() -> None:
    unknown = max(ApiKey) + 1
    supported = SimpleNamespace(broker_version_data=SimpleNamespace(api_versions={unknown: (0, 0)}))
    with pytest.raises(ValueError, match=str(unknown)):
        kafka.KafkaAdminClient.api_versions(SimpleNamespace(_manager=supported))


def test_a_producer_still_refuses_a_partition_that_is_newer_than_its_metadata() -> None:
    metadata = SimpleNamespace(topics=lambda: {"t"}, partitions_for_topic=lambda _topic: {0})
    producer = SimpleNamespace(_metadata=metadata)
    with pytest.raises(ValueError, match="Unrecognized partition"):
        kafka.KafkaProducer._partition(producer, "t", 1, None, None, None, None)


@pytest.mark.parametrize("name", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_credentials_exchange_is_as_the_preflight_check_uses_it(name: str) -> None:
    mechanism = get_sasl_mechanism(name)
    assert all(callable(getattr(mechanism, part)) for part in ("auth_bytes", "is_done", "receive"))


def test_a_delivery_calls_back_once_when_its_record_fails() -> None:
    sent = Future()
    calls: list[str] = []
    KafkaDelivery(sent, "likes", Connection(KafkaSettings(), "test")).add_done_callback(
        lambda: calls.append("failed")
    )
    assert calls == []
    sent.failure(kafka_errors.KafkaTimeoutError("too late"))
    assert calls == ["failed"]
