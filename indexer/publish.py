"""Announces a model: to servers through Redis, to all others on the compacted topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.messages.announcements import valid_announcement
from likewise.messages.experiments import encode_experiment
from likewise.models.versions import newest_sound_version, remove_old_versions
from likewise.operations.models import announce, is_sound, versions_in_use

if TYPE_CHECKING:
    from indexer.cycle import Finished
    from likewise.log.port import Sink
    from likewise.log.topics import Topics
    from likewise.messages.announcements import Announcement
    from likewise.messages.experiments import Experiment
    from likewise.models.manifest import Manifest
    from likewise.models.place import Place
    from likewise.store.port import LikeStore

_SEND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Publisher:
    """Sets and reads which version in `place` is the current one.

    Every method raises `TransientError` when Redis, Kafka or the model store cannot be reached; calling it again
    is safe.
    """

    place: Place
    store: LikeStore
    sink: Sink
    topics: Topics

    def announce(self, announcement: Announcement) -> None:
        """Make this version the current one; see `likewise.operations.models.announce`."""
        announce(self.store, self.sink, self.topics, announcement)

    def publish_experiment(self, experiment: Experiment) -> None:
        """Publish an experiment, as it begins or ends; blocks until it is confirmed.

        Raises:
            UndeliverableError: there is no experiments topic.
        """
        encoded, key = encode_experiment(experiment), experiment.name.encode()
        self.sink.send(self.topics.experiments, encoded, key=key).result(_SEND_TIMEOUT_S)

    def announce_unless_overtaken(self, finished: Finished) -> bool:
        """Announce the model unless one of a later snapshot is current; return whether it did."""
        announcement = finished.manifest.announcement()
        current = self.announced()
        if current is not None and current.snapshot_at_ms > announcement.snapshot_at_ms:
            return False
        self.announce(announcement)
        return True

    def announced(self) -> Announcement | None:
        """Return the current announcement, or None where there is none that can be read."""
        return valid_announcement(self.store.model_announcement())

    def restore(self) -> Manifest | None:
        """Announce the newest valid version if the announced one is not there; return it if so.

        Redis may have lost the announcement, or the disk the version.
        """
        current = self.announced()
        if current is not None and is_sound(self.place, current.version):
            return None
        newest = newest_sound_version(self.place)
        if newest is not None:
            self.announce(newest.announcement())
        return newest

    def prune(self, keep: int) -> list[str]:
        """Remove all versions but the newest `keep` and those in use; return those removed."""
        in_use = versions_in_use(self.store)
        return remove_old_versions(self.place, keep=keep, in_use=in_use)
