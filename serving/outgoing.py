"""Replies on their way out: what is said, to whom, and because of which record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from likewise.messages.dead_letters import DeadLetter
from likewise.messages.replies import ErrorBody, ErrorReply
from serving.incoming import record_id_of

if TYPE_CHECKING:
    from likewise.messages.replies import Recommendations
    from likewise.messages.requests import ReplyRoute
    from likewise.records import Record, TopicPartition
    from serving.incoming import InvalidRequest, OpenRequest


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply; `is_substitute` marks an error that stands in for a reply nobody could send."""

    record: Record
    route: ReplyRoute
    body: Recommendations | ErrorReply
    is_substitute: bool = False

    @property
    def outcome(self) -> str:
        """How the request ended, in one word: `model`, `popular` or the error's code."""
        return self.body.error.code if isinstance(self.body, ErrorReply) else self.body.source

    @property
    def key(self) -> bytes | None:
        """The record key: the user id, where the request names a user."""
        return None if self.body.user_id is None else self.body.user_id.encode()

    def substitute(self, error: ErrorBody) -> Reply:
        """Return the error that is sent in place of this reply."""
        body = ErrorReply(error=error, user_id=self.body.user_id, request_id=self.route.request_id)
        return replace(self, body=body, is_substitute=True)

    def without_partition(self, error: ErrorBody) -> Reply:
        """Return the error that is sent to the topic, wherever in it, in place of this reply."""
        instead = self.substitute(error)
        return replace(instead, route=structs.replace(self.route, partition=None))


def record_id_of_outgoing(one: Reply | DeadLetter) -> tuple[TopicPartition, int]:
    """Return where the request stands."""
    return (one.source, one.offset) if isinstance(one, DeadLetter) else record_id_of(one.record)


def error_reply(asked: OpenRequest, error: ErrorBody) -> Reply:
    """Return the reply to a request that was understood and can't be answered."""
    body = ErrorReply(error=error, user_id=asked.request.user_id, request_id=asked.route.request_id)
    return Reply(asked.record, asked.route, body)


def refusal(refused: InvalidRequest) -> Reply | DeadLetter:
    """Return the error reply to a request that was not understood.

    Where it names no reply topic, its record becomes a dead letter instead.
    """
    if refused.route is None:
        return DeadLetter.of(refused.record, refused.reason)
    error = ErrorBody(refused.reason.code, refused.reason.message)
    body = ErrorReply(error=error, request_id=refused.route.request_id)
    return Reply(refused.record, refused.route, body)
