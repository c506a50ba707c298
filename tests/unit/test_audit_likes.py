"""The audit names bots in worlds whose bots are known, and nobody where there are only people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.synthetic import item_ids, synthetic_likes, user_ids
from indexer.interactions import Interactions
from indexer.progress import Unwatched
from likewise.evaluation.audit.audit import audit
from likewise.evaluation.audit.evidence import Limits
from likewise.evaluation.likes.table import LikeCollector, LikeTable
from likewise.messages.ids import UserId
from tests.worlds import (
    START_MS,
    add_broad,
    add_fast,
    add_rings,
    add_tireless,
    world_of_people,
)

if TYPE_CHECKING:
    from likewise.evaluation.audit.evidence import Findings


def named(found: Findings, kind: str) -> set[UserId]:
    return {
        one.user_id for one in found.suspects if any(kind == reason.kind for reason in one.reasons)
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("timed", [True, False])
def test_nobody_is_named_where_there_are_only_people(seed: int, timed: bool) -> None:
    found = audit(world_of_people(seed).table(timed=timed), Unwatched())
    assert found.suspects == []
    assert found.timed is timed


def test_bots_are_named_for_what_they_do_and_nobody_else_is() -> None:
    world = world_of_people(7)
    add_fast(world, 5)
    add_broad(world, 5)
    add_tireless(world, 5)
    add_rings(world, 3, 8)
    found = audit(world.table(), Unwatched())
    assert {one.user_id for one in found.suspects} == world.bots.keys()
    of_kind = {
        kind: {user for user, what in world.bots.items() if what == kind}
        for kind in ("fast", "broad", "tireless", "ring")
    }
    assert named(found, "rate") == of_kind["fast"]
    assert named(found, "breadth") >= of_kind["broad"]
    assert named(found, "tireless") == of_kind["tireless"]
    assert named(found, "lockstep") == of_kind["ring"]
    groups = {one.group: one.user_id[:6] for one in found.suspects if one.group is not None}
    assert sorted(groups.values()) == ["ring-0", "ring-1", "ring-2"]
    for one in found.suspects:
        assert all(reason.sentence and reason.facts for reason in one.reasons)


def test_a_ring_without_times_is_named_only_if_its_likes_are_the_same() -> None:
    world = world_of_people(8, users=500)
    add_rings(world, 2, 6)
    assert audit(world.table(timed=False), Unwatched()).suspects == []  # camouflaged
    target = world.draw(40)
    for member in range(6):
        world.bot("copy", str(member), target, np.full(40, START_MS))
    found = audit(world.table(timed=False), Unwatched())
    assert named(found, "lockstep") == {UserId(f"copy-{member}") for member in range(6)}
    assert "not every like has a time" in found.notes[0]


def test_no_likes_accuse_nobody() -> None:
    found = audit(LikeCollector().table(), Unwatched())
    assert (found.users, found.suspects) == (0, [])


def test_times_of_an_import_accuse_nobody() -> None:
    """A million likes copied in one go have the time of the copy."""
    world = world_of_people(9, users=800, each=80)
    world.likes = [(user, liked, START_MS) for user, liked, _ in world.likes]
    found = audit(world.table(), Unwatched(), Limits(per_minute=3))
    assert found.suspects == []
    assert "the times of an import" in found.notes[0]


def test_pairs_are_no_group_and_limits_can_be_moved() -> None:
    world = world_of_people(10, users=500)
    add_rings(world, 1, 2)
    assert audit(world.table(), Unwatched()).suspects == []
    found = audit(world.table(), Unwatched(), Limits(group=2))
    assert {one.user_id for one in found.suspects} == world.bots.keys()


def test_a_million_likes_take_seconds() -> None:
    """Bounded far above what it takes, so that only another order of growth fails."""
    users, items = 25_000, 8_000
    matrix = synthetic_likes(users, items, likes_per_user=40)
    rng = np.random.default_rng(0)
    times = START_MS + rng.integers(0, 60 * 86_400_000, matrix.nnz)
    table = LikeTable(
        Interactions(matrix, user_ids(users), item_ids(items)), times.astype(np.int64), None
    )
    began_s = time.perf_counter()
    found = audit(table, Unwatched())
    assert matrix.nnz > 900_000
    assert found.suspects == []
    assert time.perf_counter() - began_s < 60
