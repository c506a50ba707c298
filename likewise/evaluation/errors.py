"""What makes an evaluation impossible."""

from __future__ import annotations

from likewise.errors import LikewiseError


class EvaluationError(LikewiseError):
    """These likes can't be evaluated; the sentence says what is missing."""
