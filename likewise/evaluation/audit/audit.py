"""The main path: who is named, and why."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from likewise.evaluation.audit.breadth import too_broad
from likewise.evaluation.audit.evidence import Findings, Limits, Reason, Suspect, activity_of
from likewise.evaluation.audit.lockstep import groups_in_lockstep
from likewise.evaluation.audit.times import are_of_an_import, tireless, too_fast

if TYPE_CHECKING:
    from indexer.progress import Progress
    from likewise.evaluation.audit.evidence import Activity
    from likewise.evaluation.likes.table import LikeTable

_DEFAULT = Limits()


def audit(likes: LikeTable, progress: Progress, limits: Limits = _DEFAULT) -> Findings:
    """Return the users whose likes are not human, with evidence; the same likes give the same result.

    Times that are those of an import say nothing about people: they are ignored, and a note says so.
    Takes some 5 s and 250 MB for a million likes, in addition to reading them.
    """
    activity = activity_of(likes)
    findings = Findings(activity.n_users, activity.n_items, len(activity.users), timed=True)
    if not likes:
        return findings
    activity = _with_usable_times(activity, limits, findings)
    reasons: defaultdict[int, list[Reason]] = defaultdict(list)
    progress.step("too fast, too broad")
    for found in (too_fast(activity, limits), tireless(activity), too_broad(activity, limits)):
        for user, reason in found:
            reasons[user].append(reason)
    progress.step("lockstep groups")
    groups: dict[int, int] = {}
    for number, group in enumerate(groups_in_lockstep(activity, limits), start=1):
        when = f" within {limits.window_s / 60:g} minutes" if activity.times_ms is not None else ""
        sentence = (
            f"in lockstep with {len(group.users) - 1:,} others (group {number}): two of them share "
            f"{group.overlap:.0%} of their likes{when}, {group.common:,} items"
        )
        facts = {"group": number, "users": len(group.users), "overlap": round(group.overlap, 3)}
        for user in group.users:
            groups[user] = number
            reasons[user].append(Reason("lockstep", sentence, {**facts, "common": group.common}))
    counts, ids = np.diff(activity.starts), likes.interactions.user_ids
    findings.suspects = [
        Suspect(ids[user], int(counts[user]), found, groups.get(user))
        for user, found in reasons.items()
    ]
    findings.suspects.sort(key=lambda one: (one.group or 10**9, -one.likes, one.user_id))
    return findings


def _with_usable_times(activity: Activity, limits: Limits, findings: Findings) -> Activity:
    if activity.times_ms is None:
        findings.timed = False
        findings.notes.append(
            "not every like has a time: only breadth and identical likes are examined"
        )
        return activity
    if not are_of_an_import(activity, limits):
        return activity
    findings.timed = False
    findings.notes.append(
        f"nearly all users made all their likes within {limits.sustained_min:g} minutes: these are the times "
        "of an import, so that only breadth and identical likes are examined"
    )
    return activity._replace(times_ms=None)
