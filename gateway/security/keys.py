"""API keys: random tokens of 256 bits, of which only the SHA-256 is stored."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from gateway.security.principal import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_PREFIX = "lk_"
"""Lets people and secret scanners recognise a key."""
MIN_KEY_LENGTH = 32
"""Of a key that an operator chose. A fast hash protects only what cannot be guessed."""
MAX_KEYS = 1_000
"""Every request is compared with every key."""

KEY_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
KeyName = Annotated[str, Meta(pattern=KEY_NAME.pattern)]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is stored of a key."""

    name: KeyName
    """Who uses it; appears in logs and metrics."""
    roles: Annotated[tuple[Role, ...], Meta(min_length=1)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    """Of the key itself, in hexadecimal."""
    created: Annotated[datetime, Meta(tz=True)]
    expires: Annotated[datetime, Meta(tz=True)] | None = None
    """The key is invalid from this time on."""
    requests_per_s: Annotated[float, Meta(gt=0)] | None = None
    """Overrides `gateway.requests_per_s`."""

    def is_expired(self, now: datetime) -> bool:
        """Whether the key has expired."""
        return self.expires is not None and now >= self.expires

    @property
    def rights(self) -> frozenset[Role]:
        """The roles, and those that `admin` includes."""
        return frozenset({"read", "write", "admin"} if "admin" in self.roles else self.roles)


def new_key() -> str:
    """Return a new random key."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def sha256_of(key: str) -> str:
    """Return the hash under which a key is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


def stored_key(
    key: str,
    *,
    name: str,
    roles: Iterable[Role],
    expires: datetime | None = None,
    requests_per_s: float | None = None,
) -> ApiKey:
    """Return what to store of a key that is created now."""
    return ApiKey(
        name=name,
        roles=tuple(dict.fromkeys(roles)),
        sha256=sha256_of(key),
        created=datetime.now(UTC).replace(microsecond=0),
        expires=expires,
        requests_per_s=requests_per_s,
    )


class KeyRing:
    """Keys to compare a presented one with."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys = [(bytes.fromhex(key.sha256), key) for key in keys]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, presented: bytes) -> ApiKey | None:
        """Return the key with this text, expired or not; None if there is none.

        Compares with every key, in a time that depends only on their number.
        """
        digest = hashlib.sha256(presented).digest()
        found = None
        for stored, key in self._keys:
            if hmac.compare_digest(stored, digest):
                found = key
        return found
