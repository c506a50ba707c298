"""The API keys in force: that of the settings, and those of the file, which is followed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.security.key_file import is_readable_by_all, read_keys
from gateway.security.keys import MIN_KEY_LENGTH, ApiKey, KeyRing, stored_key
from likewise.errors import SettingsError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from likewise.settings.gateway import GatewaySettings

CHECK_INTERVAL_S = 1.0
_NAME_IN_SETTINGS = "gateway.api_key"


class KeySource:
    """Finds keys. A change of the file counts within a second, without a restart.

    While the file is missing or broken, its earlier keys remain valid, and the log reports it.
    """

    def __init__(
        self,
        fixed: tuple[ApiKey, ...],
        file: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file.

        Raises:
            SettingsError: the file is not usable, or there is no key at all.
        """
        self._fixed = fixed
        self._file = file
        self._clock = clock
        self._seen = _state_of(file)
        self._check_at_s = clock() + CHECK_INTERVAL_S
        self._ring = self._read()
        if not self._ring:
            raise SettingsError(
                f"gateway.keys_file: {file} has no key; create one with `likewise keys create`"
            )

    @classmethod
    def of(cls, settings: GatewaySettings) -> KeySource | None:
        """Return the keys that the settings name; None if they name none.

        Raises:
            SettingsError: see the constructor; or the key in the settings is too short.
        """
        if settings.api_key is None and settings.keys_file is None:
            return None
        fixed: tuple[ApiKey, ...] = ()
        if settings.api_key is not None:
            key = settings.api_key.reveal()
            if len(key) < MIN_KEY_LENGTH:
                raise SettingsError(
                    f"gateway.api_key: a key has at least {MIN_KEY_LENGTH} characters, so that nobody "
                    "can guess it; `openssl rand -hex 32` prints one"
                )
            fixed = (stored_key(key, name=_NAME_IN_SETTINGS, roles=("admin",)),)
        return cls(fixed, settings.keys_file)

    def find(self, presented: bytes) -> ApiKey | None:
        """Return the key with this text, expired or not; None if there is none."""
        if self._file is not None and self._clock() >= self._check_at_s:
            self._follow()
        return self._ring.find(presented)

    def _follow(self) -> None:
        self._check_at_s = self._clock() + CHECK_INTERVAL_S
        state = _state_of(self._file)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._ring = self._read()
        except SettingsError as error:
            get_logger().error("keys not read; the earlier ones remain valid", reason=str(error))
        else:
            get_logger().info("keys read", keys=len(self._ring))

    def _read(self) -> KeyRing:
        if self._file is None:
            return KeyRing(self._fixed)
        keys = read_keys(self._file)
        if is_readable_by_all(self._file):
            get_logger().warning("every user can read the file of keys", file=str(self._file))
        return KeyRing((*self._fixed, *keys))


def _state_of(file: Path | None) -> tuple[int, int, int] | None:
    """Return what differs once a file has been changed or replaced; None if it is missing."""
    try:
        status = file.stat() if file else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None
