"""The number of buckets, which is fixed once there are keys: another number looks in other places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from likewise.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.store.cluster_keys import ClusterKeys

MIGRATING = "migrating"


def check_layout(run: Callable[..., Any], keys: ClusterKeys, address: str) -> None:
    """Return if the cluster is empty or has keys of this layout; `run` runs a command.

    Raises:
        SettingsError: it has another layout.
    """
    stored = run("GET", keys.layout)
    if stored == _text(keys):
        return
    if stored == MIGRATING:
        raise SettingsError(
            f"Redis at {address}: a migration is not complete; run `likewise store migrate` again"
        )
    if stored is not None:
        raise SettingsError(
            f"redis.buckets (LIKEWISE_REDIS_BUCKETS) is {keys.buckets}, but the keys on the cluster "
            f"at {address} have the layout {stored!r}; set the number that they have"
        )
    earlier = f"{keys.prefix}likewise:homes"
    if run("EXISTS", earlier):
        raise SettingsError(
            f"Redis at {address} holds keys of an earlier version, which had no buckets (such as "
            f"{earlier!r}); remove them or set another redis.key_prefix, and the consumers read the "
            "log again"
        )


def create_layout(run: Callable[..., Any], keys: ClusterKeys, address: str) -> None:
    """Note the number of buckets, unless it is noted already.

    Raises:
        SettingsError: there is another one.
    """
    run("SETNX", keys.layout, _text(keys))
    check_layout(run, keys, address)


def _text(keys: ClusterKeys) -> str:
    return f"buckets:{keys.buckets}"
