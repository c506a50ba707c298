"""likewise: an open event-driven recommender.

Apps use `Likewise`, the client; everything else is imported from its own module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise.client import Likewise

__version__ = "0.1.0"
__all__ = ["Likewise", "__version__"]


def __getattr__(name: str) -> Any:
    # The client brings a Kafka library; `import likewise` alone stays cheap.
    if name == "Likewise":
        from likewise.client import Likewise

        return Likewise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
