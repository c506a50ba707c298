"""likewise: an open event-driven recommender.

Apps use `Likewise`, the client, with what it takes, returns and raises; everything else is
imported from its own module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise.client.client import Likewise
    from likewise.errors import (
        InvalidInputError,
        LikewiseError,
        ReplyError,
        ReplyTimeoutError,
        TransientError,
    )
    from likewise.messages.positions import Position
    from likewise.messages.replies import Recommendations, RecommendedItem

__version__ = "0.1.0"
__all__ = [
    "InvalidInputError",
    "Likewise",
    "LikewiseError",
    "Position",
    "Recommendations",
    "RecommendedItem",
    "ReplyError",
    "ReplyTimeoutError",
    "TransientError",
    "__version__",
]

# The client brings a Kafka library; `import likewise` alone stays cheap.
_HOMES = {
    "InvalidInputError": "likewise.errors",
    "Likewise": "likewise.client.client",
    "LikewiseError": "likewise.errors",
    "Position": "likewise.messages.positions",
    "Recommendations": "likewise.messages.replies",
    "RecommendedItem": "likewise.messages.replies",
    "ReplyError": "likewise.errors",
    "ReplyTimeoutError": "likewise.errors",
    "TransientError": "likewise.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
