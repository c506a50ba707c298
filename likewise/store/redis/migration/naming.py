"""What a key of one layout is called in the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, cast

from likewise.messages.ids import DISLIKE, HIDE, SignalKind, UserId
from likewise.store.shown_port import Viewer

if TYPE_CHECKING:
    from likewise.store.cluster_keys import ClusterKeys
    from likewise.store.keys import Keys

_USER = re.compile(r"(likes|dislikes|hidden|signals:[^:]*):(.*)", re.DOTALL)
_SHOWN = re.compile(r"likewise:shown(?:-(pages|chain))?:(.*)", re.DOTALL)
_TAGGED = re.compile(
    r"(likes:|dislikes:|hidden:|signals:[^:{]*:|likewise:(?:[a-z-]+:)?)\{(?:b\d+|shared)\}:"
)
# Marks, times, positions and homes depend on users or partitions; leases belong to processes.
_APART = re.compile(
    r"likewise:(homes$|changed$|scattered$|migration$|layout$|(times|position|lease|state|moved):)"
)


def to_cluster(name: str, keys: ClusterKeys) -> str | None:
    """Return the name on a cluster of a key of one server, both without the prefix; None if it is apart."""
    plain = keys._replace(prefix="")
    if _APART.match(name):
        return None
    if found := _USER.fullmatch(name):
        user = UserId(found[2])
        kind = kind_of(found[1])
        return plain.likes(user) if kind is None else plain.signals(kind, user)
    if found := _SHOWN.fullmatch(name):
        kind_of_viewer = cast("Literal['user', 'pages', 'chain']", found[1] or "user")
        return plain.shown(Viewer(kind_of_viewer, found[2]))
    if name.startswith("likewise:items:"):
        return plain.items_bucket(int(name.rpartition(":")[2]))
    if name.startswith("likewise:"):
        return f"likewise:{{shared}}:{name.removeprefix('likewise:')}"
    return None


def to_server(name: str) -> str | None:
    """Return the name on one server of a key of a cluster, both without the prefix; None if it is apart."""
    tagged = _TAGGED.match(name)
    if tagged is None:
        return None
    plain = tagged[1] + name[tagged.end() :]
    if plain.startswith("likewise:times:"):
        return plain
    return None if _APART.match(plain) else plain


def user_in(name: str) -> UserId | None:
    """Return the user whose set this key of one server is; None if it is something else."""
    found = _USER.fullmatch(name)
    return UserId(found[2]) if found else None


def kind_of(folder: str) -> SignalKind | None:
    """Return the kind of signals under this beginning of a key; None for likes."""
    named = {"likes": None, "dislikes": DISLIKE, "hidden": HIDE}
    return named[folder] if folder in named else SignalKind(folder.removeprefix("signals:"))


def sets_of(keys: Keys, user: UserId, kinds: frozenset[SignalKind]) -> list[str]:
    """Return the sets of a user."""
    return [keys.likes(user), *(keys.signals(kind, user) for kind in sorted(kinds))]
