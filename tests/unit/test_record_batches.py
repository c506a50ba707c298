"""Decoding batches: sound ones as kafka-python does, damaged ones as far as possible."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel
from kafka.record.memory_records import MemoryRecords

from likewise.log.kafka.decompression import TooLargeError, decompress
from likewise.log.kafka.guarded_records import GuardedRecords
from likewise.records import Unreadable
from tests.raw_batches import CODECS, Sent, batch, marker, with_checksum, with_header_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.records import Record

PARTITION = kafka.TopicPartition("likes", 3)

texts = st.none() | st.binary(max_size=200)
sent = st.builds(
    Sent,
    value=texts,
    key=texts.filter(lambda key: key != b""),
    headers=st.lists(st.tuples(st.text(max_size=10), texts), max_size=3).map(tuple),
    timestamp=st.integers(0, 1 << 45),
)


@dataclass
class Log:
    """A partition on a broker, and a fetcher that reads it."""

    fetched: bytes
    at: int = 0
    aborted: Sequence[Any] = ()
    end: int = -1
    damage: dict[Any, Any] = field(default_factory=dict)

    def fetch(self) -> list[Record]:
        """Return the records of one fetch from the current offset, taken in small pieces."""
        part = GuardedRecords(
            {PARTITION: self.end},
            self.damage,
            self.at,
            PARTITION,
            MemoryRecords(self.fetched),
            isolation_level=IsolationLevel.READ_COMMITTED,
            aborted_transactions=self.aborted,
        )
        records: list[Record] = []
        while part:
            records += part.take(7)
        self.at = part.next_fetch_offset
        return records


def contents(records: Sequence[Record]) -> list[tuple[object, ...]]:
    return [
        (r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
        for r in records
        if not isinstance(r, Unreadable)
    ]


def unreadable(records: Sequence[Record]) -> list[tuple[int, int, str]]:
    return [(r.offset, r.last_offset, r.code) for r in records if isinstance(r, Unreadable)]


def numbered(count: int, start: int = 0) -> list[Sent]:
    return [Sent(b"%d" % number) for number in range(start, start + count)]


@given(st.lists(st.lists(sent, min_size=1, max_size=12), max_size=3), st.sampled_from([*CODECS]))
def test_sound_batches_decode_as_in_kafka_python(parts: list[list[Sent]], codec: str) -> None:
    fetched, base = b"", 5
    for part in parts:
        fetched += batch(part, CODECS[codec], base_offset=base)
        base += len(part)
    theirs = Fetcher.PartitionRecords(5, PARTITION, MemoryRecords(fetched)).take()
    log = Log(fetched, at=5)
    assert contents(log.fetch()) == contents(theirs)
    assert log.at == base


def test_records_before_the_requested_offset_are_left_out() -> None:
    log = Log(batch(numbered(10), base_offset=20), at=26)
    assert [record.offset for record in log.fetch()] == [26, 27, 28, 29]


def test_a_truncated_batch_comes_with_the_next_fetch() -> None:
    first, second = batch(numbered(3)), batch(numbered(3), base_offset=3)
    log = Log(first + second[:-1])
    assert (len(log.fetch()), log.at) == (3, 3)
    log.fetched = second
    assert (len(log.fetch()), log.at) == (3, 6)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80"])
def test_a_header_name_that_is_not_utf_8_costs_nothing(name: bytes) -> None:
    (record,) = Log(with_header_name(Sent(b"like", b"ann"), name)).fetch()
    assert (record.key, record.value) == (b"ann", b"like")
    ((read, _),) = record.headers
    assert read.encode(), "it can be written again"


def test_a_damaged_record_costs_only_itself() -> None:
    sound = batch([Sent(b"one"), Sent(b"TWO", b"k"), Sent(b"three")], base_offset=4)
    # A length of the value beyond the record's end; the record's own length holds.
    damaged = with_checksum(sound.replace(b"\x06TWO", b"\x7eTWO"))
    log = Log(damaged, at=4)
    records = log.fetch()
    assert [value for *_, value, _ in contents(records)] == [b"one", b"three"]
    assert unreadable(records) == [(5, 5, "undecodable_record")]
    assert b"TWO" in next(r.raw for r in records if isinstance(r, Unreadable))
    assert log.at == 7


@pytest.mark.parametrize(("codec", "number"), [*CODECS.items(), ("unknown", 7)])
def test_an_undecodable_body_becomes_one_unreadable_and_the_log_goes_on(
    codec: str, number: int
) -> None:
    garbled = bytearray(batch(numbered(4, 10), min(number, 4), base_offset=10))
    garbled[22] = garbled[22] & ~0x07 | number
    garbled[61:] = b"\xff" * (len(garbled) - 61)
    log = Log(with_checksum(bytes(garbled)) + batch(numbered(1), base_offset=14), at=10)
    records = log.fetch()
    assert [(first, last) for first, last, _ in unreadable(records)] == [(10, 13)]
    assert [offset for offset, *_ in contents(records)] == [14]


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd", "snappy"])
def test_a_batch_that_would_exhaust_memory_is_not_decompressed(codec: str) -> None:
    bomb = batch([Sent(bytes(65 * 1024 * 1024))], CODECS[codec])
    log = Log(bomb + batch(numbered(1), base_offset=1))
    assert unreadable(log.fetch()) == [(0, 0, "batch_too_large")]
    assert log.at == 2


def test_decompression_uses_no_more_than_its_limit() -> None:
    assert decompress(CODECS["gzip"], gzip.compress(b"a" * 1_000), 1_000) == b"a" * 1_000
    with pytest.raises(TooLargeError):
        decompress(CODECS["gzip"], gzip.compress(b"a" * 1_001), 1_000)
    # What a snappy block says of itself is not believed, and nothing is reserved for it.
    with pytest.raises(TooLargeError):
        decompress(CODECS["snappy"], b"\xff\xff\xff\xff\x0f" + bytes(10), 1_000)


def test_a_wrong_checksum_is_fetched_again_before_it_counts() -> None:
    sound = batch(numbered(5), base_offset=0)
    damaged = sound[:-1] + b"\xee"
    log = Log(damaged + batch(numbered(2), base_offset=5), end=7)
    assert log.fetch() == []
    assert log.fetch() == []
    assert log.at == 0, "it is fetched again from the same place"
    records = log.fetch()
    assert unreadable(records) == [(0, 4, "undecodable_batch")]
    assert len(contents(records)) == 2
    log = Log(damaged)
    log.fetch()
    log.fetched = sound
    assert len(contents(log.fetch())) == 5, "it was the network"


@pytest.mark.parametrize("base", [1, 3])
def test_a_first_offset_that_reaches_into_the_next_batch_is_damage(base: int) -> None:
    """The checksum does not cover it. No record is seen under the offset of another."""
    moved = bytearray(batch(numbered(4)))
    moved[7] = base
    log = Log(bytes(moved) + batch(numbered(4, 4), base_offset=4), end=8)
    for _ in range(2):
        assert log.fetch() == [], "it is fetched again before it counts"
    records = log.fetch()
    assert unreadable(records) == [(0, 3, "undecodable_batch")]
    assert [(offset, value) for offset, _, _, value, _ in contents(records)] == [
        (4, b"4"),
        (5, b"5"),
        (6, b"6"),
        (7, b"7"),
    ]


def test_a_gap_before_a_batch_is_no_damage() -> None:
    log = Log(batch(numbered(2), base_offset=3) + batch(numbered(1), base_offset=9), end=10)
    assert [record.offset for record in log.fetch()] == [3, 4, 9]


def test_damage_that_changes_is_fetched_again_without_end() -> None:
    sound = batch(numbered(5))
    log = Log(sound)
    for number in range(1, 21):
        log.fetched = sound[:-1] + bytes([number])
        assert log.fetch() == []
    assert log.at == 0


def test_aborted_transactions_and_markers_are_left_out() -> None:
    fetched = (
        batch(numbered(2), base_offset=0, producer=7, transactional=True)
        + batch(numbered(1, 2), base_offset=2, producer=8, transactional=True)
        + marker(base_offset=3, producer=7, commits=False)
        + batch(numbered(1, 4), base_offset=4, producer=7, transactional=True)
        + marker(base_offset=5, producer=8, commits=True)
        + marker(base_offset=6, producer=7, commits=True)
    )
    log = Log(fetched, aborted=[SimpleNamespace(producer_id=7, first_offset=0)])
    assert [record.value for record in log.fetch()] == [b"2", b"4"]
    assert log.at == 7


@given(st.data())
def test_no_damage_stops_a_reader_or_moves_it_back(data: st.DataObject) -> None:
    """Any change to a batch, with a corrected checksum or not: the reader reaches the end."""
    codec = data.draw(st.sampled_from([*CODECS.values()]))
    batches = [batch(numbered(4), codec), batch(numbered(4), codec, base_offset=4)]
    changed = bytearray(batches[0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    first = with_checksum(bytes(changed)) if data.draw(st.booleans()) else bytes(changed)
    log = Log(first + batches[1], end=8)
    seen: list[Record] = []
    for _ in range(30):
        before = log.at
        seen += log.fetch()
        assert log.at >= before
        if log.at >= 8:
            break
        # A broker answers from the batch on that has the offset.
        log.fetched = first + batches[1] if log.at < 4 else batches[1]
    assert log.at >= 8
    offsets = [record.offset for record in seen]
    assert offsets == sorted(set(offsets))


@given(st.binary(max_size=300))
def test_random_bytes_do_not_stop_a_reader(fetched: bytes) -> None:
    log = Log(fetched)
    for _ in range(4):
        log.fetch()
    assert not fetched or log.at > 0
