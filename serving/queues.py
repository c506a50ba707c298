"""Where requests are queued until they are ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from likewise.records import TopicPartition
    from serving.backlog import Backlog
    from serving.unrouted import Unrouted
    from serving.waiting import Waiting


class Queues(NamedTuple):
    """The three queues, in the order in which a request passes through them.

    A request that waits for its `after` has had its turn already, and gets the next one when it is
    ready.
    """

    unrouted: Unrouted
    backlog: Backlog
    waiting: Waiting

    def keep_only(self, assigned: Collection[TopicPartition]) -> None:
        """Remove the requests of other partitions: another member reads them."""
        self.unrouted.keep_only(assigned)
        self.backlog.keep_only(assigned)
        self.waiting.keep_only(assigned)
