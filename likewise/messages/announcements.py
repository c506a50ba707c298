"""The announcement of the current model, in Redis and on the models topic."""

from __future__ import annotations

import msgspec

from likewise.errors import ModelFileError

TOPIC_KEY = b"current"
"""The key of every announcement, so that compaction of the topic keeps only the last one."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """The model version that servers should use, and its size."""

    version: str
    snapshot_at_ms: int
    """When the model's snapshot began, in ms since the epoch."""
    users: int
    items: int
    likes: int
    ranker: str


_decoder = msgspec.json.Decoder(Announcement)


def encode_announcement(announcement: Announcement) -> bytes:
    """Return the JSON form."""
    return msgspec.json.encode(announcement)


def decode_announcement(raw: bytes) -> Announcement:
    """Parse the JSON form; unknown fields are ignored.

    Raises:
        ModelFileError: it is not an announcement.
    """
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFileError(f"the model announcement can't be read: {error}") from error


def valid_announcement(raw: bytes | None) -> Announcement | None:
    """Return the announcement, or None if there is none that can be read."""
    try:
        return None if raw is None else decode_announcement(raw)
    except ModelFileError:
        return None
