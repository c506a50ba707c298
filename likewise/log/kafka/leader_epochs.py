"""Where the log of a leader epoch ends (KIP-320).

kafka-python 3.0 has no public call for it: its consumers ask for themselves only. This sends the
request through private parts of its admin client.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from kafka import errors as kafka_errors
from kafka.protocol.consumer import OffsetForLeaderEpochRequest

from likewise.log.kafka.reading import native
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping

_Topic = OffsetForLeaderEpochRequest.OffsetForLeaderTopic
_Partition = _Topic.OffsetForLeaderPartition
_CONSUMER = -1


def epoch_ends(admin: Any, epochs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the offset up to which each log is unchanged since its epoch.

    Partitions that the broker does not know are left out; so are all, if it does not support this.

    Raises:
        KafkaError: as kafka-python raises it.
    """

    async def ask() -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = {}
        leaders = await admin._async_get_leader_for_partitions(list(map(native, epochs)))
        for leader, partitions in leaders.items():
            request = _request({p: epochs[p] for p in (TopicPartition(*p) for p in partitions)})
            ends |= _known(await admin._manager.send(request, node_id=leader))
        return ends

    try:
        found: dict[TopicPartition, int] = admin._manager.run(ask)
    except (kafka_errors.IncompatibleBrokerVersion, kafka_errors.UnsupportedVersionError):
        return {}
    return found


def _request(epochs: Mapping[TopicPartition, int]) -> Any:
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for (topic, number), epoch in epochs.items():
        by_topic[topic].append(
            _Partition(partition=number, current_leader_epoch=-1, leader_epoch=epoch)
        )
    topics = [_Topic(topic=topic, partitions=parts) for topic, parts in by_topic.items()]
    return OffsetForLeaderEpochRequest(replica_id=_CONSUMER, topics=topics)


def _known(response: Any) -> dict[TopicPartition, int]:
    return {
        TopicPartition(topic.topic, one.partition): one.end_offset
        for topic in response.topics
        for one in topic.partitions
        if one.error_code == 0 and one.end_offset >= 0
    }
