from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from likewise.errors import (
    ForeignDataError,
)
from likewise.messages.reply_routes import CORRELATION_HEADER
from likewise.ranking import recommend as ranking
from likewise.testing import MemoryStore
from serving import answering
from tests.serving_rig import (
    REPLIES,
    VERSION,
    Rig,
    error_of,
    item,
    items_of,
    like,
    likes_but_one,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from likewise.messages.ids import ItemId, UserId
    from likewise.ranking.queries import Query


BAD_REQUESTS: list[tuple[bytes | None, str]] = [
    (b'{"user_id": "u", "count": -1}', "invalid_count"),
    (b'{"user_id": "u", "count": 1000000000}', "invalid_count"),
    (b'{"user_id": "u", "count": NaN}', "not_json"),
    (b'{"user_id": "u", "count": "many"}', "wrong_type"),
    (b'{"user_id": ""}', "invalid_id"),
    (b'{"user_id": "' + b"x" * 257 + b'"}', "invalid_id"),
    (b"{}", "missing_field"),
    (b"[]", "wrong_type"),
    (b"\xff\xfe", "not_json"),
    (b"", "not_json"),
    (None, "null_value"),
    (b'{"user_id": "u", "deadline_ms": 0}', "invalid_deadline"),
    (b'{"user_id": "u", "after": "yesterday"}', "invalid_position"),
    (b'{"user_id": "u", "version": 2}', "unsupported_version"),
    (b'{"user_id": "u", "pad": "' + b"x" * 600_000 + b'"}', "too_large"),
]


@pytest.mark.parametrize(("value", "code"), BAD_REQUESTS)
def test_a_bad_request_gets_an_error_and_does_not_affect_the_next_one(
    rig: Rig, value: bytes | None, code: str
) -> None:
    like(rig.store, "good", likes_but_one(1))
    rig.ask(value, correlation=b"bad")
    rig.ask({"user_id": "good", "count": 1}, correlation=b"good")
    rig.worker.run_once()
    by_correlation = {
        dict(record.headers)[CORRELATION_HEADER]: json.loads(record.value or b"")
        for record in rig.broker.records(REPLIES)
    }
    assert error_of(by_correlation[b"bad"]) == code
    assert items_of(by_correlation[b"good"]) == [item(1, 0)]
    assert rig.committed() == 2


@pytest.mark.parametrize(("value", "code"), BAD_REQUESTS)
def test_a_bad_request_that_names_no_reply_topic_is_dead_lettered_as_it_came(
    rig: Rig, value: bytes | None, code: str
) -> None:
    rig.ask(value, reply_topic=None, correlation=None)
    rig.worker.run_once()
    [letter] = rig.dead_letters()
    assert letter.value == value
    assert dict(letter.headers)["likewise_reason"] == code.encode()
    assert rig.committed() == 1
    assert rig.worker.stats.dead_letters == 1


def test_an_error_reply_carries_the_request_id_of_an_invalid_request(rig: Rig) -> None:
    reply = rig.answer(
        {"request_id": "r9", "reply_to": REPLIES, "count": -1, "user_id": "u"}, reply_topic=None
    )
    assert reply["request_id"] == "r9"


def test_a_request_that_breaks_the_ranking_does_not_affect_the_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_on_poison(model: Any, queries: Sequence[Query], **how: Any) -> list[ranking.Ranked]:
        if any("poison" in query.liked for query in queries):
            raise ZeroDivisionError
        return ranking.recommend(model, queries, **how)

    monkeypatch.setattr(answering, "recommend", breaks_on_poison)
    for number in range(3):
        rig.ask({"liked": likes_but_one(number), "count": 1})
    rig.ask({"liked": ["poison"], "request_id": "bad"})
    with capture_logs() as logs:
        rig.worker.run_once()
    failed = [reply for reply in rig.replies() if "error" in reply]
    answered = [items_of(reply) for reply in rig.replies() if "error" not in reply]
    assert [(error_of(reply), reply["request_id"]) for reply in failed] == [("internal", "bad")]
    assert sorted(answered) == [[item(number, 0)] for number in range(3)]
    assert all(line["exc_info"] for line in logs if line["event"] == "ranking failed")
    assert len(logs) == 2  # the batch, and the one at fault


def test_a_user_whose_key_holds_something_else_does_not_affect_the_others(
    model_directory: Path,
) -> None:
    class StoreWithAForeignKey(MemoryStore):
        def _likes_of(self, users: Sequence[UserId]) -> list[set[ItemId]]:
            if "foreign" in users:
                raise ForeignDataError("likes:foreign is a string")
            return super()._likes_of(users)

    rig = Rig(model_directory, VERSION, store=StoreWithAForeignKey())
    like(rig.store, "u", likes_but_one(1))
    rig.ask({"user_id": "foreign"})
    rig.ask({"user_id": "u", "count": 1})
    rig.worker.run_once()
    replies = {reply["user_id"]: reply for reply in rig.replies()}
    assert error_of(replies["foreign"]) == "internal"
    assert items_of(replies["u"]) == [item(1, 0)]
