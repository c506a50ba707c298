"""likewise: an open event-driven recommender.

Apps use a client: `Likewise` over Kafka, `LikewiseHttp` over HTTP. Everything that it takes, returns and raises is here; import the
rest from its own module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likewise.client.client import Likewise
    from likewise.client.http import AsyncLikewiseHttp, LikewiseHttp
    from likewise.client.ids import Id
    from likewise.client.options import Options
    from likewise.errors import (
        InvalidInputError,
        LikewiseError,
        ReplyError,
        ReplyTimeoutError,
        SettingsError,
        TransientError,
        UndeliverableError,
    )
    from likewise.log.port import Broker
    from likewise.messages.events import (
        Event,
        ForgetUser,
        Like,
        MergeUsers,
        RestoreItem,
        RetireItem,
        Signal,
        Unlike,
        Unsignal,
    )
    from likewise.messages.ids import ItemId, SignalKind, UserId
    from likewise.messages.items import Label
    from likewise.messages.positions import Position
    from likewise.messages.replies import (
        Because,
        ModelStamp,
        RankedUser,
        Recommendations,
        RecommendedItem,
        Source,
    )
    from likewise.messages.request_options import RankedBy
    from likewise.settings import KafkaSettings, Secret

__version__ = "0.1.0"
__all__ = [
    "AsyncLikewiseHttp",
    "Because",
    "Broker",
    "Event",
    "ForgetUser",
    "Id",
    "InvalidInputError",
    "ItemId",
    "KafkaSettings",
    "Label",
    "Like",
    "Likewise",
    "LikewiseError",
    "LikewiseHttp",
    "MergeUsers",
    "ModelStamp",
    "Options",
    "Position",
    "RankedBy",
    "RankedUser",
    "Recommendations",
    "RecommendedItem",
    "ReplyError",
    "ReplyTimeoutError",
    "RestoreItem",
    "RetireItem",
    "Secret",
    "SettingsError",
    "Signal",
    "SignalKind",
    "Source",
    "TransientError",
    "UndeliverableError",
    "Unlike",
    "Unsignal",
    "UserId",
    "__version__",
]

# Resolved when first used: the client imports a Kafka library, `import likewise` alone stays fast.
_MODULES = {
    "likewise.client.client": ["Likewise"],
    "likewise.client.http": ["AsyncLikewiseHttp", "LikewiseHttp"],
    "likewise.client.ids": ["Id"],
    "likewise.client.options": ["Options"],
    "likewise.errors": [
        "InvalidInputError",
        "LikewiseError",
        "ReplyError",
        "ReplyTimeoutError",
        "SettingsError",
        "TransientError",
        "UndeliverableError",
    ],
    "likewise.log.port": ["Broker"],
    "likewise.messages.events": [
        "Event",
        "ForgetUser",
        "Like",
        "MergeUsers",
        "RestoreItem",
        "RetireItem",
        "Signal",
        "Unlike",
        "Unsignal",
    ],
    "likewise.messages.ids": ["ItemId", "SignalKind", "UserId"],
    "likewise.messages.items": ["Label"],
    "likewise.messages.positions": ["Position"],
    "likewise.messages.replies": [
        "Because",
        "ModelStamp",
        "RankedUser",
        "Recommendations",
        "RecommendedItem",
        "Source",
    ],
    "likewise.messages.request_options": ["RankedBy"],
    "likewise.settings": ["KafkaSettings", "Secret"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
