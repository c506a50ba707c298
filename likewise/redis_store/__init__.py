"""The store on Redis; the only package that imports redis."""

from likewise.redis_store.store import RedisStore

__all__ = ["RedisStore"]
