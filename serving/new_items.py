"""Items that came after the current model, recommended from their likers' sets until a build has them.

A thread follows the likes of new items that consumers write (`consumers.new_items`). When enough users
like one, it reads what these users like and computes what the next build would compute for the item
(`likewise.ranking.additions`). Answers use the last result; they never wait.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, NamedTuple

from likewise.errors import TransientError
from likewise.service.logs import get_logger
from likewise.store.recent_port import FIRST, NEW_LIKES_KEPT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from likewise.messages.ids import ItemId, UserId
    from likewise.models.holder import ModelHolder, ServedModel
    from likewise.ranking.additions import Additions
    from likewise.store.port import LikeStore
    from serving.stats import AnsweringStats

_LOOK_EVERY_S = 0.5
# Looking takes at most this share of a core, and comes at least this often.
_TIME_SHARE = 0.1
_LONGEST_WAIT_S = 2.0
_LOG_EVERY_S = 60.0
# Sets that are read at a time. Items that were liked last come first.
_MOST_LIKERS = 5_000
_LIKERS_OF_AN_ITEM = 1_000
_MOST_ITEMS = 1_000
# The stream has no more; users of items that were liked longer ago are forgotten.
_MOST_KEPT = NEW_LIKES_KEPT


class _Current(NamedTuple):
    """What can be ranked next to one version of the model."""

    version: str | None = None
    additions: Additions | None = None


class NewItems:
    """The items that the current model does not have and that enough users like. Thread-safe."""

    def __init__(
        self, store: LikeStore, models: ModelHolder, least_likes: int, stats: AnsweringStats
    ) -> None:
        """Read nothing yet. `least_likes` are those that an item needs; 0 turns everything off."""
        self._store = store
        self._models = models
        self._least_likes = least_likes
        self._stats = stats
        self._cursor = FIRST
        # The likers of each item, last liked last, as far as they are known; some may have unliked.
        self._likers: dict[ItemId, dict[UserId, None]] = {}
        self._changed = False
        self._current = _Current()
        self._stop = threading.Event()
        self._next_log_s = 0.0

    def for_model(self, version: str) -> Additions | None:
        """Return what this version of the model does not have; None if that is nothing. No I/O."""
        current = self._current
        return current.additions if current.version == version else None

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the likes in a thread during a `with` block."""
        if not self._least_likes:
            yield
            return
        thread = threading.Thread(
            target=copy_context().run, args=[self._run], name="new-items", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def look(self) -> None:
        """Read the newest likes, and rank by them from now on.

        Raises:
            TransientError: the store cannot be reached. The next call continues from the same likes.
        """
        found = self._store.new_likes(self._cursor, NEW_LIKES_KEPT)
        if found.gap:
            self._likers.clear()
            self._changed = True
        for item_id, user_id in found.likes:
            self._note(item_id, user_id)
        self._cursor = found.cursor
        self._drop_known(self._models.current())
        if self._changed:
            self._read_likers()

    def _note(self, item_id: ItemId, user_id: UserId | None) -> None:
        self._changed = True
        likers = self._likers.pop(item_id, {})
        if user_id is not None:
            likers.pop(user_id, None)
            likers[user_id] = None
            if len(likers) > _LIKERS_OF_AN_ITEM:
                del likers[next(iter(likers))]
        if likers:
            self._likers[item_id] = likers

    def _drop_known(self, served: ServedModel) -> None:
        """Forget the items that the model has by now."""
        if not self._changed and served.version == self._current.version:
            return
        self._changed = True
        for item_id in [item for item in self._likers if item in served.model.item_rows]:
            del self._likers[item_id]
        while sum(map(len, self._likers.values())) > _MOST_KEPT:
            del self._likers[next(iter(self._likers))]

    def _read_likers(self) -> None:
        """Read what the likers like now, and compute the rows of the items that enough of them like."""
        chosen = self._chosen()
        users = list({user: None for item in chosen for user in self._likers[item]})
        likes = dict(zip(users, map(frozenset, self._store.liked_items(users)), strict=True))
        for item_id in chosen:
            likers = self._likers[item_id]
            for user in [user for user in likers if item_id not in likes[user]]:
                del likers[user]
            if not likers:
                del self._likers[item_id]
        enough = {
            item: likers
            for item in chosen
            if len(likers := self._likers.get(item, {})) >= self._least_likes
        }
        named = {user for likers in enough.values() for user in likers}
        self._current = _current(
            self._models.current(), enough, {user: likes[user] for user in named}
        )
        self._changed = False
        additions = self._current.additions
        self._stats.new_items = 0 if additions is None else len(additions.item_ids)

    def _chosen(self) -> list[ItemId]:
        """Return the items whose likers to read, those that were liked last first."""
        chosen: list[ItemId] = []
        users: set[UserId] = set()
        for item_id, likers in reversed(self._likers.items()):
            users |= likers.keys()
            if len(users) > _MOST_LIKERS or len(chosen) == _MOST_ITEMS:
                break
            chosen.append(item_id)
        return chosen

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            began_s = time.monotonic()
            try:
                self.look()
            except TransientError:
                pass  # the loop reports it, and this thread tries again
            except Exception as error:  # noqa: BLE001  # answers must go on whatever happens here
                self._log(error)
            took_s = time.monotonic() - began_s
            wait_s = max(_LOOK_EVERY_S, min(took_s / _TIME_SHARE, _LONGEST_WAIT_S))

    def _log(self, error: Exception) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_log_s:
            self._next_log_s = now_s + _LOG_EVERY_S
            get_logger().error(
                "new items are recommended after the next build only", reason=repr(error)
            )


def _current(
    served: ServedModel,
    likers: dict[ItemId, dict[UserId, None]],
    likes: dict[UserId, Collection[ItemId]],
) -> _Current:
    # Imported here: it needs the numerical libraries, which a server imports while it joins.
    from likewise.ranking.additions import Additions
    from likewise.ranking.new_rows import supports

    new = {item: users for item, users in likers.items() if item not in served.model.item_rows}
    if not new or not supports(served.model):
        return _Current(served.version)
    return _Current(served.version, Additions.of(served.model, new, likes))
