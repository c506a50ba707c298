"""The current model: how it is announced, in Redis and on the models topic."""

from __future__ import annotations

import msgspec

from likewise.errors import ModelFileError

TOPIC_KEY = b"current"
"""The key of every announcement on the compacted topic, so that only the last one stays."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """Which model version servers shall use, and what is in it."""

    version: str
    snapshot_at_ms: int
    """When the snapshot that the model was built from began (ms since the epoch)."""
    users: int
    items: int
    likes: int
    ranker: str


_decoder = msgspec.json.Decoder(Announcement)


def encode_announcement(announcement: Announcement) -> bytes:
    """Return the JSON form."""
    return msgspec.json.encode(announcement)


def decode_announcement(raw: bytes) -> Announcement:
    """Read the JSON form; unknown fields are ignored.

    Raises:
        ModelFileError: it is no announcement.
    """
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelFileError(f"the model announcement can't be read: {error}") from error
