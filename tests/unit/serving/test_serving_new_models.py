from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from likewise.messages.reply_routes import CORRELATION_HEADER
from tests.serving_rig import (
    REPLIES,
    Rig,
    item,
    items_of,
    likes_but_one,
    running,
    write_block_model,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_model_announced_under_load_is_used_without_a_missed_or_mixed_answer(
    tmp_path: Path,
) -> None:
    old, new = "20260101T000000.000Z", "20260101T000001.000Z"
    write_block_model(tmp_path, old, blocks=3, catalogue="old")
    announcement = write_block_model(tmp_path, new, blocks=3, catalogue="new")
    rig = Rig(tmp_path, old)
    both = [*likes_but_one(1), *(f"{name}1.{n}" for name in ("old", "new") for n in range(1, 5))]
    asked = 0

    def all_answered(count: int) -> None:
        wait_until(lambda: len(rig.replies()) == count)

    with running(rig):
        while rig.worker.stats.model_version != new or asked < 300:
            for _ in range(10):
                rig.ask({"liked": both, "count": 15}, correlation=asked.to_bytes(4, "big"))
                asked += 1
            all_answered(asked)
            if asked == 100:
                rig.store.announce_model(announcement)
            assert asked < 100_000
    by_version: dict[str, set[str]] = {old: set(), new: set()}
    for reply in rig.replies():
        by_version[reply["model"]["version"]].update(items_of(reply))
    assert by_version[old]
    assert all(one.startswith("old") for one in by_version[old])
    assert by_version[new]
    assert all(one.startswith("new") for one in by_version[new])
    correlations = {dict(r.headers)[CORRELATION_HEADER] for r in rig.broker.records(REPLIES)}
    assert len(correlations) == asked


def test_a_broken_announced_model_leaves_the_current_one_in_place(tmp_path: Path) -> None:
    old, broken = "20260101T000000.000Z", "20260101T000001.000Z"
    write_block_model(tmp_path, old, blocks=3)
    announcement = write_block_model(tmp_path, broken, blocks=3)
    factors = tmp_path / broken / "item_factors.npy"
    factors.write_bytes(factors.read_bytes()[:-1])
    rig = Rig(tmp_path, old)
    rig.store.announce_model(announcement)
    with capture_logs() as logs:
        while not logs:
            reply = rig.answer({"liked": likes_but_one(1), "count": 1})
            assert reply["model"]["version"] == old
            assert items_of(reply) == [item(1, 0)]
    assert logs[0]["log_level"] == "error"
    assert "item_factors.npy" in logs[0]["reason"]
    assert logs[0]["fix"]
