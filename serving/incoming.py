"""Reading a record of the request topic: a request that was understood, or why it was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.messages import requests
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from likewise.messages.requests import ReplyRoute, Request
    from likewise.records import Record

    Requester = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request that was understood, with all that it takes to answer it now or later."""

    record: Record
    request: Request
    route: ReplyRoute
    received_at_ms: int

    @property
    def record_id(self) -> tuple[TopicPartition, int]:
        """Where its record stands: partition and offset, like no other request's."""
        return record_id_of(self.record)

    @property
    def requester(self) -> Requester:
        """Who asks, as far as that can be told: where the replies go."""
        return self.route.topic, self.route.partition

    @property
    def deadline_at_ms(self) -> int | None:
        """When the answer is of no use any more, counted from when the request was made."""
        if self.request.deadline_ms is None:
            return None
        made_at_ms = self.record.timestamp
        # Records may come without a time of their own (-1).
        return (made_at_ms if made_at_ms > 0 else self.received_at_ms) + self.request.deadline_ms


@dataclass(frozen=True, slots=True)
class InvalidRequest:
    """A record that breaks the wire contract, and where to say so, if it names a place."""

    record: Record
    reason: InvalidInputError
    route: ReplyRoute | None


def read_request(
    record: Record, *, default_reply_topic: str, received_at_ms: int
) -> OpenRequest | InvalidRequest:
    """Return what the record asks; never raises.

    A good request that names no reply topic is answered on the default one. A bad one is not:
    nobody may be listening for it there.
    """
    try:
        request = requests.read_request(record)
    except InvalidInputError as reason:
        if reason.code == "invalid_reply_partition":  # who names a partition listens
            return InvalidRequest(record, reason, requests.reply_route(record, default_reply_topic))
        return InvalidRequest(record, reason, requests.reply_route(record))
    route = requests.reply_route(record, default_topic=default_reply_topic)
    return OpenRequest(record, request, route, received_at_ms)


def record_id_of(record: Record) -> tuple[TopicPartition, int]:
    """Return the partition and offset of a record."""
    return TopicPartition(record.topic, record.partition), record.offset
