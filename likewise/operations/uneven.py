"""A store of which some users are further than others, as happens for a moment on a Redis Cluster.

What is further can be compared with the log once the rest has caught up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from likewise.messages.ids import UserId
    from likewise.records import TopicPartition
    from likewise.store.bucket_port import Ahead


def users_ahead(
    ahead: Ahead | None, users: Iterable[UserId], at: Mapping[TopicPartition, int]
) -> set[UserId]:
    """Return the users to whom events after these positions are applied."""
    if ahead is None:
        return set()
    return {user for user in users if any(ahead.has(user, *place) for place in at.items())}


def shared_is_ahead(ahead: Ahead | None, at: Mapping[TopicPartition, int]) -> bool:
    """Whether events after these positions are applied to what belongs to no user."""
    return ahead is not None and any(ahead.has_shared(*place) for place in at.items())
