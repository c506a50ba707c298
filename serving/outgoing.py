"""A reply, where it goes, and the record that it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from likewise.messages.dead_letters import DeadLetter
from likewise.messages.replies import ErrorBody, ErrorReply
from serving.incoming import record_id_of

if TYPE_CHECKING:
    from likewise.messages.exposures import Exposure
    from likewise.messages.replies import Recommendations
    from likewise.messages.reply_routes import ReplyRoute
    from likewise.records import Record
    from serving.incoming import InvalidRequest, OpenRequest, RecordId


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `is_substitute` marks an error sent in place of a reply that cannot be sent.

    Its items are to hold the catalogue's `fields`.
    """

    record: Record
    route: ReplyRoute
    body: Recommendations | ErrorReply
    is_substitute: bool = False
    fields: tuple[str, ...] = ()
    exposure: Exposure | None = None
    """What is written to the topic `exposures` together with the reply."""

    @property
    def outcome(self) -> str:
        """How the request ended: `model`, `popular` or the code of the error."""
        return self.body.error.code if isinstance(self.body, ErrorReply) else self.body.source

    @property
    def key(self) -> bytes | None:
        """The key of the reply's record: the user id, if the request names a user."""
        return None if self.body.user_id is None else self.body.user_id.encode()

    def substitute(self, error: ErrorBody) -> Reply:
        """Return the error to send in place of this reply."""
        body = ErrorReply(error=error, user_id=self.body.user_id, request_id=self.route.request_id)
        return replace(self, body=body, is_substitute=True, exposure=None)

    def without_partition(self, error: ErrorBody) -> Reply:
        """Return the error to send in place of this reply, to any partition of the topic."""
        route = structs.replace(self.route, partition=None)
        return replace(self.substitute(error), route=route)


def record_id_of_outgoing(one: Reply | DeadLetter) -> RecordId:
    """Return the record id of the request that is answered."""
    return (one.source, one.offset) if isinstance(one, DeadLetter) else record_id_of(one.record)


def error_reply(request: OpenRequest, error: ErrorBody) -> Reply:
    """Return the error reply to a valid request."""
    body = ErrorReply(
        error=error, user_id=request.request.user_id, request_id=request.route.request_id
    )
    return Reply(request.record, request.route, body)


def refusal(invalid: InvalidRequest) -> Reply | DeadLetter:
    """Return the error reply to an invalid request, or its dead letter if it names no reply topic."""
    if invalid.route is None:
        return DeadLetter.of(invalid.record, invalid.reason)
    error = ErrorBody(invalid.reason.code, invalid.reason.message)
    body = ErrorReply(error=error, request_id=invalid.route.request_id)
    return Reply(invalid.record, invalid.route, body)
