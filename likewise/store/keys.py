"""All Redis key names that likewise uses. No other module spells one out."""

from __future__ import annotations

import binascii
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.store.shown_port import Viewer

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOBODY = UserId("")
_ITEM_BUCKETS = 1_024


class Keys(NamedTuple):
    """The keys of one deployment; a prefix separates several in one database.

    `likes:{user_id}` is documented for other readers; the rest is bookkeeping under `likewise:`.
    """

    prefix: str = ""
    buckets: int = 0
    """The number of buckets of users on a Redis Cluster; 0 on one server: see `ClusterKeys`."""

    def likes(self, user_id: UserId) -> str:
        """SET of the item ids that the user likes now."""
        return f"{self.prefix}likes:{user_id}"

    @property
    def likes_pattern(self) -> str:
        """Glob pattern that matches every user's set, and nothing else."""
        return f"{literal(self.likes(_NOBODY))}*"

    def user_of(self, key: str, kind: SignalKind | None = None) -> UserId:
        """Return the user whose likes, or signals of a kind, are under the key."""
        return UserId(
            key[len(self.likes(_NOBODY) if kind is None else self.signals(kind, _NOBODY)) :]
        )

    def signals(self, kind: SignalKind, user_id: UserId) -> str:
        """SET of the item ids for which the user's signal of this kind holds."""
        if kind == DISLIKE:
            return f"{self.prefix}dislikes:{user_id}"
        if kind == HIDE:
            return f"{self.prefix}hidden:{user_id}"
        return f"{self.prefix}signals:{kind}:{user_id}"

    def signals_pattern(self, kind: SignalKind) -> str:
        """Glob pattern that matches every user's set of this kind, and nothing else."""
        return f"{literal(self.signals(kind, _NOBODY))}*"

    @property
    def kinds(self) -> str:
        """SET of the kinds of signals that were ever used."""
        return self._of_all("kinds")

    def of_user(self, user_id: UserId, kinds: Iterable[SignalKind]) -> list[str]:
        """Return every key that holds something about the user, given the kinds of signals in use.

        The times of a scattered user are not among them: what is erased late must stay erased. Their names
        do not show the user.
        """
        signals = (self.signals(kind, user_id) for kind in kinds)
        return [self.likes(user_id), *signals, *self.lists_of(user_id)]

    def position(self, topic: str, partition: int) -> str:
        """STRING: the offset of the first event of the partition that is not applied yet."""
        return f"{self.prefix}likewise:position:{topic}:{partition}"

    def log(self, topic: str, partition: int) -> str:
        """STRING: the broker's id of the topic that the partition's position is of."""
        return f"{self.position(topic, partition)}:log"

    @property
    def homes(self) -> str:
        """STRING `partitioner:partitions:mark`: see `likewise.store.port.Homes`."""
        return self._of_all("homes")

    @property
    def scattered(self) -> str:
        """HASH by `hashed` user id: the time from which events have times; with `?` if incomplete."""
        return self._of_all("scattered")

    def times(self, key: str) -> str:
        """HASH of the times of the set under the key.

        `f`: when the user was forgotten or merged into another; `m`: that merge; `r{partition}`: the
        reach in that partition; `i{item_id}`: the item's latest state. `m` and the reach are with the
        likes only. The name does not show the user.
        """
        return f"{self.prefix}likewise:times:{hashed(key.removeprefix(self.prefix))}"

    def epoch(self, topic: str, partition: int) -> str:
        """STRING: the leader epoch under which the last applied event of the partition was written."""
        return f"{self.position(topic, partition)}:epoch"

    @property
    def changed(self) -> str:
        """SET of users whose likes or signals changed since the indexer last took them."""
        return self._of_all("changed")

    @property
    def retired(self) -> str:
        """SET of item ids that are never recommended."""
        return self._of_all("retired")

    @property
    def retired_version(self) -> str:
        """INTEGER that changes whenever `retired` may have changed, and never repeats."""
        return self._of_all("retired-version")

    def items(self, item_id: ItemId) -> str:
        """HASH of items by id, as JSON: the bucket of this item."""
        return self.items_bucket(item_bucket(item_id))

    def items_buckets(self) -> list[str]:
        """Return every bucket of items."""
        return [self.items_bucket(bucket) for bucket in range(_ITEM_BUCKETS)]

    def items_bucket(self, bucket: int) -> str:
        """Return the key of one bucket of items."""
        return f"{self.prefix}likewise:items:{bucket}"

    @property
    def scenarios(self) -> str:
        """HASH of scenarios by name, as JSON."""
        return self._of_all("scenarios")

    @property
    def experiments(self) -> str:
        """HASH of experiments by name, as JSON."""
        return self._of_all("experiments")

    @property
    def attribution_positions(self) -> str:
        """HASH by `topic/partition` of `offset:time:log`: see `likewise.store.attribution_port.Reached`."""
        return self._attribution("positions")

    def windows(self, user_id: UserId) -> str:
        """STRING (JSON) with a time to live: the lists and likes of the user that may still count."""
        return self._attribution(f"windows:{user_id}")

    def totals(self, run: str) -> str:
        """HASH by `hashed` user id: the lists and credited likes of each user in a run, as JSON."""
        return self._attribution(f"totals:{run}")

    def tally(self, run: str) -> str:
        """HASH of integers: what a run counts, `likewise.experiments.tally` has the fields."""
        return self._attribution(f"tally:{run}")

    def shown_items(self, run: str, variant: str) -> str:
        """SET of the items that a variant has shown."""
        return self._attribution(f"items:{run}:{variant}")

    @property
    def closed_runs(self) -> str:
        """SET of the runs whose counts are final."""
        return self._attribution("closed")

    @property
    def catalogue_changes(self) -> str:
        """STREAM of the items, scenarios and experiments that changed, the oldest trimmed.

        An entry has one field: `i` with an item id, or the name of a scenario (`s`) or experiment (`e`).
        """
        return self._of_all("catalogue-changes")

    @property
    def new_likes(self) -> str:
        """STREAM of likes of items that the current model does not have, the oldest trimmed.

        An entry has the fields `i`, an item id, and `u`, a user id; without `u` a like was taken back.
        """
        return self._of_all("new-likes")

    @property
    def trending(self) -> str:
        """ZSET of items by recent likes, counted from `trending_epoch` on."""
        return self._of_all("trending")

    @property
    def trending_epoch(self) -> str:
        """STRING `time:half-life` in ms: see `likewise.store.redis.recent`."""
        return self._of_all("trending-epoch")

    @property
    def quality(self) -> str:
        """HASH by slot of a consumer: how well the model predicted likes lately, as JSON."""
        return self._of_all("quality")

    def shown(self, viewer: Viewer) -> str:
        """LIST of what was shown to the viewer, newest first, as JSON, with a time to live."""
        kind = "" if viewer.kind == "user" else f"-{viewer.kind}"
        return f"{self.prefix}likewise:shown{kind}:{viewer.name}"

    def lists_of(self, user_id: UserId) -> list[str]:
        """Return the keys that hold what the user was shown."""
        viewers = Viewer("user", user_id), Viewer("pages", user_id)
        return [*map(self.shown, viewers), self.windows(user_id)]

    @property
    def model(self) -> str:
        """STRING (JSON): the announcement of the current model."""
        return self._of_all("model")

    @property
    def migration(self) -> str:
        """STRING (JSON): what a migration to this Redis has copied; none once it is complete."""
        return self._of_all("migration")

    def _attribution(self, name: str) -> str:
        return f"{self.experiments}:{name}"

    def _of_all(self, name: str) -> str:
        """Return the key of something that belongs to no single user or item."""
        return f"{self.prefix}likewise:{name}"

    def lease(self, name: str) -> str:
        """STRING with a time to live: who holds the named lease."""
        return self._of_all(f"lease:{name}")


def item_bucket(item_id: ItemId) -> int:
    """Return the number of the HASH that holds an item of the catalogue."""
    return binascii.crc32(item_id.encode()) % _ITEM_BUCKETS


def literal(text: str) -> str:
    """Return a glob pattern that matches the text only."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)


def hashed(text: str) -> str:
    """Return a hash of the text, 32 hexadecimal digits, that does not reveal it."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


def allows_slot_tags(prefix: str) -> bool:
    """Whether a hash tag after the prefix counts, or the prefix has a complete hash tag."""
    return "{" not in prefix or re.match(r"[^{]*\{[^}]+\}", prefix) is not None
