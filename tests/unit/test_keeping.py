"""The operator is warned of a store that evicts and of a log that expires before data is lost."""

from __future__ import annotations

import pytest

from consumers.preflight import warn_of_retention, what_is_lost
from likewise.errors import SettingsError, TransientError
from likewise.log.topics import Topics, TopicSpec
from likewise.service.store_watch import LOOK_EVERY_S, StoreKeeping, StoreWatch
from likewise.store.port import Eviction
from likewise.testing import MemoryBroker, MemoryStore


class Clock:
    """A clock that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watch(store: MemoryStore) -> tuple[StoreWatch, Clock]:
    clock = Clock()
    return StoreWatch(store, StoreKeeping(), clock), clock


@pytest.mark.parametrize(
    ("evicting", "named"),
    [
        (Eviction("allkeys-lru", 0), "allkeys-lru"),
        (Eviction("volatile-lru", 0), "volatile-lru"),
        (Eviction("noeviction", 7), "Redis has evicted keys"),
    ],
)
def test_a_store_that_evicts_is_unsound_until_it_stops_and_is_logged_once(
    evicting: Eviction, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = MemoryStore()
    looking, clock = watch(store)
    assert looking.look()
    store.evicting = evicting
    assert looking.look(), "not asked again at once"
    for _ in range(3):
        clock.now_s += LOOK_EVERY_S
        assert not looking.look()
    assert looking.keeping.evicted_keys == evicting.evicted_keys
    said = capsys.readouterr()
    assert (said.out + said.err).count(named) == 1
    store.evicting = Eviction("noeviction", 0)
    clock.now_s += LOOK_EVERY_S
    assert looking.look()


def test_a_store_that_refuses_info_is_trusted_and_the_missing_right_is_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = MemoryStore()
    looking, clock = watch(store)
    store.failure = SettingsError("no permissions")
    assert looking.look()
    said = capsys.readouterr()
    assert "allow INFO" in said.out + said.err
    store.failure, store.evicting = TransientError("away"), Eviction("allkeys-lru", 0)
    clock.now_s += LOOK_EVERY_S
    assert looking.look()
    store.failure = None
    assert not looking.look(), "asked again as soon as it answers"


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({}, []),
        ({"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}, []),
        ({"retention.ms": "604800000"}, ["168 hours"]),
        ({"retention.bytes": "1000"}, ["1000 bytes"]),
        ({"cleanup.policy": "compact", "retention.ms": "604800000"}, ["compacted"]),
        ({"cleanup.policy": "compact,delete", "retention.ms": "3600000"}, ["compacted", "1 hours"]),
    ],
)
def test_what_a_topic_will_lose_is_read_off_its_configuration(
    config: dict[str, str], named: list[str]
) -> None:
    sentences = what_is_lost(config)
    assert len(sentences) == len(named)
    assert all(word in sentence for word, sentence in zip(named, sentences, strict=True))


def test_a_topic_with_retention_is_warned_of_and_one_that_we_create_keeps_everything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker = MemoryBroker()
    broker.ensure_topics([TopicSpec("old.likes", 1, {"retention.ms": "604800000"})])
    broker.ensure_topics(Topics().specs(1))
    warn_of_retention(broker, "likes")
    assert capsys.readouterr() == ("", "")
    warn_of_retention(broker, "old.likes")
    said = capsys.readouterr()
    assert "retention.ms=-1" in said.out + said.err


def test_a_topic_of_the_catalogue_has_to_be_compacted_or_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker = MemoryBroker()
    broker.ensure_topics([TopicSpec("auto.items", 1, {"retention.ms": "604800000"})])
    broker.ensure_topics(Topics().specs(1))
    warn_of_retention(broker, "items", compacted=True)
    warn_of_retention(broker, "there is none", compacted=True)
    assert capsys.readouterr() == ("", "")
    warn_of_retention(broker, "auto.items", compacted=True)
    said = capsys.readouterr()
    assert "cleanup.policy=compact" in said.out + said.err
