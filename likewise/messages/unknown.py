"""Refusals of well-formed messages that name something which the receiver does not know."""

from __future__ import annotations

from likewise.errors import InvalidInputError


def unknown_scenario(name: str) -> InvalidInputError:
    """Return the reason to refuse a request whose scenario does not exist."""
    return InvalidInputError("unknown_scenario", f"`scenario` is {name!r}, which does not exist")
