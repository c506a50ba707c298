"""What a prequential canary counts: which of two models had predicted each sampled like. Pure.

Likes of one user are not independent, so they are summed by group before they are squared. A user is
always in the same group, and a group does not name its users: that bounds what is stored, whatever the
number of users.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from likewise.experiments.tally import empty_tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from likewise.experiments.tally import ExperimentTally
    from likewise.messages.ids import UserId

GROUPS: Final = 512
_SAMPLED: Final = "sampled"


class Pair(NamedTuple):
    """A sampled like of a user of this group, and whether each model had recommended the item."""

    group: int
    by_control: bool
    by_canary: bool


def group_of(user_id: UserId) -> int:
    """Return the group of a user."""
    return crc32(user_id.encode()) % GROUPS


def fields_of(pairs: Iterable[Pair], variants: Sequence[str]) -> dict[str, int]:
    """Return what the pairs add to the fields of the run's tally; `variants` are the control and the canary.

    A field is named `group/number/count`, where the count is `sampled` or a variant.
    """
    control, canary = variants
    fields: Counter[str] = Counter()
    for group, by_control, by_canary in pairs:
        fields[f"group/{group}/{_SAMPLED}"] += 1
        if by_control:
            fields[f"group/{group}/{control}"] += 1
        if by_canary:
            fields[f"group/{group}/{canary}"] += 1
    return dict(fields)


def tally_of_pairs(fields: Mapping[str, int], variants: Sequence[str]) -> ExperimentTally:
    """Return the tally as that of an interleaved experiment, with groups in place of users.

    `lists` are sampled likes, `likes` and `hits` those that the variant had predicted. Fields of other names
    are ignored.
    """
    control, canary = variants
    tally = empty_tally(variants)
    for group in range(GROUPS):
        sampled, ours, theirs = (
            fields.get(f"group/{group}/{name}", 0) for name in (_SAMPLED, control, canary)
        )
        tally.cross += ours * theirs
        for name, hits in ((control, ours), (canary, theirs)):
            variant = tally.variants[name]
            variant.lists += sampled
            variant.likes += hits
            variant.hits += hits
            variant.n2 += sampled * sampled
            variant.ny += sampled * hits
            variant.y2 += hits * hits
    return tally
