"""What an audit finds, and the limits that it applies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from likewise.evaluation.likes.table import LikeTable
    from likewise.messages.ids import UserId

ReasonKind = Literal["rate", "tireless", "breadth", "lockstep"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What no human does. Every limit is far from what people do, so that nobody is named by chance."""

    per_minute: float = 30.0
    """Likes a minute, sustained for `sustained_min` minutes."""
    sustained_min: float = 10.0
    breadth: float = 0.5
    """Share of the catalogue that nobody likes, however it is chosen."""
    flat_breadth: float = 0.1
    """Share of the catalogue that nobody likes without a preference for popular items."""
    group: int = 3
    """Smallest number of users in a lockstep group."""
    common: int = 10
    """Likes that two users in lockstep have in common, at least."""
    overlap: float = 0.5
    """Jaccard index of the likes of two users in lockstep, counting likes at nearly the same time."""
    window_s: float = 3_600.0
    """Two likes of an item within this time are at nearly the same time."""


class Reason(NamedTuple):
    """One reason why a user is named."""

    kind: ReasonKind
    sentence: str
    facts: dict[str, Any]


@dataclass(slots=True)
class Suspect:
    """A user whose likes are not human, with evidence."""

    user_id: UserId
    likes: int
    reasons: list[Reason]
    group: int | None = None
    """The number of the lockstep group, from 1."""


@dataclass(slots=True)
class Findings:
    """What an audit has found."""

    users: int
    items: int
    likes: int
    timed: bool
    """Whether times were considered."""
    suspects: list[Suspect] = field(default_factory=list)
    """Lockstep groups first, and those with the most likes."""
    notes: list[str] = field(default_factory=list)
    """What could not be examined, as sentences."""


class Activity(NamedTuple):
    """The likes as arrays of one length, sorted by user and by item."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    times_ms: NDArray[np.int64] | None
    n_users: int
    n_items: int

    @property
    def starts(self) -> NDArray[np.int64]:
        """[users + 1] where the likes of each user begin."""
        counts = np.bincount(self.users, minlength=self.n_users)
        return np.concatenate([[0], np.cumsum(counts)])


def activity_of(likes: LikeTable) -> Activity:
    """Return the likes of a table as arrays."""
    interactions = likes.interactions
    return Activity(
        likes.users.astype(np.int64),
        interactions.user_items.indices.astype(np.int64),
        likes.times_ms,
        len(interactions.user_ids),
        len(interactions.item_ids),
    )
