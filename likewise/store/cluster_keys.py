"""The key names on a Redis Cluster, where scripts reach only the keys of one slot.

Users and items are divided into buckets. The names of one bucket contain the same hash tag, `{b17}`,
so they are in one slot; so are those that belong to nobody in particular, with `{shared}`. A *group*
is a bucket or, as the last one, what is shared. See docs/decisions/0042-buckets-on-a-redis-cluster.md.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

from likewise.messages.ids import DISLIKE, HIDE, ItemId, SignalKind, UserId
from likewise.store.keys import Keys, hashed, item_bucket, literal
from likewise.store.shown_port import Viewer

if TYPE_CHECKING:
    from likewise.records import TopicPartition
    from likewise.settings import RedisSettings

_TAG = re.compile(r"\{(?:b\d+|shared)\}:")


class ClusterKeys(Keys):
    """The keys of one deployment on a Redis Cluster; without their hash tags, the names of `Keys`."""

    __slots__ = ()

    @property
    def groups(self) -> range:
        """Every group: the buckets, then what is shared."""
        return range(self.buckets + 1)

    @property
    def shared(self) -> int:
        """The group of what belongs to no single user or item."""
        return self.buckets

    def group_of(self, name: str) -> int:
        """Return the bucket of a user or an item."""
        return binascii.crc32(name.encode()) % self.buckets

    def group_of_item(self, item_id: ItemId) -> int:
        """Return the bucket of an item of the catalogue."""
        return self.group_of(str(item_bucket(item_id)))

    def state(self, group: int) -> str:
        """HASH of the group: its position in each partition (`topic/partition`), and its `mark`.

        A mark changes whenever a user of the bucket is marked as scattered.
        """
        return f"{self.prefix}likewise:state:{self._tag(group)}"

    def field(self, partition: TopicPartition) -> str:
        """Return the field of `state` that holds the position in a partition."""
        return f"{partition.topic}/{partition.partition}"

    @property
    def layout(self) -> str:
        """STRING `buckets:number`, which never changes."""
        return self._of_all("layout")

    def likes(self, user_id: UserId) -> str:
        """See `Keys.likes`: `likes:{b17}:user`."""
        return f"{self.prefix}likes:{self._tag_of(user_id)}:{user_id}"

    @property
    def likes_pattern(self) -> str:
        """See `Keys.likes_pattern`."""
        return f"{literal(self.prefix)}likes:{{b*}}:*"

    def user_of(self, key: str, kind: SignalKind | None = None) -> UserId:
        """See `Keys.user_of`."""
        start = self.prefix + ("likes" if kind is None else _folder(kind))
        return UserId(key[len(start) :].partition("}:")[2])

    def signals(self, kind: SignalKind, user_id: UserId) -> str:
        """See `Keys.signals`."""
        return f"{self.prefix}{_folder(kind)}:{self._tag_of(user_id)}:{user_id}"

    def signals_pattern(self, kind: SignalKind) -> str:
        """See `Keys.signals_pattern`."""
        return f"{literal(self.prefix + _folder(kind))}:{{b*}}:*"

    def changed_in(self, bucket: int) -> str:
        """SET of the bucket's users who changed: see `Keys.changed`."""
        return f"{self.prefix}likewise:changed:{self._tag(bucket)}"

    def scattered_in(self, bucket: int) -> str:
        """HASH of the bucket's scattered users: see `Keys.scattered`."""
        return f"{self.prefix}likewise:scattered:{self._tag(bucket)}"

    def moved(self, guest: UserId, partition: TopicPartition, offset: int) -> str:
        """STRING (JSON) with a time to live: what the merge at this place moved from the guest."""
        merge = f"{hashed(guest)}:{self.field(partition)}:{offset}"
        return f"{self.prefix}likewise:moved:{self._tag_of(guest)}:{merge}"

    def times(self, key: str) -> str:
        """See `Keys.times`; in the slot of the set."""
        name = key.removeprefix(self.prefix)
        tag = _TAG.search(name)
        plain = _TAG.sub("", name, count=1)
        return f"{self.prefix}likewise:times:{tag[0] if tag else ''}{hashed(plain)}"

    def items_bucket(self, bucket: int) -> str:
        """See `Keys.items_bucket`."""
        return f"{self.prefix}likewise:items:{self._tag(self.group_of(str(bucket)))}:{bucket}"

    def shown(self, viewer: Viewer) -> str:
        """See `Keys.shown`."""
        kind = "" if viewer.kind == "user" else f"-{viewer.kind}"
        return f"{self.prefix}likewise:shown{kind}:{self._tag_of(viewer.name)}:{viewer.name}"

    def lists_of(self, user_id: UserId) -> list[str]:
        """See `Keys.lists_of`; those of the user's bucket, which `windows` is not in."""
        return [self.shown(Viewer("user", user_id)), self.shown(Viewer("pages", user_id))]

    def _tag_of(self, name: str) -> str:
        return self._tag(self.group_of(name))

    def _tag(self, group: int) -> str:
        return "{shared}" if group == self.buckets else f"{{b{group}}}"

    def _of_all(self, name: str) -> str:
        return f"{self.prefix}likewise:{{shared}}:{name}"


def keys_of(settings: RedisSettings) -> Keys:
    """Return the keys that the settings name."""
    if settings.cluster:
        return ClusterKeys(settings.key_prefix, settings.buckets)
    return Keys(settings.key_prefix)


def _folder(kind: SignalKind) -> str:
    if kind == DISLIKE:
        return "dislikes"
    return "hidden" if kind == HIDE else f"signals:{kind}"
