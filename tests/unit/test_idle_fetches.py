"""How long fetches wait on Tansu, and that kafka-python reads that for each of them."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

from kafka.consumer.fetcher import Fetcher

from likewise.log.kafka.idle_fetches import IDLE_AFTER_S, IDLE_WAIT_MS, IdleFetches


def test_fetches_wait_longer_when_no_record_has_come_for_a_while() -> None:
    now_s = 100.0
    consumer = SimpleNamespace(fetcher=SimpleNamespace(config={"fetch_max_wait_ms": 10}))
    fetches = IdleFetches(10, lambda: now_s)

    def wait_ms(*, found: bool) -> int:
        fetches.note(consumer, found=found)
        return int(consumer.fetcher.config["fetch_max_wait_ms"])

    assert wait_ms(found=False) == 10
    now_s += IDLE_AFTER_S
    assert wait_ms(found=False) == IDLE_WAIT_MS
    assert wait_ms(found=True) == 10
    now_s += IDLE_AFTER_S / 2
    assert wait_ms(found=False) == 10


def test_a_longer_wait_of_the_settings_is_never_shortened() -> None:
    consumer = SimpleNamespace(fetcher=SimpleNamespace(config={}))
    IdleFetches(100, iter([0.0, IDLE_AFTER_S]).__next__).note(consumer, found=False)
    assert consumer.fetcher.config == {"fetch_max_wait_ms": 100}


def test_kafka_python_reads_the_wait_for_each_fetch() -> None:
    assert "self.config['fetch_max_wait_ms']" in inspect.getsource(Fetcher)
