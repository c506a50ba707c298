"""`python -m benchmarks.constant_worker`: the floor of serving, a reply without a question.

It polls, sends, waits for the broker and commits as the server does, with the same client and
batches of the same size; but it reads no body, no store and no model.
"""

from __future__ import annotations

from contextlib import closing

from likewise.log.kafka import KafkaBroker
from likewise.log.topics import Topics
from likewise.messages.ids import ItemId
from likewise.messages.replies import ModelStamp, Recommendations, RecommendedItem, encode_reply
from likewise.messages.reply_routes import CORRELATION_HEADER
from likewise.records import TopicPartition
from likewise.service.signals import stop_on_signals
from likewise.settings.loader import load_settings

_CONFIRMATION_S = 30.0


def main() -> None:
    """Reply until Ctrl-C or SIGTERM."""
    settings = load_settings()
    topics = Topics(settings.kafka.topic_prefix)
    reply = _constant_reply()
    with (
        stop_on_signals() as stop,
        closing(KafkaBroker(settings.kafka, client_id="constant")) as broker,
        closing(broker.sink()) as sink,
        closing(
            broker.source("constant", [topics.requests], max_records=settings.serving.max_batch)
        ) as source,
    ):
        while not stop.is_set():
            records = source.poll(settings.serving.poll_timeout_ms)
            deliveries = [
                sink.send(
                    topics.replies,
                    reply,
                    key=record.key,
                    headers=[one for one in record.headers if one[0] == CORRELATION_HEADER],
                    partition=0,
                )
                for record in records
            ]
            for delivery in deliveries:
                delivery.result(_CONFIRMATION_S)
            if records:
                source.commit(
                    {TopicPartition(one.topic, one.partition): one.offset + 1 for one in records}
                )


def _constant_reply() -> bytes:
    """Return a reply of the size that real ones have: ten items with scores."""
    items = tuple(RecommendedItem(ItemId(f"i{number:07d}"), 0.123456789) for number in range(10))
    stamp = ModelStamp("20260101T000000.000Z", 12.345)
    return encode_reply(Recommendations(items=items, source="model", model=stamp))


if __name__ == "__main__":
    main()
