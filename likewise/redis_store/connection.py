"""From settings to a Redis client: nothing connects before the first command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.retry import Retry

from likewise.errors import SettingsError

if TYPE_CHECKING:
    from likewise.settings import RedisSettings

Client = Redis | RedisCluster

_HEALTH_CHECK_INTERVAL_S = 30
_REDIRECTIONS = 3


def connection_options(settings: RedisSettings) -> dict[str, Any]:
    """Return the client library's options; what the settings say goes before the URL.

    Raises:
        SettingsError: the URL is none.
    """
    try:
        options = dict(parse_url(settings.url))  # type: ignore[no-untyped-call]  # redis-py left it out
    except ValueError:
        # Not `from error`: a password with an unescaped `/` or `#` is quoted in its text.
        raise SettingsError(
            "redis.url (LIKEWISE_REDIS_URL) is not a Redis URL; it must look like "
            "redis://host:6379/0, with special characters of a password percent-encoded"
        ) from None
    if settings.username is not None:
        options["username"] = settings.username
    if settings.password is not None:
        options["password"] = settings.password.reveal()
    return (
        options
        | _tls_options(settings, options)
        | {
            "socket_timeout": settings.timeout_s,
            "socket_connect_timeout": settings.timeout_s,
            "health_check_interval": _HEALTH_CHECK_INTERVAL_S,
            "protocol": 2,  # sets and strings need no more, and every proxy speaks it
            "decode_responses": True,
            # A member that somebody else wrote and that is no UTF-8 is shown, not raised over.
            "encoding_errors": "replace",
        }
    )


def _tls_options(settings: RedisSettings, options: dict[str, Any]) -> dict[str, Any]:
    given = {
        "ssl_ca_certs": settings.ssl_cafile,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
    }
    files = {name: str(path) for name, path in given.items() if path is not None}
    if files and options.get("connection_class") is not SSLConnection:
        raise SettingsError(
            "redis.ssl_cafile, redis.ssl_certfile and redis.ssl_keyfile would not be used: "
            "redis.url (LIKEWISE_REDIS_URL) must begin with rediss:// for TLS"
        )
    for path in files.values():
        try:
            open(path, "rb").close()  # the client would try again and again
        except OSError as error:
            raise SettingsError(
                f"redis.ssl_cafile, redis.ssl_certfile or redis.ssl_keyfile: {path!r} can't be "
                f"read: {error.strerror}"
            ) from error
    return files


def address(settings: RedisSettings) -> str:
    """Return where Redis is, for people: never with a user or a password."""
    options = connection_options(settings)
    if "path" in options:
        return str(options["path"])
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def connect(settings: RedisSettings) -> Client:
    """Return a client. A cluster is asked for its nodes at once, a single server for nothing.

    The client tries nothing again by itself: callers do, and log it.
    """
    options = connection_options(settings)
    if settings.cluster:
        return _connect_cluster(options)
    return Redis.from_pool(ConnectionPool(retry=Retry(NoBackoff(), 0), **options))


def _connect_cluster(options: dict[str, Any]) -> Client:
    if options.pop("db", 0) != 0 or "path" in options:
        raise SettingsError(
            "redis.url (LIKEWISE_REDIS_URL) must name a host and database 0 when "
            "redis.cluster is true: a cluster has no other databases and no local socket"
        )
    tls = options.pop("connection_class", None) is SSLConnection
    options.setdefault("host", "localhost")
    # These retries follow redirections while slots move; each one is immediate.
    return RedisCluster(retry=Retry(NoBackoff(), _REDIRECTIONS), ssl=tls, **options)
