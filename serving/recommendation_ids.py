"""Ids of recommendations: 22 random characters that are safe in a URL.

The lists of one walk, which `next_of` continues, have ids with the same beginning.
"""

from __future__ import annotations

import base64
import secrets

_LENGTH = 22
# 96 bits name the walk, 36 bits the list in it.
_WALK_LENGTH = 16
_IDS_AT_ONCE = 256


class RecommendationIds:
    """Makes ids. Thread-safe; asks the system for random bytes once for 256 ids."""

    def __init__(self) -> None:
        self._unused: list[str] = []

    def new(self) -> str:
        """Return the id of a list that begins a walk."""
        while True:
            try:
                return self._unused.pop()
            except IndexError:  # another thread may have taken the last one
                pass
            random = base64.urlsafe_b64encode(
                secrets.token_bytes(3 * _LENGTH * _IDS_AT_ONCE // 4)
            ).decode()
            self._unused += [
                random[start : start + _LENGTH] for start in range(0, len(random), _LENGTH)
            ]

    def following(self, previous: str) -> str:
        """Return the id of the next list in the walk."""
        return walk_of(previous) + self.new()[_WALK_LENGTH:]


def walk_of(recommendation_id: str) -> str:
    """Return the part of an id that the lists of one walk share."""
    return recommendation_id[:_WALK_LENGTH]
