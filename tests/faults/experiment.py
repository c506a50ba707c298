"""An experiment that runs during the faults, and its oracle: the counts that the topics define.

The oracle uses nothing of the product but its broker connection: the definition in docs/experiments.md,
pair by pair.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from likewise.log.ranges import read_between

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator

    from likewise.log.port import Broker
    from likewise.log.topics import Topics

NAME = "faults"
TASTERS = [f"taster {number}" for number in range(20)]
"""The only users who take part. Nobody forgets or merges them: what is kept of them would be erased."""
VARIANTS = "control", "wide"
WINDOW_MS = 4_000
_TWICE_SHARE = 0.3


def definition(others: Iterable[str]) -> bytes:
    """Return the experiment, which starts now; `others` do not take part."""
    return json.dumps(
        {
            "kind": "split",
            "variants": [{"name": VARIANTS[0]}, {"name": VARIANTS[1], "defaults": {"count": 7}}],
            "seed": NAME,
            "started_at_ms": time.time_ns() // 1_000_000,
            "window_s": WINDOW_MS / 1000,
            "exclude": [*others],
        }
    ).encode()


def variant_of(user: str) -> str:
    """Return the variant that the hash gives the user."""
    unit = int.from_bytes(sha256(f"{NAME}:{user}".encode()).digest()[:8], "big") / 2**64
    return VARIANTS[unit >= 0.5]


def records_of(
    rng: random.Random, user: str, items: list[str], number: int
) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Yield a list that the user is shown, and likes; True for the list. Some come twice."""
    name, shown = f"faults-{number}", rng.sample(items, 6)
    body = {
        "recommendation_id": name,
        "user_id": user,
        "shown_at_ms": time.time_ns() // 1_000_000 - rng.randrange(2_000),
        "items": shown,
        "models": ["m"],
        "experiment": NAME,
        "variant": variant_of(user),
    }
    likes: list[dict[str, Any]] = [
        {"action": "like", "user_id": user, "item_id": item, "sent_by": NAME}
        for item in (rng.choice(shown), rng.choice(items))
    ]
    if rng.random() < 0.4:
        likes[0]["recommendation_id"] = name
    records = [(True, body), *((False, like) for like in likes)]
    rng.shuffle(records)
    for record in records:
        yield from [record] * (2 if rng.random() < _TWICE_SHARE else 1)


def counts_in(broker: Broker, topics: Topics) -> Counter[str]:
    """Return what everything in the topics counts, by `variant/count`."""
    lists: dict[tuple[str, str], dict[str, Any]] = {}
    likes: set[tuple[str, str, int, str | None]] = set()
    started_at_ms = 0
    names = topics.experiments, topics.exposures, topics.likes
    partitions = [one for name in names for one in broker.partitions(name)]
    start, end = broker.beginning_offsets(partitions), broker.end_offsets(partitions)
    for records in read_between(broker, start, end):
        for record in records:
            body = json.loads(record.value or b"null")
            if record.topic == topics.experiments:
                started_at_ms = body["started_at_ms"]
            elif record.topic == topics.exposures:
                lists[body["user_id"], body["recommendation_id"]] = body
            elif body["action"] == "like":
                named = body.get("recommendation_id")
                likes.add((body["user_id"], body["item_id"], record.timestamp, named))
    counts: Counter[str] = Counter()
    sums: dict[tuple[str, str], list[int]] = {}
    for (user, name), body in lists.items():
        if body["shown_at_ms"] < started_at_ms:
            continue
        credited = sum(
            any(
                (who, liked) == (user, item)
                and body["shown_at_ms"] <= at_ms <= body["shown_at_ms"] + WINDOW_MS
                and named in (None, name)
                for who, liked, at_ms, named in likes
            )
            for item in body["items"]
        )
        variant = body["variant"]
        of_user = sums.setdefault((variant, user), [0, 0])
        of_user[0] += 1
        of_user[1] += credited
        counts.update({f"{variant}/lists": 1, f"{variant}/shown": len(body["items"])})
        counts.update({f"{variant}/likes": credited, f"{variant}/hits": credited > 0})
    for (variant, _), (n, y) in sums.items():
        counts.update({f"{variant}/users": 1, f"{variant}/n2": n * n})
        counts.update({f"{variant}/ny": n * y, f"{variant}/y2": y * y})
    return counts
