"""The parts of a build on a cluster that need none: packing, shards, order, joined components, settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from indexer.cluster.components import joined_labels
from indexer.cluster.connection import check_settings
from indexer.cluster.errors import ShardLostError
from indexer.cluster.files import (
    Shard,
    load_interactions,
    load_matrix,
    save_interactions,
    save_matrix,
)
from indexer.cluster.interactions import split
from indexer.cluster.matrix import Order, stacked
from indexer.cluster.packing import pack, unpack
from indexer.interactions import UserLikes, interactions_of
from likewise.errors import SettingsError
from likewise.messages.ids import ItemId, UserId
from likewise.settings import IndexerSettings
from tests.tables import assert_identical


@given(st.lists(st.text()))
def test_packed_strings_are_unpacked_as_they_were(strings: list[str]) -> None:
    assert unpack(pack(strings)) == strings


@given(st.sets(st.text(min_size=1)), st.integers(1, 9))
def test_each_user_is_in_one_shard_and_always_in_the_same(users: set[str], shards: int) -> None:
    ids = [UserId(user) for user in users]
    parts = [unpack(part) for part in split(ids, shards)]
    assert len(parts) == shards
    assert sorted(user for part in parts for user in part) == sorted(users)
    for user in ids:
        (alone,) = [number for number, part in enumerate(split([user], shards)) if len(part)]
        assert user in parts[alone]


def test_a_shard_is_read_back_from_its_files_and_never_from_another_snapshot(
    tmp_path: Path,
) -> None:
    shard = Shard("1-a", 0, str(tmp_path))
    likes = [{ItemId("x"), ItemId("é")}, {ItemId("x")}]
    table = interactions_of([UserLikes([UserId("b"), UserId("ä")], likes)])
    assert save_interactions(shard, table) == save_interactions(shard, table)
    assert_identical(load_interactions(shard), table)
    save_matrix(shard, "r", table.user_items)
    assert load_matrix(shard, "r").toarray().tolist() == table.user_items.toarray().tolist()
    with pytest.raises(ShardLostError):
        load_matrix(shard._replace(snapshot="2-b"), "r")


def test_another_like_gives_another_checksum(tmp_path: Path) -> None:
    sums = set()
    for number, items in enumerate((["x"], ["y"], ["x", "y"])):
        likes = [{ItemId(item) for item in items}]
        table = interactions_of([UserLikes([UserId("ann")], likes)])
        sums.add(save_interactions(Shard("1-a", number, str(tmp_path)), table))
    assert len(sums) == 3


def test_rows_of_shards_come_back_in_the_order_of_their_numbers() -> None:
    order = Order([np.array([0, 3]), np.array([1, 2])])
    parts = order.split(np.array([3, 1]))
    assert [mine.tolist() for mine, _ in parts] == [[0], [1]]
    assert [places.tolist() for _, places in parts] == [[1], [0]]
    assert order.joined([np.array([10, 13]), np.array([11, 12])]).tolist() == [10, 11, 12, 13]
    rows = [
        sparse.csr_array(np.array([[1, 0], [4, 0]])),
        sparse.csr_array(np.array([[0, 2], [0, 3]])),
    ]
    tables = [(one.data, one.indices, one.indptr) for one in rows]
    assert stacked(tables, order.numbers, 2).toarray().tolist() == [[1, 0], [0, 2], [0, 3], [4, 0]]


def test_components_are_joined_by_the_items_that_shards_share() -> None:
    one = np.array([0, 0, 1, -1, -1, -1])
    other = np.array([-1, 0, -1, 1, 1, -1])
    joined = joined_labels([one, other], 6).tolist()
    assert joined[0] == joined[1]
    assert joined[3] == joined[4]
    assert len({joined[0], joined[2], joined[3]}) == 3
    assert joined[5] == -1


@pytest.mark.parametrize(
    ("given_settings", "named"),
    [
        (IndexerSettings(engine="dask"), r"indexer\.dask_scheduler is not set"),
        (
            IndexerSettings(
                engine="dask", dask_scheduler="tcp://x:1", dask_tls_ca_file=Path("ca.pem")
            ),
            "write tls:// instead",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    given_settings: IndexerSettings, named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        check_settings(given_settings)
