"""Items that came after the model: followed, verified against their likers' sets, and recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from likewise.errors import TransientError
from likewise.messages.ids import ItemId, UserId
from likewise.settings import ServingSettings
from likewise.store.port import Changes, UserChange
from likewise.store.recent_port import NewItemChanges
from serving import new_items
from tests.serving_rig import VERSION, Rig, item, items_of, like, likes_but_one, write_block_model
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

NEW = ItemId("new")
FANS = [UserId(f"fan {number}") for number in range(3)]


def like_new(rig: Rig, *users: UserId, new: ItemId = NEW, block: int = 0) -> None:
    """Let users of a block like the new item, as a consumer does."""
    liked = {*likes_but_one(block), new}
    changes = Changes(users={user: UserChange(add=set(liked)) for user in users})
    changes.new_items = NewItemChanges([(new, user) for user in users])
    rig.store.apply(changes, {})


def shown(rig: Rig, user: str = "ann", **options: object) -> list[str]:
    return items_of(rig.answer({"user_id": user, "count": 3, **options}))


@pytest.fixture
def crowd(rig: Rig) -> Rig:
    """A server whose user ann likes what the fans like."""
    like(rig.store, "ann", likes_but_one(0))
    return rig


def test_an_item_is_recommended_from_its_third_like_on(crowd: Rig) -> None:
    like_new(crowd, *FANS[:2])
    crowd.new_items.look()
    assert NEW not in shown(crowd)
    like_new(crowd, FANS[2])
    crowd.new_items.look()
    assert NEW in shown(crowd)
    assert crowd.worker.stats.new_items == 1


def test_because_names_the_likes_that_speak_for_it(crowd: Rig) -> None:
    like_new(crowd, *FANS)
    crowd.new_items.look()
    reply = crowd.answer({"user_id": "ann", "count": 3, "explain": True})
    [because] = [one["because"] for one in reply["items"] if one["item_id"] == NEW]
    assert {one["item_id"] for one in because} <= set(likes_but_one(0))
    assert because


def test_it_is_not_recommended_to_those_whose_likes_do_not_go_with_it(crowd: Rig) -> None:
    like(crowd.store, "bob", likes_but_one(5))
    like_new(crowd, *FANS)
    crowd.new_items.look()
    assert NEW not in shown(crowd, "bob")
    assert NEW not in shown(crowd, FANS[0])  # who likes it
    assert NEW not in shown(crowd, exclude=[NEW])


def test_an_unlike_takes_a_liker_away(crowd: Rig) -> None:
    like_new(crowd, *FANS)
    crowd.new_items.look()
    unlike = Changes(users={FANS[0]: UserChange(remove={NEW})})
    unlike.new_items = NewItemChanges(unliked={NEW})
    crowd.store.apply(unlike, {})
    crowd.new_items.look()
    assert NEW not in shown(crowd)
    like_new(crowd, FANS[0])
    crowd.new_items.look()
    assert NEW in shown(crowd)


def test_a_forgotten_user_is_no_liker(crowd: Rig) -> None:
    like_new(crowd, *FANS)
    crowd.new_items.look()
    crowd.store.apply(Changes(users={FANS[0]: UserChange(forget=True)}), {})
    crowd.new_items.look()
    assert NEW not in shown(crowd)


def test_a_server_that_starts_later_knows_it(crowd: Rig) -> None:
    like_new(crowd, *FANS)
    crowd.replace_worker()
    crowd.new_items.look()
    assert NEW in shown(crowd)


def test_items_that_the_model_has_are_left_to_the_model(crowd: Rig) -> None:
    like_new(crowd, *FANS, new=item(0, 0))
    crowd.new_items.look()
    assert crowd.new_items.for_model(VERSION) is None
    assert shown(crowd).count(item(0, 0)) == 1


def test_a_new_model_without_the_item_is_ranked_with_it(tmp_path: Path) -> None:
    write_block_model(tmp_path, VERSION, blocks=2)
    crowd = Rig(tmp_path, VERSION)
    like(crowd.store, "ann", likes_but_one(0))
    like_new(crowd, *FANS)
    crowd.new_items.look()
    later = "20260102T000000.000Z"
    crowd.store.announce_model(write_block_model(tmp_path, later, blocks=3))
    wait_until(lambda: crowd.answer({"liked": []})["model"]["version"] == later, "the next model")
    assert NEW not in shown(crowd)  # its rows are of the model before
    crowd.new_items.look()
    assert NEW in shown(crowd)


def test_a_lost_store_takes_its_new_items_with_it(crowd: Rig) -> None:
    like_new(crowd, *FANS)
    crowd.new_items.look()
    crowd.store.flush()
    like(crowd.store, "ann", likes_but_one(0))
    crowd.new_items.look()
    assert crowd.new_items.for_model(VERSION) is None


def test_an_outage_between_the_likes_and_the_sets_loses_nothing(
    crowd: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(_: object) -> None:
        raise TransientError("down")

    like_new(crowd, *FANS)
    with monkeypatch.context() as patch:
        patch.setattr(crowd.store, "liked_items", unavailable)
        with pytest.raises(TransientError):
            crowd.new_items.look()
    crowd.new_items.look()
    assert NEW in shown(crowd)


def test_nothing_is_read_again_while_nothing_changes(
    crowd: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    like_new(crowd, *FANS)
    crowd.new_items.look()
    monkeypatch.setattr(crowd.store, "liked_items", None)  # calling it would fail
    crowd.new_items.look()
    assert NEW in shown(crowd)


def test_the_items_liked_last_are_ranked_if_there_are_too_many(
    crowd: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_items, "_MOST_LIKERS", 7)
    for number in range(4):
        fans = [UserId(f"{number} {fan}") for fan in range(3)]
        like_new(crowd, *fans, new=ItemId(f"new {number}"))
    crowd.new_items.look()
    additions = crowd.new_items.for_model(VERSION)
    assert additions is not None
    assert additions.item_ids == ["new 3", "new 2"]


def test_what_is_kept_of_likes_without_a_model_is_bounded(
    crowd: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_items, "_MOST_KEPT", 5)
    for number in range(4):
        like_new(crowd, *FANS, new=ItemId(f"new {number}"))
    crowd.new_items.look()
    additions = crowd.new_items.for_model(VERSION)
    assert additions is not None
    assert additions.item_ids == ["new 3"]


def test_a_thread_follows_and_survives_whatever_goes_wrong(
    crowd: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_items, "_LOOK_EVERY_S", 0.001)
    crowd.store.failure = RuntimeError("unheard of")  # type: ignore[assignment]  # that is the point
    with capture_logs() as logs, crowd.new_items.following():
        wait_until(lambda: bool(logs), "the failure in the log")
        crowd.store.failure = None
        like_new(crowd, *FANS)
        wait_until(lambda: crowd.new_items.for_model(VERSION) is not None, "the item")
    assert len(logs) == 1


def test_without_the_setting_nothing_is_followed(model_directory: Path) -> None:
    rig = Rig(
        model_directory, VERSION, settings=ServingSettings(poll_timeout_ms=1, new_item_likes=0)
    )
    like_new(rig, *FANS)
    with rig.new_items.following():
        assert rig.new_items.for_model(VERSION) is None
