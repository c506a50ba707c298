"""Copies a deployment between one Redis and a Redis Cluster: start reading at `migrate.py`."""

from likewise.store.redis.migration.migrate import Migrated, Migration

__all__ = ["Migrated", "Migration"]
