"""Poison: broken events among good ones, broken batches, and a flood of broken events."""

from __future__ import annotations

import json
import random
import urllib.request
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

import consumers.batches
from likewise.embedded import free_port
from likewise.errors import InvalidInputError
from likewise.log.ranges import read_between
from likewise.log.topics import Topics
from likewise.messages.dead_letters import decode_dead_letter
from likewise.messages.event_decoding import decode_event
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId
from likewise.operations.dead_letter_replay import ReplayPosition, read_dead_letters, replay
from likewise.records import UNREADABLE_CODES
from likewise.settings import MonitoringSettings
from tests.broken_batches import broken, send, sound_in_every_codec
from tests.consuming import caught_up, consuming, opened
from tests.faults.deployment import deployed, settings_for
from tests.faults.poison import KINDS, poison
from tests.faults.scene import scene_of
from tests.raw_batches import Sent
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from likewise.log.port import Broker
    from likewise.messages.dead_letters import DeadLetter
    from likewise.messages.events import Event
    from likewise.records import Record
    from tests.faults.audit import Figures
    from tests.faults.conftest import Effort
    from tests.faults.ledger import Ledger


@pytest.mark.timeout(300)
def test_broken_events_become_whole_dead_letters_and_cost_no_good_one(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    with scene_of(settings, tmp_path, effort.seed, poison=poison) as scene:
        ledger = scene.traffic.ledger
        with scene.flowing():
            wait_until(lambda: len(ledger.poison) > 5 * len(KINDS), "every kind of poison", 120.0)
        scene.audit(figures)
        check_dead_letters(dead_letters_in(scene.broker, scene.topics), ledger)
    figures.faults["broken event"] += len(ledger.poison)


@pytest.mark.timeout(300)
def test_batches_that_cannot_be_read_stop_no_service(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    """Damage, compression bombs, every codec and header names, for consumers, servers and clients at once."""
    settings, topics = settings_for(bootstrap_servers, redis_url, prefix, tmp_path), Topics(prefix)
    body = {"user_id": "codec user", "item_id": "item 1", "sent_by": "others"}
    events = [Sent(json.dumps(body).encode(), b"codec user")] * 2
    good, bad = sound_in_every_codec(events), broken(events)
    sent: dict[tuple[str, int], int] = {}
    with scene_of(settings, tmp_path, effort.seed) as scene:
        with scene.flowing():
            for topic in (topics.likes, topics.requests, topics.replies):
                for partition in scene.broker.partitions(topic):
                    place = (bootstrap_servers, topic, partition.partition)
                    assert len(send(*place, good)) == len(good)
                    sent[topic, partition.partition] = len(send(*place, bad))
            scene.wait_for_progress()
        scene.audit(figures)
        letters = dead_letters_in(scene.broker, scene.topics)
    found = Counter(letter.source for letter in letters if letter.code in UNREADABLE_CODES)
    read = {topics.likes, topics.requests}
    assert found == {at: count for at, count in sent.items() if at[0] in read}
    figures.faults["broken batch"] += sum(sent.values())


@pytest.mark.timeout(300)
def test_a_flood_of_broken_events_is_visible_and_does_not_stop_the_good(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    effort: Effort,
    figures: Figures,
) -> None:
    port = free_port()
    settings = msgspec.structs.replace(
        settings_for(bootstrap_servers, redis_url, prefix, tmp_path),
        monitoring=MonitoringSettings(port=port),
    )
    rng, topics = random.Random(effort.seed), Topics(prefix)
    good = Like(UserId("user 1"), ItemId("item 2"))
    with (
        opened(settings) as (broker, store),
        closing(broker.sink(linger_ms=20)) as sink,
        deployed(settings, tmp_path, ["consumers"]),
    ):
        for _ in range(effort.flood):
            key, value = poison(rng)
            sink.send(topics.likes, value, key=key)
        sink.send(topics.likes, b'{"user_id": "user 1", "item_id": "item 2"}', key=b"user 1")
        sink.flush(60.0)
        wait_until(lambda: caught_up(broker, store, topics.likes), "the flood is over", 120.0)
        assert store.likes([good.user_id]) == [{good.item_id}]
        # Random bytes may be a valid event.
        assert dead_letters_counted(port) >= effort.flood - 20
        assert len(dead_letters_in(broker, topics)) == dead_letters_counted(port)
    figures.faults["broken event in a flood"] += effort.flood
    figures.events += 1


@pytest.mark.timeout(300)
def test_dead_letters_can_be_replayed_after_a_fix(
    bootstrap_servers: str,
    redis_url: str,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, topics = settings_for(bootstrap_servers, redis_url, prefix, tmp_path), Topics(prefix)
    adore = b'{"action": "adore", "user_id": "user 1", "item_id": "item 7"}'
    with opened(settings) as (broker, store), closing(broker.sink()) as sink:
        sink.send(topics.likes, adore, key=b"user 1")
        sink.flush(30.0)
        with consuming(settings):
            wait_until(lambda: caught_up(broker, store, topics.likes), "it is a dead letter")
        assert store.likes([UserId("user 1")]) == [set()]
        monkeypatch.setattr(consumers.batches, "decode_event", decode_next_version)
        cursor = ReplayPosition(broker, topics.dead_letters)
        ends = broker.end_offsets(broker.partitions(topics.dead_letters))
        counts = replay(read_dead_letters(broker, cursor.read(), ends), sink, [topics.likes])
        assert (counts.sent, counts.failed) == (1, 0)
        with consuming(settings):
            wait_until(lambda: caught_up(broker, store, topics.likes), "it is applied")
        assert store.likes([UserId("user 1")]) == [{"item 7"}]


def decode_next_version(
    record: Record, *, on_unclear_time: Callable[[object], None] | None = None
) -> Event:
    """Decode as a later version of likewise might: `adore` is a like."""
    try:
        return decode_event(record, on_unclear_time=on_unclear_time)
    except InvalidInputError:
        return Like(UserId("user 1"), ItemId("item 7"))


def dead_letters_in(broker: Broker, topics: Topics) -> list[DeadLetter]:
    """Return every dead letter."""
    partitions = broker.partitions(topics.dead_letters)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    return [
        decode_dead_letter(record)
        for records in read_between(broker, start, end)
        for record in records
    ]


def check_dead_letters(letters: list[DeadLetter], ledger: Ledger) -> None:
    """Fail unless each broken event is a dead letter, exactly as it was sent, with its position."""
    found = {
        (letter.source.partition, letter.offset): (letter.key, letter.value or None)
        for letter in letters
    }
    # An event cut off after its last brace, or random bytes, may be valid.
    missing = {place: sent for place, sent in ledger.poison.items() if place not in found}
    assert not missing, missing
    assert {place: found[place] for place in ledger.poison} == ledger.poison
    assert not found.keys() & ledger.confirmed.keys()


def dead_letters_counted(port: int) -> int:
    """Return the consumer's own metric."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    name = "likewise_consumer_dead_letters_total"
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(name))
