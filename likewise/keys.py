"""Every Redis key name that likewise uses; nothing else spells one out."""

from __future__ import annotations

import re
from typing import NamedTuple

from likewise.ids import UserId


class Keys(NamedTuple):
    """The keys of one deployment; a prefix keeps several in one database apart.

    `likes:{user_id}` is what the product promises; the rest is bookkeeping and stands
    below `likewise:`.
    """

    prefix: str = ""

    def likes(self, user_id: UserId) -> str:
        """SET of the item ids that the user likes now."""
        return f"{self.prefix}likes:{user_id}"

    @property
    def likes_pattern(self) -> str:
        """Glob pattern that matches every user's set, and nothing else."""
        literal = re.sub(r"([*?\[\]\\])", r"\\\1", self.prefix)
        return f"{literal}likes:*"

    def user_of(self, key: str) -> UserId:
        """Return the user whose likes stand under the key."""
        return UserId(key.removeprefix(f"{self.prefix}likes:"))

    def position(self, topic: str, partition: int) -> str:
        """STRING: the offset of the first event of the partition that is not applied yet."""
        return f"{self.prefix}likewise:position:{topic}:{partition}"

    def log(self, topic: str, partition: int) -> str:
        """STRING: the broker's id of the topic that the partition's position is of."""
        return f"{self.position(topic, partition)}:log"

    @property
    def changed(self) -> str:
        """SET of users whose likes changed since the indexer last took them."""
        return f"{self.prefix}likewise:changed"

    @property
    def retired(self) -> str:
        """SET of item ids that are never recommended."""
        return f"{self.prefix}likewise:retired"

    @property
    def retired_version(self) -> str:
        """INTEGER that grows whenever `retired` may have changed."""
        return f"{self.prefix}likewise:retired-version"

    @property
    def model(self) -> str:
        """STRING (JSON): the announcement of the current model."""
        return f"{self.prefix}likewise:model"

    def lease(self, name: str) -> str:
        """STRING with a time to live: who holds the named lease."""
        return f"{self.prefix}likewise:lease:{name}"
