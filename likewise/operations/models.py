"""The model versions: which there are, which is current, and making another one current."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from likewise.errors import InvalidInputError, ModelFileError, SettingsError
from likewise.messages.announcements import TOPIC_KEY, encode_announcement, valid_announcement
from likewise.messages.experiments import decode_stored_experiment
from likewise.models.canaries import is_running, read_canary, versions_of
from likewise.models.files import read_manifest, read_model
from likewise.models.place import version_names
from likewise.models.versions import list_versions, proved_versions
from likewise.operations.canaries import CanaryRow, canary_row

if TYPE_CHECKING:
    from likewise.log.port import Sink
    from likewise.log.topics import Topics
    from likewise.messages.announcements import Announcement
    from likewise.models.manifest import Manifest
    from likewise.models.place import Place
    from likewise.store.port import LikeStore

_SEND_TIMEOUT_S = 10.0


class ModelRow(msgspec.Struct, frozen=True):
    """One model version."""

    version: str
    current: bool
    """Whether it is the current version; false for all if Redis cannot be reached."""
    snapshot_at_ms: int
    """When the snapshot of the likes began that the model was built from (ms since the epoch)."""
    ranker: str
    users: int
    items: int
    likes: int
    bytes: int
    sound: bool | None
    """Whether its files match the manifest; None if that was not checked."""
    canary: CanaryRow | None = None
    """How it was tried on a share of the users; None if it was not."""


def model_rows(
    place: Place,
    current: str | None,
    *,
    store: LikeStore | None = None,
    verify: bool = False,
) -> list[ModelRow]:
    """Return a row for each version whose manifest can be read, newest first.

    With a store, a canary that runs has its estimate so far. With `verify`, also computes the checksum of
    every file.

    Raises:
        TransientError: a canary runs, and Redis cannot be reached.
    """
    manifests = list_versions(place)
    return [_row(place, manifest, current, store, verify) for manifest in manifests]


def current_version(store: LikeStore) -> str | None:
    """Return the version that is announced; None if there is none that can be read.

    Raises:
        TransientError: Redis cannot be reached.
    """
    announced = valid_announcement(store.model_announcement())
    return None if announced is None else announced.version


def versions_in_use(store: LikeStore) -> set[str]:
    """Return the versions that must not be removed: the announced one, and those that running experiments name.

    Raises:
        TransientError: Redis cannot be reached.
    """
    current = current_version(store)
    in_use = set() if current is None else {current}
    with suppress(SettingsError):  # without a right to read experiments, there are none
        for raw in store.experiments().values():
            in_use |= _versions_named(raw)
    return in_use


def _versions_named(raw: bytes) -> set[str]:
    """Return the versions that a stored experiment names if it runs and can be read."""
    try:
        experiment = decode_stored_experiment(raw)
    except InvalidInputError:
        return set()
    return versions_of(experiment) if is_running(experiment) else set()


def find_version(name: str, place: Place, store: LikeStore) -> str:
    """Return the version on disk with this name, or that `current` or `previous` refers to.

    `current` is the version announced in Redis, `previous` the newest older one of `proved_versions`.

    Raises:
        ModelFileError: there is none; the message lists the versions on disk.
        TransientError: Redis can't be reached.
    """
    versions = [manifest.version for manifest in list_versions(place)]
    known = f"{place} has {', '.join(versions) if versions else 'no models'}"
    if name not in ("current", "previous"):
        if name not in versions:
            raise ModelFileError(f"there is no model {name[:64]!r}: {known}")
        return name
    current = current_version(store)
    if current is None:
        raise ModelFileError(f"no model is current yet: {known}")
    if name == "current":
        if current not in versions:
            raise ModelFileError(f"the current model {current} is not on this disk: {known}")
        return current
    older = [one.version for one in proved_versions(place) if one.version < current]
    if not older:
        raise ModelFileError(f"no model is older than the current one, {current}: {known}")
    return older[0]


def use_version(
    place: Place, store: LikeStore, sink: Sink, topics: Topics, version: str
) -> Announcement:
    """Make a version on disk the current one, once it is verified; return its announcement.

    It stays current until the next build is announced. To keep it longer, stop the indexer: the next
    build uses the likes at that time, regardless of the current model.

    Raises:
        ModelFileError: the version is missing, incomplete, corrupt, of a newer format, or does not
            rank; nothing was announced.
        TransientError: Redis or Kafka cannot be reached.
    """
    announcement = read_manifest(place, version).announcement()
    _check_there(place, version)
    read_model(place, version)
    announce(store, sink, topics, announcement)
    return announcement


def announce(store: LikeStore, sink: Sink, topics: Topics, announcement: Announcement) -> None:
    """Make this version the current one. Its files must be durable; blocks until confirmed.

    Redis comes first, because servers read it; the topic follows. Calling it again is safe.

    Raises:
        TransientError: Redis or Kafka cannot be reached.
        UndeliverableError: there is no models topic.
    """
    encoded = encode_announcement(announcement)
    store.announce_model(encoded)
    sink.send(topics.models, encoded, key=TOPIC_KEY).result(_SEND_TIMEOUT_S)


def is_sound(place: Place, version: str) -> bool:
    """Whether the version can be used: its files are there and match the manifest. Reads all of them.

    Raises:
        ModelStoreError: the model store cannot be used.
    """
    try:
        _check_there(place, version)
        read_model(place, version)
    except ModelFileError:
        return False
    return True


def _check_there(place: Place, version: str) -> None:
    """Refuse a version that only the cache of this host still has: others could not load it."""
    if version not in version_names(place):
        raise ModelFileError(f"model {version[:64]} is not in {place}")


def _row(
    place: Place,
    manifest: Manifest,
    current: str | None,
    store: LikeStore | None,
    verify: bool,
) -> ModelRow:
    tried = read_canary(place, manifest.version)
    return ModelRow(
        version=manifest.version,
        current=manifest.version == current,
        snapshot_at_ms=manifest.snapshot_at_ms,
        ranker=manifest.recipe.ranker,
        users=manifest.users,
        items=manifest.items,
        likes=manifest.likes,
        bytes=sum(file.bytes for file in manifest.files.values()),
        sound=is_sound(place, manifest.version) if verify else None,
        canary=None if tried is None else canary_row(tried, store),
    )
