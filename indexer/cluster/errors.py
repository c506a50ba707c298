"""What fails a build on a cluster."""

from __future__ import annotations

from likewise.errors import LikewiseError


class ClusterError(LikewiseError):
    """A build cannot be done on the cluster as it is now; the message names the cause and the fix."""


class ShardLostError(LikewiseError):
    """A worker does not have its shard, or its worker is gone; the step can be repeated elsewhere."""
