"""What a server is connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from likewise.log.port import Sink, Source
    from likewise.models.holder import ModelHolder
    from likewise.service.loop import GroupMember
    from serving.catalogue_follower import CatalogueFollower
    from serving.impressions import Impressions
    from serving.lost_requests import LostRequests
    from serving.new_items import NewItems
    from serving.reply_topics import ReplyTopics
    from serving.store_view import StoreView
    from serving.variant_models import VariantModels


class Ports(NamedTuple):
    """What a worker is connected to. It closes none of it."""

    source: Source
    member: GroupMember
    """The membership of `source` in its group."""
    sink: Sink
    store_view: StoreView
    models: ModelHolder
    reply_topics: ReplyTopics
    lost_requests: LostRequests
    impressions: Impressions
    new_items: NewItems
    catalogue: CatalogueFollower
    variants: VariantModels
