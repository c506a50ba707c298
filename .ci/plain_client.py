"""A service that knows nothing of likewise but its wire contract: plain kafka-python and JSON.

    plain_client.py BOOTSTRAP_SERVERS NAME

Publishes the likes of two groups of users with nothing in common, then asks what to recommend to one
of them until the answer comes from that group; exits 1 if it does not within a minute. NAME keeps the
ids of several runs apart.
"""

import json
import sys
import time
import uuid

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

TIMEOUT_S = 60.0
REPLY_TOPIC = "recommendation-replies"
GROUP_SIZE = 12


def main(bootstrap_servers: str, name: str) -> int:
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers)
    replies = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    partitions = [TopicPartition(REPLY_TOPIC, p) for p in replies.partitions_for_topic(REPLY_TOPIC)]
    replies.assign(partitions)
    replies.seek_to_end()
    for partition in partitions:
        replies.position(partition)

    publish_likes(producer, name)
    user, theirs = f"{name}-a0", {f"{name}-i0"}  # the one item of its group that a0 does not like
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        reply = ask(producer, replies, {"user_id": user, "count": 1})
        recommended = {item["item_id"] for item in reply.get("items", [])}
        if reply.get("source") == "model" and recommended == theirs:
            print(f"{user} is recommended {recommended}: {reply}")
            return 0
        time.sleep(0.5)
    print(f"{user} should be recommended {theirs}; the last reply was {reply}", file=sys.stderr)
    return 1


def publish_likes(producer: KafkaProducer, name: str) -> None:
    """User n of group a likes all items i0, i1... but i(n); group b does the same with j0, j1..."""
    for users, items in (("a", "i"), ("b", "j")):
        for n in range(GROUP_SIZE):
            for m in range(GROUP_SIZE):
                if n != m:
                    like = {"user_id": f"{name}-{users}{n}", "item_id": f"{name}-{items}{m}"}
                    producer.send("likes", json.dumps(like).encode(), key=like["user_id"].encode())
    producer.flush()


def ask(producer: KafkaProducer, replies: KafkaConsumer, request: dict) -> dict:
    """Send one request and return its reply, told from others' by the correlation id."""
    correlation_id = uuid.uuid4().bytes
    headers = [
        ("kafka_correlationId", correlation_id),
        ("kafka_replyTopic", REPLY_TOPIC.encode()),
    ]
    producer.send("recommendation-requests", json.dumps(request).encode(), headers=headers).get(10)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for records in replies.poll(timeout_ms=200).values():
            for record in records:
                if dict(record.headers).get("kafka_correlationId") == correlation_id:
                    return json.loads(record.value)
    return {}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
