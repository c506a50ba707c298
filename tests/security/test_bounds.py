"""What one poll holds is bounded by bytes, however many records a batch may have."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

from likewise.log.kafka import KafkaBroker
from likewise.log.kafka.connection import MAX_RECORD_BYTES
from likewise.log.topics import TopicSpec
from tests.security.secured_kafka import ADMIN

if TYPE_CHECKING:
    from tests.security.secured_kafka import SecuredKafka

PARTITIONS = 2
RECORD_BYTES = 900_000
RECORDS = 30


def test_a_poll_of_large_records_stays_within_a_few_megabytes_a_partition(
    kafka: SecuredKafka, prefix: str
) -> None:
    topic = f"{prefix}large"
    sizes: list[int] = []
    with closing(KafkaBroker(kafka.settings(ADMIN))) as broker:
        broker.ensure_topics([TopicSpec(topic, PARTITIONS, {})])
        value = os.urandom(RECORD_BYTES)
        with closing(broker.sink()) as sink:
            for number in range(RECORDS):
                sink.send(topic, value, partition=number % PARTITIONS)
            sink.flush(60.0)
        with closing(broker.source(prefix, [topic], max_records=100_000)) as source:
            deadline_s = time.monotonic() + 60.0
            while sum(sizes) < RECORDS * RECORD_BYTES:
                assert time.monotonic() < deadline_s
                sizes.append(sum(len(record.value or b"") for record in source.poll(200)))
    assert sum(sizes) == RECORDS * RECORD_BYTES
    # A batch that begins within the limit is given whole.
    assert max(sizes) <= PARTITIONS * (MAX_RECORD_BYTES + RECORD_BYTES)
