"""Fakes that pass the same contract suites as the real servers; also for tests of apps."""

from likewise.testing.memory_broker import MemoryBroker
from likewise.testing.memory_store import MemoryStore

__all__ = ["MemoryBroker", "MemoryStore"]
