"""Broken events, of every kind that the wire protocol refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from likewise.messages.event_decoding import MAX_EVENT_BYTES

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_USER = "user 1"
_GOOD = {"action": "like", "user_id": _USER, "item_id": "item 1"}


def _bytes(value: bytes | None) -> Callable[[random.Random], bytes | None]:
    return lambda _rng: value


def _json(**fields: object) -> Callable[[random.Random], bytes | None]:
    return _bytes(json.dumps({**_GOOD, **fields}).encode())


KINDS: dict[str, Callable[[random.Random], bytes | None]] = {
    "no value": _bytes(None),
    "not JSON": _bytes(b"like, please"),
    "random bytes": lambda rng: rng.randbytes(rng.randint(1, 200)),
    "cut off": lambda rng: json.dumps(_GOOD).encode()[: rng.randint(1, 40)],
    "another encoding": _bytes(json.dumps(_GOOD).encode("utf-16")),
    "not an object": _bytes(b'["like", "user 1", "item 1"]'),
    "nested too deeply": _bytes(b"[" * 20_000),
    "empty object": _bytes(b"{}"),
    "no user": _json(user_id=None),
    "no item": _json(item_id=None),
    "empty id": _json(item_id=""),
    "id too long": _json(item_id="x" * 257),
    "lone surrogate": _bytes(b'{"user_id": "user 1", "item_id": "\\ud800"}'),
    "wrong type": _json(item_id={"id": 1}),
    "a boolean for an id": _json(item_id=True),
    "unknown action": _json(action="adore"),
    "newer version": _json(version=2),
    "foreign CloudEvent": _json(specversion="0.3", type="app.like"),
    "too large": _bytes(json.dumps({**_GOOD, "padding": "x" * MAX_EVENT_BYTES}).encode()),
    "another's key": _json(user_id="somebody else"),
}


def poison(rng: random.Random) -> tuple[bytes | None, bytes | None]:
    """Return key and value of a broken event of a random kind."""
    return _USER.encode(), KINDS[rng.choice(list(KINDS))](rng)
