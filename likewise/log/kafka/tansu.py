"""Workarounds for Tansu, the embedded broker. No other broker is asked any of this."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from likewise.errors import TransientError
from likewise.log.kafka.dialect import Dialect
from likewise.log.kafka.gaps import Gaps
from likewise.log.kafka.idle_fetches import IdleFetches
from likewise.log.kafka.reading import KafkaReader, KafkaSource, close_consumer, is_stable
from likewise.log.kafka.rebalancing import RebalanceListener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from likewise.log.kafka.connection import Connection
    from likewise.log.kafka.dialect import Cluster
    from likewise.log.kafka.fetching import Consumer
    from likewise.records import Record, TopicPartition

_CREATE_PARTITIONS, _OFFSET_FOR_LEADER_EPOCH = 37, 23
_SUCCESSION_TIMEOUT_S = 10.0
_SUCCESSION_POLL_MS = 100
_FETCH_POLL_MS = 10


def is_tansu(admin: Any) -> bool:
    """Whether an admin client of kafka-python is connected to Tansu. No I/O.

    Tansu 0.6 does not name itself. It lacks these two requests, which Apache Kafka has had since 1.0.
    """
    # `admin.api_versions()` raises ValueError for a request that is newer than kafka-python 3.0.
    supported = admin._manager.broker_version_data.api_versions
    return not {_CREATE_PARTITIONS, _OFFSET_FOR_LEADER_EPOCH} & supported.keys()


class TansuListener(RebalanceListener):
    """Also remembers who leads the group."""

    leader: str | None = None
    """The member that led when we last joined, if it was another one."""

    def attach(self, consumer: Any) -> None:
        """See `RebalanceListener.attach`."""
        super().attach(consumer)
        coordinator = consumer._coordinator
        process = coordinator._process_join_group_response

        def remember_leader(response: Any, sent_s: float) -> Any:
            leads = response.leader == response.member_id
            self.leader = None if leads else response.leader or None
            return process(response, sent_s)

        coordinator._process_join_group_response = remember_leader


class TansuReader(KafkaReader):
    """A reader that waits for records that Tansu returns too late."""

    def __init__(self, consumer: Consumer, connection: Connection) -> None:
        super().__init__(consumer, connection)
        self._gaps = Gaps()

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `LogReader.poll`."""
        return self._gaps.hold_back(self._consumer, super().poll(timeout_ms))


class TansuSource(KafkaSource):
    """A member that waits for late records, and gets a group going whose leader left while it formed."""

    listener_type = TansuListener
    _listener: TansuListener

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """See `KafkaSource`."""
        super().__init__(*arguments, **options)
        self._gaps = Gaps()
        self._idle_fetches = IdleFetches(self._connection.settings.fetch_max_wait_ms)

    def poll(self, timeout_ms: int) -> list[Record]:
        """See `Source.poll`."""
        records = super().poll(timeout_ms)
        self._idle_fetches.note(self._consumer, found=bool(records))
        return self._gaps.hold_back(self._consumer, records)

    def rejoin(self) -> None:
        """See `Source.rejoin`."""
        lost = not self.is_member()
        if lost and self._listener.leader is not None:
            self._stand_in_for(self._listener.leader)
        made = self._make(self._listener)
        if lost:
            # Without a member id the client sends no LeaveGroup, which would stop the group that
            # `_stand_in_for` has just repaired. The old member times out with its session.
            self._consumer._coordinator.reset_generation()
        self._replace_consumer(made)

    def _stand_in_for(self, leader: str) -> None:
        """Join with the id of a leader that is gone, assign the partitions, and leave.

        Tansu waits forever for a leader that left while the group was forming. Once somebody with
        its id has led a formed group and left, Tansu elects another one. A leader that is still
        there rejoins with its next heartbeat.
        """
        stand_in = self._make(TansuListener())
        try:
            stand_in._coordinator.reset_generation(leader)
            deadline_s = time.monotonic() + _SUCCESSION_TIMEOUT_S
            with self._connection.errors("joining in place of the leader"):
                while not is_stable(stand_in) and time.monotonic() < deadline_s:
                    stand_in.poll(_SUCCESSION_POLL_MS)  # never committed, so it is read again
        finally:
            close_consumer(stand_in)


class Tansu(Dialect):
    """The requests that give the same answers on Tansu."""

    source = TansuSource
    reader = TansuReader

    def end_offsets(
        self, broker: Cluster, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Fetch: Tansu's ListOffsets counts the last batch as one record, a fetch names the true end.

        Raises:
            TransientError: no answer for some partitions in time.
        """
        timeout_s = broker.request_timeout_s
        deadline_s = time.monotonic() + timeout_s
        with closing(broker.read(broker.least_ends(partitions), fetch_max_wait_ms=1)) as reader:
            while missing := set(partitions) - reader.known_ends().keys():
                if time.monotonic() > deadline_s:
                    raise TransientError(
                        f"no end offsets of {len(missing)} partitions within {timeout_s:g} s"
                    ).of("kafka")
                reader.poll(_FETCH_POLL_MS)
            return reader.known_ends()

    def offsets_since(
        self, broker: Cluster, partitions: Sequence[TopicPartition], _time_ms: int
    ) -> dict[TopicPartition, int]:
        """Return the beginnings: Tansu compares with the time of arrival, not the timestamp."""
        return broker.beginning_offsets(partitions)
