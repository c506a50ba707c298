"""Announces a model: to servers through Redis, to all others on the compacted topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.errors import ModelFileError
from likewise.messages.announcements import TOPIC_KEY, encode_announcement, valid_announcement
from likewise.models.files import read_manifest, read_model
from likewise.models.versions import newest_sound_version, remove_old_versions

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.log.port import Sink
    from likewise.log.topics import Topics
    from likewise.messages.announcements import Announcement
    from likewise.models.manifest import Manifest
    from likewise.store.port import LikeStore

SEND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Publisher:
    """Sets and reads which version in `directory` is the current one.

    Every method raises `TransientError` when Redis or Kafka cannot be reached; calling it again
    is safe.
    """

    directory: Path
    store: LikeStore
    sink: Sink
    topics: Topics

    def announce(self, announcement: Announcement) -> None:
        """Make this version the current one. Its files must be durable; blocks until confirmed.

        Redis comes first, because servers read it; the topic follows.

        Raises:
            UndeliverableError: there is no models topic.
        """
        encoded = encode_announcement(announcement)
        self.store.announce_model(encoded)
        self.sink.send(self.topics.models, encoded, key=TOPIC_KEY).result(SEND_TIMEOUT_S)

    def announce_unless_overtaken(self, announcement: Announcement) -> bool:
        """Announce the model unless one of a later snapshot is current; return whether it did."""
        current = self.announced()
        if current is not None and current.snapshot_at_ms > announcement.snapshot_at_ms:
            return False
        self.announce(announcement)
        return True

    def announced(self) -> Announcement | None:
        """Return the current announcement, or None where there is none that can be read."""
        return valid_announcement(self.store.model_announcement())

    def restore(self) -> Manifest | None:
        """Announce the newest valid version if the announced one is not on disk; return it if so.

        Redis may have lost the announcement, or the disk the version.
        """
        current = self.announced()
        if current is not None and _is_sound(self.directory, current.version):
            return None
        newest = newest_sound_version(self.directory)
        if newest is not None:
            self.announce(newest.announcement())
        return newest

    def prune(self, keep: int) -> list[str]:
        """Remove all versions but the newest `keep` and the announced one; return those removed."""
        current = self.announced()
        version = None if current is None else current.version
        return remove_old_versions(self.directory, keep=keep, current=version)


def use_version(
    directory: Path, store: LikeStore, sink: Sink, topics: Topics, version: str
) -> Announcement:
    """Make a version on disk the current one, once it is verified; return its announcement.

    It stays current until the next build is announced. To keep it longer, stop the indexer: the next
    build uses the likes at that time, regardless of the current model.

    Raises:
        ModelFileError: the version is missing, incomplete, corrupt, of a newer format, or does not
            rank; nothing was announced.
        TransientError: Redis or Kafka cannot be reached.
    """
    read_model(directory, version)
    announcement = read_manifest(directory, version).announcement()
    Publisher(directory, store, sink, topics).announce(announcement)
    return announcement


def _is_sound(directory: Path, version: str) -> bool:
    try:
        read_model(directory, version)
    except ModelFileError:
        return False
    return True
