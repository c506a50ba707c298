"""Batches as other clients make them, and broken ones, in front of every reader that likewise has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from likewise import Likewise
from likewise.log.topics import Topics
from likewise.messages.ids import UserId
from likewise.operations.dead_letter_replay import read_dead_letters, replay
from likewise.operations.verification import Verifier
from likewise.records import UNREADABLE_CODES, TopicPartition
from tests.answering import answering
from tests.broken_batches import broken, send, sound_in_every_codec
from tests.conftest import IN_CONTAINERS
from tests.consuming import caught_up, consuming, opened, settings_for
from tests.raw_batches import Sent, batch
from tests.waiting import wait_until

if TYPE_CHECKING:
    from likewise.log.kafka import KafkaBroker
    from likewise.operations.dead_letter_replay import Found

# Apache Kafka looks into what it is sent; Tansu takes it as it is.
TAKEN = 2 if IN_CONTAINERS else 8
PARTITION = 1


def likes(*items: str) -> list[Sent]:
    return [
        Sent(json.dumps({"user_id": "ann", "item_id": item}).encode(), b"ann") for item in items
    ]


def dead_letters_in(broker: KafkaBroker, topic: str) -> list[Found]:
    partitions = broker.partitions(topic)
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    return [*read_dead_letters(broker, start, end)]


def test_every_codec_counts_and_what_cannot_be_read_costs_no_other_event(
    bootstrap_servers: str, redis_url: str, prefix: str
) -> None:
    settings, topics = settings_for(bootstrap_servers, redis_url, prefix), Topics(prefix)
    with opened(settings) as (broker, store):
        sound = sound_in_every_codec(likes("dune", "alien"))
        assert len(send(bootstrap_servers, topics.likes, PARTITION, sound)) == 6
        bad = send(bootstrap_servers, topics.likes, PARTITION, broken(likes("x", "y")))
        assert len(bad) == TAKEN
        # No event, though a record; its header comes without a value, which Kafka allows.
        junk = batch([Sent(b"junk", b"ann", (("h", None),))])
        [no_event] = send(bootstrap_servers, topics.likes, 2, {"junk": junk}).values()
        send(bootstrap_servers, topics.likes, PARTITION, {"after": sound["zstd"]})
        send(bootstrap_servers, topics.likes, 0, {"other": sound["snappy"]})
        with consuming(settings) as stats:
            wait_until(lambda: caught_up(broker, store, topics.likes), "all is applied", 20.0)
        assert store.likes([UserId("ann")]) == [{"dune", "alien"}]
        assert stats.events_applied == 15
        found = dead_letters_in(broker, topics.dead_letters)
        letters = [one.letter for one in found if one.letter is not None]
        junked = [letter for letter in letters if letter.code == "not_json"]
        assert [(one.offset, one.value, one.headers) for one in junked] == [
            (no_event, b"junk", (("h", b""),))
        ]
        letters = [letter for letter in letters if letter not in junked]
        assert {letter.offset for letter in letters} == {*bad.values()}
        assert {letter.source for letter in letters} == {TopicPartition(topics.likes, PARTITION)}
        codes = {letter.code for letter in letters}
        assert codes == ({"batch_too_large"} if IN_CONTAINERS else UNREADABLE_CODES)
        assert all(letter.value for letter in letters)
        counts = replay(found, None, [topics.likes])
        assert (counts.sent, counts.without_value) == (1, TAKEN), "their bytes are no event"
        verified = Verifier(broker, store, topics.likes).run(lambda _read, _total: None)
        assert verified.equal
        assert (verified.lag, verified.invalid) == (0, TAKEN + 1)


def test_a_client_has_its_reply_behind_what_it_cannot_read(
    bootstrap_servers: str, redis_url: str, prefix: str
) -> None:
    settings, topics = settings_for(bootstrap_servers, redis_url, prefix), Topics(prefix)
    with (
        opened(settings) as (broker, _),
        answering(broker, topics),
        Likewise(settings=settings.kafka, timeout_s=20.0) as client,
    ):
        client.recommend("ann")
        for partition in broker.partitions(topics.replies):
            bad = broken(likes("x", "y"))
            assert len(send(bootstrap_servers, topics.replies, partition.partition, bad)) == TAKEN
        assert client.recommend("ann").items
