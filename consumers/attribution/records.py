"""From the records of a poll to exposures and likes by user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import InvalidInputError
from likewise.experiments.kept import Liked
from likewise.messages.dead_letters import DeadLetter
from likewise.messages.exposures import decode_exposure
from likewise.messages.likes import decode_like

if TYPE_CHECKING:
    from collections.abc import Iterable

    from likewise.experiments.attribution import UserRecords
    from likewise.records import Record


def decode(
    records: Iterable[Record], exposures: str, *, since_ms: int
) -> tuple[UserRecords, list[DeadLetter]]:
    """Return what may count, and a dead letter for each undecodable record of the topic `exposures`.

    Likes before `since_ms` are left out. Undecodable likes are the worker's to dead-letter.
    """
    found: UserRecords = {}
    letters: list[DeadLetter] = []
    for record in records:
        if record.topic == exposures:
            try:
                exposure = decode_exposure(record)
            except InvalidInputError as reason:
                letters.append(DeadLetter.of(record, reason))
            else:
                found.setdefault(exposure.user_id, []).append(exposure)
        elif record.timestamp >= since_ms and (like := decode_like(record)) is not None:
            liked = Liked(record.timestamp, like.item_id, like.recommendation_id)
            found.setdefault(like.user_id, []).append(liked)
    return found, letters
