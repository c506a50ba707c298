"""Several producers write to one partition: a reader and a group member get every record, in order.

Tansu returns batches too late now and then (see likewise/log/kafka/gaps.py), about one in 2,000 here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from confluent_kafka import Producer

from likewise.log.kafka import KafkaBroker
from likewise.log.topics import TopicSpec
from likewise.records import TopicPartition
from tests.services import kafka_settings
from tests.waiting import wait_until

PRODUCERS, RECORDS_EACH = 6, 400


@pytest.mark.timeout(180)
def test_no_record_is_passed_over_while_producers_write_at_once(
    bootstrap_servers: str, prefix: str
) -> None:
    topic = f"{prefix}events"
    with closing(KafkaBroker(kafka_settings(bootstrap_servers, prefix))) as broker:
        broker.ensure_topics([TopicSpec(topic, 1, {})])
        with (
            closing(broker.reader({TopicPartition(topic, 0): 0})) as reader,
            closing(broker.source("group", [topic], max_records=100)) as member,
            ThreadPoolExecutor(PRODUCERS) as producers,
        ):
            for _ in range(PRODUCERS):
                producers.submit(produce, bootstrap_servers, topic)
            read: list[int] = []
            received: list[int] = []

            def all_came() -> bool:
                read.extend(record.offset for record in reader.poll(20))
                received.extend(record.offset for record in member.poll(20))
                return min(len(read), len(received)) >= PRODUCERS * RECORDS_EACH

            wait_until(all_came, "all records", 120.0)
            assert read == received == [*range(PRODUCERS * RECORDS_EACH)]


def produce(bootstrap_servers: str, topic: str) -> None:
    """Publish records one by one, each in a separate batch."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
    for _ in range(RECORDS_EACH):
        producer.produce(topic, b"x", partition=0)
        producer.flush()
