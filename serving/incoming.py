"""From a record of the request topic to an open request, or to the reason why it is invalid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.messages import request_decoding
from likewise.messages.reply_routes import reply_route
from likewise.records import TopicPartition

if TYPE_CHECKING:
    from likewise.messages.reply_routes import ReplyRoute
    from likewise.messages.requests import Request
    from likewise.records import Record
    from serving.participation import Participation

    Requester = tuple[str, int | None]

RecordId = tuple[TopicPartition, int]
"""The partition and offset of a record. No other record has the same."""


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A valid request without a reply, with everything needed to answer it now or later."""

    record: Record
    request: Request
    route: ReplyRoute
    received_at_ms: int
    part: Participation | None = None
    """How it takes part in an experiment."""

    @property
    def record_id(self) -> RecordId:
        """The partition and offset of its record."""
        return record_id_of(self.record)

    @property
    def requester(self) -> Requester:
        """Who asks, as far as the server can tell: where the replies go."""
        return self.route.topic, self.route.partition

    @property
    def deadline_at_ms(self) -> int | None:
        """When the answer becomes useless, counted from when the request was made."""
        if self.request.deadline_ms is None:
            return None
        made_at_ms = self.record.timestamp
        # A record without a timestamp has -1.
        return (made_at_ms if made_at_ms > 0 else self.received_at_ms) + self.request.deadline_ms


@dataclass(frozen=True, slots=True)
class InvalidRequest:
    """A record that breaks the wire contract, and where to reply, if it names a reply topic."""

    record: Record
    reason: InvalidInputError
    route: ReplyRoute | None


def read_request(
    record: Record, *, default_reply_topic: str, received_at_ms: int
) -> OpenRequest | InvalidRequest:
    """Return the request in the record. Never raises.

    The reply to a valid request goes to the default topic if the request names none. The reply to
    an invalid one does not: its sender may not be listening there.
    """
    try:
        request = request_decoding.read_request(record)
    except InvalidInputError as reason:
        if reason.code == "invalid_reply_partition":  # its sender names a partition, so it listens
            return InvalidRequest(record, reason, reply_route(record, default_reply_topic))
        return InvalidRequest(record, reason, reply_route(record))
    route = reply_route(record, default_topic=default_reply_topic)
    return OpenRequest(record, request, route, received_at_ms)


def record_id_of(record: Record) -> RecordId:
    """Return the partition and offset of a record."""
    return TopicPartition(record.topic, record.partition), record.offset
