"""The exit codes of the commands; docs/operations.md has them as a table (`make docs`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import (
    MissingExtraError,
    ReplyTimeoutError,
    SettingsError,
    TransientError,
)

if TYPE_CHECKING:
    from likewise.errors import LikewiseError

SUCCEEDED = 0
"""The command succeeded."""
FAILED = 1
"""The command failed, or found a problem (`verify`: a difference, `health`: not healthy)."""
USAGE = 2
"""An option, an argument or a setting is not usable."""
MISSING_EXTRA = 3
"""A dependency is not installed; the message names the extra."""
OUT_OF_REACH = 4
"""A server could not be reached, or did not answer in time. The same command may succeed later."""
ROWS_LEFT_OUT = 5
"""The import is complete except for rows that could not be read; they are listed."""
INCOMPLETE = 6
"""The answer is printed, but retention, compaction or pruning has removed a part of what it needs; the
command lists what."""
INTERRUPTED = 130
"""Ctrl-C."""


def exit_code_of(error: LikewiseError) -> int:
    """Return the exit code for the error."""
    match error:
        case SettingsError():
            return USAGE
        case MissingExtraError():
            return MISSING_EXTRA
        case TransientError() | ReplyTimeoutError():
            return OUT_OF_REACH
    return FAILED
