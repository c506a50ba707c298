"""The settings `[experiments]`."""

from __future__ import annotations

from typing import Literal

import msgspec

from likewise.settings.types import Seconds


class ExperimentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lists count for which likes; docs/experiments.md."""

    lists: Literal["experiments", "all"] = "experiments"
    """Which lists servers and gateways write to the topic `exposures`: those of experiments that run, or
    those of all users."""
    window_s: Seconds = 86_400.0
    """For how long after a list a like of its items counts for it: of lists outside experiments, and of
    experiments that do not say. Default: a day."""
