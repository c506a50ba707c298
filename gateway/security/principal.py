"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["read", "write", "admin"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what they may do."""

    name: str
    roles: frozenset[Role]
    """All roles, with those that `admin` includes."""
    caller: str = ""
    """Who a rate limit counts this as: a key, or a client's address."""
    requests_per_s: float | None = None
    """The limit of this key; None: that of the settings."""


EVERYBODY = Principal("everybody", frozenset({"read", "write", "admin"}))
"""Where no keys are required: only this machine can connect."""
