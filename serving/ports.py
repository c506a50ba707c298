"""What a server is connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from likewise.log.port import Sink, Source
    from likewise.models.holder import ModelHolder
    from likewise.service.stall_detector import StallDetector
    from serving.lost_requests import LostRequests
    from serving.reply_topics import ReplyTopics
    from serving.store_view import StoreView


class Ports(NamedTuple):
    """What a worker is connected to. It closes none of it."""

    source: Source
    sink: Sink
    store_view: StoreView
    models: ModelHolder
    executor: Executor
    """Where batches are ranked; it has as many threads as the settings say."""
    reply_topics: ReplyTopics
    lost_requests: LostRequests
    stall_detector: StallDetector
