"""Users whom the operator leaves out of the models: a file of ids, read again when it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from likewise.errors import SettingsError
from likewise.operations.files.errors import LikeFileError
from likewise.operations.files.user_lists import read_user_list
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.snapshot import Snapshot
    from likewise.messages.ids import UserId


class Exclusion:
    """Leaves the users of a file out of snapshots; without a file, nobody. Their likes stay in the store."""

    def __init__(self, path: Path | None) -> None:
        """Read the file.

        Raises:
            SettingsError: it cannot be read.
        """
        self._path = path
        self._users: frozenset[UserId] = frozenset()
        self._read_at: tuple[int, int] | None = None
        if path is not None:
            try:
                self._read(path)
            except (LikeFileError, OSError) as error:
                raise SettingsError(f"indexer.excluded_users_file: {error}") from error

    def applied_to(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot without the excluded users.

        If the file has become unreadable, those that it had before are left out, and the error is logged.
        """
        if self._path is None:
            return snapshot
        try:
            self._read(self._path)
        except (LikeFileError, OSError) as error:
            get_logger().error(
                "the excluded users cannot be read; those of before are left out",
                reason=str(error),
                users=len(self._users),
            )
        rest, present = snapshot.interactions.without(self._users)
        if present:
            get_logger().info("users are left out of the model", users=present)
        return replace(snapshot, interactions=rest, excluded=present)

    def _read(self, path: Path) -> None:
        status = path.stat()
        version = status.st_mtime_ns, status.st_size
        if version != self._read_at:
            self._users, self._read_at = read_user_list(path), version
