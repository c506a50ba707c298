"""What every client here does, with confluent-kafka (librdkafka); see ../README.md."""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaError, Message, Producer, TopicPartition

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
REPLIES = "recommendation-replies"
TIMEOUT_S = 30.0


def main(servers: str, name: str) -> None:
    position = ""
    for number, codec in enumerate(CODECS):
        like = {"user_id": name, "item_id": f"cat {number}"}
        position = publish(producer(servers, codec), name, like)
        say(did="like", codec=codec)
    plain = producer(servers, "none")
    publish(plain, name, {"user_id": name, "item_id": "dog 0"})
    position = publish(plain, name, {"action": "unlike", "user_id": name, "item_id": "dog 0"})
    say(did="unlike")
    forgotten = f"{name}-forgotten"
    publish(plain, forgotten, {"user_id": forgotten, "item_id": "cat 0"})
    publish(plain, forgotten, {"action": "forget_user", "user_id": forgotten})
    say(did="forget")
    transact(servers, name)
    ask(servers, name, position)


def producer(servers: str, codec: str, **config: Any) -> Producer:
    return Producer({"bootstrap.servers": servers, "compression.type": codec, **config})


def publish(producer: Producer, user: str, event: dict[str, str]) -> str:
    """Send an event and return its position, as partition:offset."""
    confirmed: list[tuple[KafkaError | None, Message]] = []
    producer.produce(
        "likes", json.dumps(event), key=user, on_delivery=lambda *said: confirmed.append(said)
    )
    assert producer.flush(TIMEOUT_S) == 0, "not confirmed in time"
    [(error, message)] = confirmed
    assert error is None, error
    return f"{message.partition()}:{message.offset()}"


def transact(servers: str, name: str) -> None:
    transactional = producer(servers, "lz4", **{"transactional.id": f"{name}-likes"})
    transactional.init_transactions(TIMEOUT_S)
    for ending in ("kept", "aborted"):
        transactional.begin_transaction()
        user = f"{name}-{ending}"
        publish(transactional, user, {"user_id": user, "item_id": "cat 0"})
        if ending == "kept":
            transactional.commit_transaction(TIMEOUT_S)
        else:
            transactional.abort_transaction(TIMEOUT_S)
        say(did=ending)


def ask(servers: str, name: str, position: str) -> None:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": f"{name}-{uuid.uuid4()}"})
    partitions = consumer.list_topics(REPLIES, TIMEOUT_S).topics[REPLIES].partitions
    ends = []
    for partition in partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(REPLIES, partition), TIMEOUT_S)
        ends.append(TopicPartition(REPLIES, partition, end if end >= 0 else OFFSET_END))
    consumer.assign(ends)
    for codec in CODECS:
        wanted = uuid.uuid4().bytes
        asking = producer(servers, codec)
        asking.produce(
            "recommendation-requests",
            json.dumps({"user_id": name, "count": 40, "after": position}),
            key=name,
            headers=[("kafka_correlationId", wanted), ("kafka_replyTopic", REPLIES.encode())],
        )
        assert asking.flush(TIMEOUT_S) == 0, "the request was not confirmed in time"
        say(did="ask", codec=codec, reply=reply_to(consumer, wanted))
    consumer.close()


def reply_to(consumer: Consumer, wanted: bytes) -> Any:
    while True:
        message = consumer.poll(TIMEOUT_S)
        assert message is not None, "no reply came"
        assert message.error() is None, message.error()
        if dict(message.headers() or ()).get("kafka_correlationId") == wanted:
            return json.loads(message.value() or b"")


def say(**done: Any) -> None:
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
