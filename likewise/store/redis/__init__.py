"""The store on Redis. No other package imports redis."""

from likewise.store.redis.store import RedisStore

__all__ = ["RedisStore"]
