"""The ledger knows every open request until its reply is confirmed or its partition is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from likewise.records import TopicPartition
from serving.ledger import Ledger

FIRST, SECOND = TopicPartition("requests", 0), TopicPartition("requests", 1)


def ledger_with(*record_ids: tuple[TopicPartition, int]) -> Ledger:
    ledger = Ledger()
    for record_id in record_ids:
        ledger.open(record_id)
    return ledger


def test_a_request_is_open_from_when_it_is_read_until_it_is_closed() -> None:
    ledger = ledger_with((FIRST, 3))
    assert (FIRST, 3) in ledger
    ledger.start([(FIRST, 3)])
    assert (FIRST, 3) in ledger
    ledger.close([(FIRST, 3)])
    assert (FIRST, 3) not in ledger
    assert len(ledger) == 0


def test_the_oldest_open_request_is_found_for_each_partition() -> None:
    ledger = ledger_with((FIRST, 5), (FIRST, 4), (SECOND, 9))
    assert ledger.oldest() == {FIRST: 4, SECOND: 9}
    ledger.close([(SECOND, 9), (FIRST, 4)])
    assert ledger.oldest() == {FIRST: 5}


def test_what_is_queued_of_a_lost_partition_is_forgotten_and_what_is_in_flight_is_not() -> None:
    ledger = ledger_with((FIRST, 1), (SECOND, 2), (SECOND, 3))
    ledger.start([(SECOND, 3)])
    assert ledger.keep_only({FIRST})
    assert [record_id in ledger for record_id in ((FIRST, 1), (SECOND, 2), (SECOND, 3))] == [
        True,
        False,
        True,
    ]
    assert not ledger.keep_only({FIRST}), "there is nothing left to forget"
    ledger.close([(SECOND, 3)])
    assert len(ledger) == 1


RECORD_IDS = st.tuples(st.sampled_from([FIRST, SECOND]), st.integers(0, 20))


@given(st.sets(RECORD_IDS), st.sets(RECORD_IDS))
def test_a_commit_never_passes_an_open_request(
    opened: set[tuple[TopicPartition, int]], closed: set[tuple[TopicPartition, int]]
) -> None:
    ledger = ledger_with(*opened)
    ledger.close(opened & closed)
    still_open = opened - closed
    assert len(ledger) == len(still_open)
    assert {(p, at) for p, offsets in ledger.offsets.items() for at in offsets} == still_open
    for partition, oldest in ledger.oldest().items():
        assert oldest == min(offset for one, offset in still_open if one == partition)
    assert ledger.oldest().keys() == {partition for partition, _ in still_open}
