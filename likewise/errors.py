"""One error tree, with a branch for each way in which a caller handles an error.

=========================  =====================================================
branch                     the caller
=========================  =====================================================
`InvalidInputError`        dead-letters the record, or answers with the error
`TransientError`           retries with backoff; nothing was lost
`ModelStoreError`          keeps the model it has, and retries with backoff
`PositionMovedError`       reads the log again from the position Redis names
`ForeignDataError`         exits with the message
`ModelFileError`           keeps the model it has
`SettingsError`            exits with the message
`MissingExtraError`        exits with the message
`ReplyError`               handles the code the server answered with
`ReplyTimeoutError`        retries, or continues without recommendations
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
    """A server could not be reached, was busy or refused temporarily; the same call may succeed later.

    `server` is "kafka", "redis" or "other": the server at fault.
    """

    server: Literal["kafka", "redis", "other"] = "other"

    def of(self, server: Literal["kafka", "redis"]) -> Self:
        """Return this error, with the server at fault."""
        self.server = server
        return self


class ModelStoreError(TransientError):
    """The model store (`model.store`) could not be reached, or refused."""


class UndeliverableError(LikewiseError):
    """The broker will never accept this record (too large, no such topic)."""


class PositionMovedError(LikewiseError):
    """Redis has another position than the caller expected; nothing was applied.

    `stored` maps each partition in doubt to the position in Redis: ahead if another consumer now owns
    the partition, behind (or None) if Redis has lost its last writes.
    """

    def __init__(self, stored: Mapping[TopicPartition, int | None]) -> None:
        super().__init__(
            "applied positions moved: "
            + ", ".join(f"{tp.topic}/{tp.partition} is at {at}" for tp, at in stored.items())
        )
        self.stored = dict(stored)


class AttributionMovedError(LikewiseError):
    """What is counted of a user was changed since the caller looked; nothing was applied."""


class HomesMovedError(LikewiseError):
    """A user was marked as scattered since the caller looked; nothing was applied."""


class ForeignDataError(LikewiseError):
    """A Redis key has a value that likewise never writes; the message names the key."""


class ModelFileError(LikewiseError):
    """A model on disk is missing, incomplete, corrupt or of another format."""


class SettingsError(LikewiseError):
    """A setting is not usable; the message names the setting, its value and the fix."""


class MissingExtraError(LikewiseError):
    """A dependency of the part of likewise in use is not installed."""


class ReplyError(LikewiseError):
    """The server answered a request with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ReplyTimeoutError(LikewiseError, TimeoutError):
    """No reply arrived within the caller's timeout."""
