"""Worlds of likes: people with tastes and sessions, and bots among them whose names are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from likewise.evaluation.likes.table import LikeCollector, Stamp
from likewise.messages.events import Like
from likewise.messages.ids import ItemId, UserId

if TYPE_CHECKING:
    from likewise.evaluation.likes.table import LikeTable

START_MS = 1_767_225_600_000  # 2026-01-01
DAYS = 60
HOUR_MS = 3_600_000
SESSION_LIKES = 12
RELEASE_ITEMS, RELEASE_FANS = 3, 0.3


@dataclass
class World:
    """Likes as (user, item, time), and which users are bots of which kind."""

    rng: np.random.Generator
    items: list[ItemId]
    likes: list[tuple[UserId, ItemId, int]] = field(default_factory=list)
    bots: dict[UserId, str] = field(default_factory=dict)

    def table(self, *, timed: bool = True) -> LikeTable:
        collector = LikeCollector()
        for user, liked, time_ms in self.likes:
            collector.add(Like(user, liked), Stamp(time_ms if timed else None))
        return collector.table()

    def bot(self, kind: str, name: str, rows: np.ndarray, times_ms: np.ndarray) -> None:
        user = UserId(f"{kind}-{name}")
        self.bots[user] = kind
        self.likes += [
            (user, self.items[row], int(at))
            for row, at in zip(rows.tolist(), times_ms.tolist(), strict=True)
        ]

    def draw(self, n: int) -> np.ndarray:
        """Return `n` items without regard to popularity."""
        return self.rng.choice(len(self.items), n, replace=False)

    def somewhen(self) -> float:
        return float(START_MS + self.rng.uniform(0, DAYS - 4) * 24 * HOUR_MS)


def world_of_people(seed: int, *, users: int = 3_000, items: int = 2_000, each: int = 30) -> World:
    """Return people: power-law popularity, tastes, evening sessions, and releases that many like at once."""
    rng = np.random.default_rng(seed)
    matrix = synthetic_likes(users, items, likes_per_user=each, seed=seed)
    world = World(rng, item_ids(items))
    names = user_ids(users)
    releases = rng.choice(items, RELEASE_ITEMS, replace=False)
    for row in range(users):
        rows = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
        times = _sessions(rng, len(rows))
        world.likes += [
            (names[row], world.items[column], int(at))
            for column, at in zip(rng.permutation(rows).tolist(), times.tolist(), strict=True)
        ]
        if rng.random() < RELEASE_FANS:  # at the same hour as everybody else
            for number, column in enumerate(releases.tolist()):
                at = START_MS + (20 + 7 * number) * 24 * HOUR_MS + rng.uniform(0, HOUR_MS)
                world.likes.append((names[row], world.items[column], int(at)))
    return world


def _sessions(rng: np.random.Generator, likes: int) -> np.ndarray:
    """Return sorted times: sessions of a dozen likes, some 15 s apart, between 8 and 23 o'clock."""
    sessions = -(-likes // SESSION_LIKES)
    begins = (
        START_MS + (rng.integers(0, DAYS, sessions) * 24 + rng.uniform(8, 23, sessions)) * HOUR_MS
    )
    gaps = rng.exponential(15_000, (sessions, SESSION_LIKES)).cumsum(axis=1)
    return np.sort((begins[:, None] + gaps).ravel()[:likes])


def add_fast(world: World, bots: int) -> None:
    """Add bots that like 400 items, one every second and a half."""
    for number in range(bots):
        times = world.somewhen() + world.rng.exponential(1_300, 400).cumsum()
        world.bot("fast", str(number), world.draw(400), times)


def add_broad(world: World, bots: int) -> None:
    """Add bots that like 15% of the catalogue at random, slowly, by day."""
    n = round(0.15 * len(world.items))
    for number in range(bots):
        world.bot("broad", str(number), world.draw(n), _sessions(world.rng, n))


def add_tireless(world: World, bots: int) -> None:
    """Add bots that like an item every half an hour, for three days and nights."""
    for number in range(bots):
        times = world.somewhen() + (np.arange(150) + world.rng.uniform(0, 0.3, 150)) * HOUR_MS / 2
        world.bot("tireless", str(number), world.draw(150), times)


def add_rings(world: World, rings: int, members: int) -> None:
    """Add rings whose members like the same 40 items within half an hour, and 10 others each."""
    for ring in range(rings):
        target = world.draw(40)
        when = world.somewhen() + world.rng.uniform(0, 72, 40) * HOUR_MS
        for member in range(members):
            others = np.setdiff1d(world.draw(10), target)
            times = when + world.rng.uniform(0, 0.5, 40) * HOUR_MS
            camouflage = START_MS + world.rng.uniform(0, DAYS, len(others)) * 24 * HOUR_MS
            rows, at = np.concatenate([target, others]), np.concatenate([times, camouflage])
            world.bot("ring", f"{ring}-{member}", rows, at)
