"""The error of a file as a whole."""

from __future__ import annotations

from likewise.errors import LikewiseError


class LikeFileError(LikewiseError):
    """A file of likes or items can't be read or written; the sentence names the file and the reason."""
