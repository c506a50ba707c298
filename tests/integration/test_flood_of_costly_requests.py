"""One requester's costly requests do not delay the requests of others that come behind them."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

from likewise.log.topics import TopicSpec
from likewise.messages.ids import ItemId
from likewise.messages.reply_routes import CORRELATION_HEADER
from likewise.messages.request_decoding import decode_request
from likewise.records import TopicPartition
from serving.cost import COSTLY, cost_of
from tests.requesting import requester, serving, settings_for
from tests.serving_rig import likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.log.port import Broker

VERSION = "20260101T000000.000Z"
BLOCKS = 200
MOST_LIKED, MOST_ITEMS = 10_000, 1_000
FLOOD, HONEST = 16, 100
# As many as may be ranked before the honest requests behind them are read.
HEAD_START = FLOOD // 2


def test_costly_requests_in_front_do_not_delay_the_others(
    bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    write_block_model(settings.model.directory, VERSION, blocks=BLOCKS)
    liked = [one for block in range(BLOCKS) for one in likes_but_one(block)]
    liked += [ItemId(f"unknown{number}") for number in range(MOST_LIKED - len(liked))]
    costly = {"liked": liked, "count": MOST_ITEMS, "explain": True}
    assert cost_of(decode_request(json.dumps(costly).encode())) > COSTLY
    with requester(settings) as app:
        # Two requesters whose replies share a partition, where their order shows.
        replies = TopicPartition(f"{prefix}one.replies", 0)
        app.broker.ensure_topics([TopicSpec(replies.topic, 1, {})])
        flood = app.ask_many(costly, FLOOD, topic=replies.topic, reply_partition=0)
        honest = app.ask_many({"liked": likes_but_one(1), "count": 1}, HONEST, topic=replies.topic)
        with serving(settings) as stats:
            answered = correlations(app.broker, replies, FLOOD + HONEST)
    assert sorted(answered) == sorted([*flood, *honest])
    assert stats.replies == {"model": FLOOD + HONEST}
    last_honest = max(answered.index(one) for one in honest)
    assert sum(one in flood for one in answered[:last_honest]) <= HEAD_START


def correlations(broker: Broker, replies: TopicPartition, count: int) -> list[bytes]:
    """Return the correlation ids of the first `count` replies, in the order in which they were sent."""
    found: list[bytes] = []

    def all_have_come() -> bool:
        found.extend(dict(record.headers)[CORRELATION_HEADER] for record in reader.poll(20))
        return len(found) >= count

    with closing(broker.reader({replies: 0})) as reader:
        wait_until(all_have_come, "a reply to each")
    return found
