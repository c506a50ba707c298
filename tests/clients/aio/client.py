"""What every client here does, with aiokafka; see ../README.md."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
REPLIES = "recommendation-replies"
TIMEOUT_S = 30.0


async def main(servers: str, name: str) -> None:
    for number, codec in enumerate(CODECS):
        async with producer(servers, codec) as compressing:
            await publish(compressing, name, {"user_id": name, "item_id": f"cat {number}"})
        say(did="like", codec=codec)
    async with producer(servers, "none") as plain:
        await publish(plain, name, {"user_id": name, "item_id": "dog 0"})
        unlike = {"action": "unlike", "user_id": name, "item_id": "dog 0"}
        position = await publish(plain, name, unlike)
        say(did="unlike")
        forgotten = f"{name}-forgotten"
        await publish(plain, forgotten, {"user_id": forgotten, "item_id": "cat 0"})
        await publish(plain, forgotten, {"action": "forget_user", "user_id": forgotten})
        say(did="forget")
    await transact(servers, name)
    await ask(servers, name, position)


def producer(servers: str, codec: str, **config: Any) -> AIOKafkaProducer:
    compression = None if codec == "none" else codec
    return AIOKafkaProducer(bootstrap_servers=servers, compression_type=compression, **config)


async def publish(producer: AIOKafkaProducer, user: str, event: dict[str, str]) -> str:
    """Send an event and return its position, as partition:offset."""
    record = await producer.send_and_wait("likes", json.dumps(event).encode(), key=user.encode())
    return f"{record.partition}:{record.offset}"


async def transact(servers: str, name: str) -> None:
    async with producer(servers, "gzip", transactional_id=f"{name}-likes") as transactional:
        for ending in ("kept", "aborted"):
            user = f"{name}-{ending}"
            await transactional.begin_transaction()
            await publish(transactional, user, {"user_id": user, "item_id": "cat 0"})
            if ending == "kept":
                await transactional.commit_transaction()
            else:
                await transactional.abort_transaction()
            say(did=ending)


async def ask(servers: str, name: str, position: str) -> None:
    async with AIOKafkaConsumer(
        REPLIES, bootstrap_servers=servers, auto_offset_reset="earliest"
    ) as consumer:
        for codec in CODECS:
            wanted = uuid.uuid4().bytes
            request = {"user_id": name, "count": 40, "after": position}
            async with producer(servers, codec) as asking:
                await asking.send_and_wait(
                    "recommendation-requests",
                    json.dumps(request).encode(),
                    key=name.encode(),
                    headers=[
                        ("kafka_correlationId", wanted),
                        ("kafka_replyTopic", REPLIES.encode()),
                    ],
                )
            say(did="ask", codec=codec, reply=await reply_to(consumer, wanted))


async def reply_to(consumer: AIOKafkaConsumer, wanted: bytes) -> Any:
    while True:
        record = await asyncio.wait_for(consumer.getone(), TIMEOUT_S)
        if dict(record.headers).get("kafka_correlationId") == wanted:
            return json.loads(record.value)


def say(**done: Any) -> None:
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
