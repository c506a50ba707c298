"""Reads the records that are new, and follows the rebalances of the group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likewise.service import tracing
from serving.incoming import record_id_of

if TYPE_CHECKING:
    from likewise.records import Record, Span, TopicPartition
    from serving.commits import Commits
    from serving.ledger import Ledger
    from serving.ports import Ports
    from serving.queues import Queues
    from serving.stats import ServingStats


class Reader:
    """Reads as a member of the group. Every record that it returns is in the ledger."""

    def __init__(
        self,
        ports: Ports,
        ledger: Ledger,
        queues: Queues,
        commits: Commits,
        stats: ServingStats,
    ) -> None:
        self._source = ports.source
        self._member = ports.member
        self._ledger = ledger
        self._queues = queues
        self._commits = commits
        self._lost_requests = ports.lost_requests
        self._stats = stats
        self._rebalances = 0

    def read(self, timeout_ms: int) -> list[Record]:
        """Return the next records, without those that are open or answered already.

        Without room in the backlog it reads nothing, and stays a member of the group.

        Raises:
            StoppedError: the worker was told to stop while the broker was unavailable.
        """
        polled: list[Record] = []
        spans: dict[TopicPartition, Span] = {}
        if self._queues.backlog.has_room:
            polled = self._member.retry(lambda: self._source.poll(timeout_ms))
            spans = self._source.spans()
        else:
            self._source.keep_alive()
        self._member.beat()
        assigned = self._source.assignment()
        self._follow_rebalance(assigned)
        self._commits.note_read(spans)
        self._stats.lost += self._lost_requests.count(assigned, spans)
        new = [record for record in polled if self._is_new(record)]
        tracing.received(new)
        return new

    def _follow_rebalance(self, assigned: set[TopicPartition]) -> None:
        if self._ledger.keep_only(assigned):
            self._queues.keep_only(assigned)
        self._commits.keep_only(assigned)
        rebalances = self._source.rebalances()
        if rebalances != self._rebalances:
            committed = self._member.retry(self._source.committed)
            self._commits.resume(committed)
            self._lost_requests.resume(committed)
            self._rebalances = rebalances

    def _is_new(self, record: Record) -> bool:
        """Enter the record in the ledger, unless a rebalance has delivered it again."""
        record_id = record_id_of(record)
        if record_id in self._ledger or self._commits.is_answered(record_id):
            return False
        self._ledger.open(record_id)
        return True
