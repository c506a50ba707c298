"""The store on Redis; the only package that imports redis."""

from likewise.store.redis.store import RedisStore

__all__ = ["RedisStore"]
