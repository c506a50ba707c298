"""The error of an evaluation."""

from __future__ import annotations

from likewise.errors import LikewiseError


class EvaluationError(LikewiseError):
    """These likes can't be evaluated; the message says what is missing."""
