"""`evaluate --exclude`: leaves users out, and measures what that changes for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from indexer.progress import Progress
    from likewise.evaluation.evaluate import Evaluation
    from likewise.evaluation.exclusion import ExclusionEffect
    from likewise.evaluation.likes.splits import Division
    from likewise.evaluation.likes.table import LikeTable
    from likewise.messages.ids import UserId


def read_excluded(path: Path | None) -> frozenset[UserId] | None:
    """Return the users in the file; None without a file.

    Raises:
        LikeFileError: the file cannot be read.
    """
    from likewise.operations.files.user_lists import read_user_list

    return None if path is None else read_user_list(path)


def remaining(
    likes: LikeTable, division: Division, excluded: frozenset[UserId] | None
) -> tuple[LikeTable, Division]:
    """Return the likes, and their splits, without those of the excluded users."""
    from likewise.evaluation.exclusion import kept_likes, without_users

    if excluded is None:
        return likes, division
    kept = kept_likes(likes, excluded)
    return without_users(likes, excluded), division._replace(splits=division.splits[kept])


def effect_on_others(
    likes: LikeTable,
    division: Division,
    found: Evaluation,
    excluded: frozenset[UserId] | None,
    progress: Progress,
) -> ExclusionEffect | None:
    """Return what the exclusion does to the quality for all others; None without one."""
    from likewise.evaluation.exclusion import effect_of_exclusion

    if excluded is None:
        return None
    options = found.options
    return effect_of_exclusion(
        likes,
        division,
        found.recipe,
        options.weights,
        excluded,
        k=options.k,
        seed=options.seed,
        progress=progress,
    )
