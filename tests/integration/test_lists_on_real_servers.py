"""Lists of all users, written by two processes from a real Redis."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from pyarrow import parquet

from likewise.cli.listing_processes import ListJob, write_parts
from likewise.errors import ModelFileError
from likewise.messages.ids import ItemId, UserId
from likewise.messages.requests import Request, encode_request
from likewise.operations.files.lists import open_parts
from likewise.store.redis import RedisStore
from tests.requesting import settings_for
from tests.serving_rig import VERSION, block_items, like, likes_but_one, write_block_model

if TYPE_CHECKING:
    from pathlib import Path

    from likewise.settings import Settings

BLOCKS = 12
USERS = [UserId(f"u{number:02}") for number in range(30)]
REQUEST = encode_request(Request(user_id=UserId("anyone"), count=3, fill=False))


@pytest.fixture
def settings(bootstrap_servers: str, redis_url: str, prefix: str, tmp_path: Path) -> Settings:
    settings = settings_for(bootstrap_servers, redis_url, prefix, tmp_path)
    write_block_model(settings.model.directory, VERSION, blocks=BLOCKS)
    with closing(RedisStore(settings.redis)) as store:
        for number, user in enumerate(USERS):
            like(store, user, likes_but_one(number % BLOCKS, number % 5))
    return settings


def test_two_processes_write_all_lists(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    parts = open_parts(path, {}, lambda: USERS, part_users=4)
    written: list[int] = []
    write_parts(
        ListJob(settings, VERSION, REQUEST, path), parts, processes=2, on_users=written.append
    )
    assert sorted(written) == [2, 4, 4, 4, 4, 4, 4, 4]
    parts.finish()
    rows = parquet.read_table(path).to_pylist()
    assert [row["user_id"] for row in rows] == USERS, "each has one item left in its block"
    for number, row in enumerate(rows):
        block = number % BLOCKS
        missing = block_items(block) - set(likes_but_one(block, number % 5))
        assert {ItemId(row["item_id"])} == missing


def test_ctrl_c_ends_the_processes_and_keeps_what_is_written(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "lists.parquet"
    job = ListJob(settings, VERSION, REQUEST, path)

    def interrupt(_users: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_parts(
            job,
            open_parts(path, {}, lambda: USERS, part_users=1),
            processes=2,
            on_users=interrupt,
        )
    again = open_parts(path, {}, lambda: pytest.fail("the users are known"), part_users=1)
    assert 0 < again.written_users < len(USERS)
    write_parts(job, again, processes=1, on_users=lambda _users: None)
    again.finish()
    assert parquet.read_table(path)["user_id"].to_pylist() == USERS


def test_an_error_of_a_process_is_raised_here(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    parts = open_parts(path, {}, lambda: USERS, part_users=4)
    gone = ListJob(settings, "20200101T000000.000Z", REQUEST, path)
    with pytest.raises(ModelFileError, match="20200101T000000"):
        write_parts(gone, parts, processes=2, on_users=lambda _users: None)
