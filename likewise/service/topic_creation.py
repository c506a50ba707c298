"""Creating the topics that a service needs, where the settings ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.errors import SettingsError
from likewise.service.logs import get_logger

if TYPE_CHECKING:
    from likewise.log.port import Broker
    from likewise.log.topics import Topics


def create_topics(broker: Broker, topics: Topics, partitions: int) -> None:
    """Create the missing topics; those of documents and exposures only where the broker permits it.

    So an earlier deployment, whose other topics exist, needs no new permission.

    Raises:
        TransientError: the broker cannot be reached.
        SettingsError: the broker does not permit it.
    """
    broker.ensure_topics(topics.core_specs(partitions))
    try:
        broker.ensure_topics([*topics.document_specs(), topics.exposures_spec(partitions)])
    except SettingsError as error:
        get_logger().warning(
            "the topics of documents and exposures were not created", reason=str(error)
        )
