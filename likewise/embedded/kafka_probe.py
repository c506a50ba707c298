"""Probes a broker without a Kafka client: one Metadata request over a socket."""

from __future__ import annotations

import socket
import struct

from likewise.embedded.ports import HOST

# The oldest version that names the cluster; both brokers still support it.
_METADATA, _METADATA_VERSION = 3, 2
_TIMEOUT_S = 1.0
_MAX_BYTES = 65_536


def cluster_answers(port: int, cluster_id: str) -> bool:
    """Whether the cluster with this id serves on the loopback port; blocks for at most some seconds.

    A broker that has not joined its cluster yet returns an empty list of brokers, which counts as
    no answer.
    """
    try:
        with socket.create_connection((HOST, port), _TIMEOUT_S) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.sendall(_metadata_request())
            with connection.makefile("rb") as replies:
                (size,) = struct.unpack(">i", replies.read(4))
                reply = replies.read(min(size, _MAX_BYTES))
        _, brokers = struct.unpack_from(">ii", reply)
    except (OSError, struct.error):
        return False
    return brokers > 0 and cluster_id.encode() in reply


def _metadata_request() -> bytes:
    """Return a Metadata request for no topics (Kafka protocol guide, request header 1)."""
    client_id = b"likewise-embedded"
    header = struct.pack(">hhih", _METADATA, _METADATA_VERSION, 0, len(client_id)) + client_id
    no_topics = struct.pack(">i", 0)
    return struct.pack(">i", len(header + no_topics)) + header + no_topics
