"""One error tree, branching by what the caller does about it.

=========================  =====================================================
branch                     the caller
=========================  =====================================================
`InvalidInputError`        dead-letters the record, or answers with the error
`TransientError`           tries again with backoff; nothing was lost
`PositionMovedError`       reads the log again from the position Redis names
`ForeignDataError`         exits with the sentence
`ModelFileError`           keeps the model it has
`SettingsError`            exits with the sentence
`MissingExtraError`        exits with the sentence
`ReplyError`               handles the code the server answered with
`ReplyTimeoutError`        tries again, or goes on without recommendations
=========================  =====================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from likewise.records import TopicPartition


class LikewiseError(Exception):
    """Root of every error that likewise raises on purpose."""


class InvalidInputError(LikewiseError):
    """A message breaks the wire contract; it will fail in the same way forever."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class TransientError(LikewiseError):
    """A server was out of reach, busy or refused for now; the same call may succeed later.

    `server` is "kafka", "redis" or "other": what to look at, where an alert says so.
    """

    server: Literal["kafka", "redis", "other"] = "other"

    def of(self, server: Literal["kafka", "redis"]) -> Self:
        """Return this very error, with the server at fault noted."""
        self.server = server
        return self


class UndeliverableError(LikewiseError):
    """The broker will never take this record as it is (too large, no such topic)."""


class PositionMovedError(LikewiseError):
    """Redis holds another log position than the caller believed; nothing was applied.

    `stored` maps each partition in doubt to the position Redis holds: ahead when another
    consumer has taken over the partition, behind (or None) when Redis lost its last writes.
    """

    def __init__(self, stored: Mapping[TopicPartition, int | None]) -> None:
        super().__init__(
            "applied positions moved: "
            + ", ".join(f"{tp.topic}/{tp.partition} is at {at}" for tp, at in stored.items())
        )
        self.stored = dict(stored)


class HomesMovedError(LikewiseError):
    """A user was marked as scattered since the caller looked; nothing was applied."""


class ForeignDataError(LikewiseError):
    """A Redis key of ours holds what likewise never writes; the sentence names the key."""


class ModelFileError(LikewiseError):
    """A model on disk is missing, incomplete, corrupt or of another format."""


class SettingsError(LikewiseError):
    """A setting can't be used; the sentence names the setting, its value and the mend."""


class MissingExtraError(LikewiseError):
    """A part of likewise was used whose dependencies are not installed."""


class ReplyError(LikewiseError):
    """The server answered a request with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ReplyTimeoutError(LikewiseError, TimeoutError):
    """No reply came within the time the caller gave."""
