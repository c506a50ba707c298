"""What the exit code of a command says; 0 is success, 130 a Ctrl-C."""

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

FAILED = 1
"""The command failed, or found what it was to look out for (`verify`: a difference)."""
USAGE = 2
"""An option, an argument or a setting can't be used."""
MISSING_EXTRA = 3
"""A dependency is not installed."""
OUT_OF_REACH = 4
"""A server, or an answer, did not come in time; the same command may succeed later."""
ROWS_LEFT_OUT = 5
"""Done, but for rows of the file that could not be read; they are listed."""


def exit_code_of(error: LikewiseError) -> int:
    """Return the exit code that stands for the error."""
    match error:
        case SettingsError():
            return USAGE
        case MissingExtraError():
            return MISSING_EXTRA
        case TransientError() | ReplyTimeoutError():
            return OUT_OF_REACH
    return FAILED
