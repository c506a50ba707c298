"""Makes a Redis client from settings. Nothing connects before the first command."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from likewise.errors import SettingsError
from likewise.store.keys import allows_slot_tags
from likewise.store.redis.urls import RedisUrl, read_url

if TYPE_CHECKING:
    from likewise.settings import RedisSettings

Client = Redis | RedisCluster

_HEALTH_CHECK_INTERVAL_S = 30
_REDIRECTIONS = 3


def address(settings: RedisSettings) -> str:
    """Return the address of Redis for messages, without user and password.

    Raises:
        SettingsError: the settings cannot be used.
    """
    url = read_url(settings.url)
    connection_options(settings, url)
    return url.address


def connect(settings: RedisSettings) -> Client:
    """Return a client. For a cluster this reads the list of nodes; otherwise nothing connects yet.

    With Sentinel, each new connection first asks the sentinels for the primary. The client does not
    retry: the callers do, and log it.
    """
    url = read_url(settings.url)
    options = connection_options(settings, url)
    if settings.cluster:
        return _connect_cluster(url, options)
    if url.sentinels:
        return _connect_through_sentinels(settings, url, options)
    return Redis.from_pool(ConnectionPool(retry=_once(), **options))


def disconnect(client: Client) -> None:
    """Close the client's idle connections; those in use close when they are released."""
    if isinstance(client, RedisCluster):
        for node in client.get_nodes():  # type: ignore[no-untyped-call]  # redis-py left it out
            if node.redis_connection is not None:
                node.redis_connection.connection_pool.disconnect(inuse_connections=False)
        return
    pool = client.connection_pool
    pool.disconnect(inuse_connections=False)
    if isinstance(pool, SentinelConnectionPool):
        with suppress(RedisError, OSError):
            pool.sentinel_manager.close()


def connection_options(settings: RedisSettings, url: RedisUrl) -> dict[str, Any]:
    """Return the client library's options; the settings take precedence over the URL.

    Raises:
        SettingsError: they contradict each other, or a file cannot be read.
    """
    options = dict(url.options)
    if settings.username is not None:
        options["username"] = settings.username
    if settings.password is not None:
        options["password"] = settings.password.reveal()
    if not url.sentinels and (settings.sentinel_username or settings.sentinel_password):
        raise SettingsError(
            "redis.sentinel_username and redis.sentinel_password need Sentinel: redis.url "
            "(LIKEWISE_REDIS_URL) must begin with redis+sentinel:// or rediss+sentinel://"
        )
    if settings.cluster and not allows_slot_tags(settings.key_prefix):
        raise SettingsError(
            f"redis.key_prefix (LIKEWISE_REDIS_KEY_PREFIX) is {settings.key_prefix!r}: on a Redis "
            "Cluster its first `{` must be followed by a name and `}`, as in `{shop}.`; or leave "
            "the braces out"
        )
    return options | _tls_options(settings, url) | _common_options(settings)


def _common_options(settings: RedisSettings) -> dict[str, Any]:
    return {
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.timeout_s,
        "health_check_interval": _HEALTH_CHECK_INTERVAL_S,
        "protocol": 2,  # enough for sets and strings, and every proxy supports it
        "decode_responses": True,
        # A foreign member that is not UTF-8 must not raise.
        "encoding_errors": "replace",
    }


def _tls_options(settings: RedisSettings, url: RedisUrl) -> dict[str, Any]:
    given = {
        "ssl_ca_certs": settings.ssl_cafile,
        "ssl_certfile": settings.ssl_certfile,
        "ssl_keyfile": settings.ssl_keyfile,
    }
    files = {name: str(path) for name, path in given.items() if path is not None}
    if files and not url.tls:
        raise SettingsError(
            "redis.ssl_cafile, redis.ssl_certfile and redis.ssl_keyfile need TLS: redis.url "
            "(LIKEWISE_REDIS_URL) must begin with rediss://"
        )
    for path in files.values():
        try:
            open(path, "rb").close()  # the client would retry for ever
        except OSError as error:
            raise SettingsError(
                f"redis.ssl_cafile, redis.ssl_certfile or redis.ssl_keyfile: {path!r} cannot be "
                f"read: {error.strerror}"
            ) from error
    # The defaults, spelled out in case a version of the client library changes them.
    checks = {"ssl_cert_reqs": "required", "ssl_check_hostname": True} if url.tls else {}
    return files | checks


def _connect_through_sentinels(
    settings: RedisSettings, url: RedisUrl, options: dict[str, Any]
) -> Client:
    options.pop("connection_class", None)
    common = _common_options(settings) | _tls_options(settings, url) | {"retry": _once()}
    password = settings.sentinel_password
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py left it out
        list(url.sentinels),
        sentinel_kwargs={
            **common,
            "ssl": url.tls,
            "username": settings.sentinel_username,
            "password": None if password is None else password.reveal(),
        },
    )
    pool = SentinelConnectionPool(  # type: ignore[no-untyped-call]  # redis-py left it out
        url.service, sentinel, retry=_once(), ssl=url.tls, **options
    )
    return Redis.from_pool(pool)


def _connect_cluster(url: RedisUrl, options: dict[str, Any]) -> Client:
    if options.pop("db", 0) != 0 or "path" in options or url.sentinels:
        raise SettingsError(
            "redis.url (LIKEWISE_REDIS_URL) must name a host and database 0 when "
            "redis.cluster is true: a cluster has no other databases, no local socket and no "
            "sentinels"
        )
    options.pop("connection_class", None)
    options.setdefault("host", "localhost")
    # These immediate retries follow redirections while slots move.
    return RedisCluster(retry=Retry(NoBackoff(), _REDIRECTIONS), ssl=url.tls, **options)


def _once() -> Retry:
    return Retry(NoBackoff(), 0)
