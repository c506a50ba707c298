"""Parses `redis.url`, which has the address of Redis and no security options."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.connection import SSLConnection, parse_url

from likewise.errors import SettingsError

_SENTINEL_PORT = 26379
_SENTINEL = "+sentinel"
_FORM = (
    "redis.url (LIKEWISE_REDIS_URL) is not a Redis URL; it must look like redis://host:6379/0 or "
    "redis+sentinel://host1:26379,host2:26379/service/0, with special characters of a password "
    "percent-encoded"
)
_CHECKED = (
    "likewise always verifies the certificate; set the trusted authority in redis.ssl_cafile "
    "(LIKEWISE_REDIS_SSL_CAFILE)"
)
_TIMEOUT = "set redis.timeout_s (LIKEWISE_REDIS_TIMEOUT_S)"
# Options that other clients accept in a URL, and what to use instead.
_INSTEAD = {
    "username": "set redis.username (LIKEWISE_REDIS_USERNAME)",
    "password": "set redis.password (LIKEWISE_REDIS_PASSWORD), or LIKEWISE_REDIS_PASSWORD_FILE",
    "sentinel_username": "set redis.sentinel_username (LIKEWISE_REDIS_SENTINEL_USERNAME)",
    "sentinel_password": "set redis.sentinel_password (LIKEWISE_REDIS_SENTINEL_PASSWORD)",
    "ssl": "begin the URL with rediss:// for TLS",
    "ssl_cert_reqs": _CHECKED,
    "ssl_check_hostname": _CHECKED,
    "ssl_ca_certs": "set redis.ssl_cafile (LIKEWISE_REDIS_SSL_CAFILE)",
    "ssl_certfile": "set redis.ssl_certfile (LIKEWISE_REDIS_SSL_CERTFILE)",
    "ssl_keyfile": "set redis.ssl_keyfile (LIKEWISE_REDIS_SSL_KEYFILE)",
    "socket_timeout": _TIMEOUT,
    "socket_connect_timeout": _TIMEOUT,
}
_STRICT = {"ssl_cert_reqs": {"required", "cert_required"}, "ssl_check_hostname": {"true", "1"}}


class RedisUrl(NamedTuple):
    """A parsed URL: the client library's options, and with Sentinel the sentinels to ask."""

    options: dict[str, Any]
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""

    @property
    def tls(self) -> bool:
        """Whether the URL asks for TLS."""
        return self.options.get("connection_class") is SSLConnection

    @property
    def address(self) -> str:
        """The address for messages, without user and password."""
        if self.sentinels:
            return (
                f"{self.service} of {','.join(f'{host}:{port}' for host, port in self.sentinels)}"
            )
        if "path" in self.options:
            return str(self.options["path"])
        return f"{self.options.get('host', 'localhost')}:{self.options.get('port', 6379)}"


def read_url(url: str) -> RedisUrl:
    """Return the parsed URL.

    Raises:
        SettingsError: it is not a Redis URL, or has an option that is not allowed. The sentence
            shows neither a password nor an option's value.
    """
    try:
        scheme, _, rest = url.partition("://")
        kind, _, through = scheme.lower().partition("+")
        _check_options(url)
        if f"+{through}" == _SENTINEL and kind in ("redis", "rediss"):
            return _read_sentinel_url(kind, rest)
        if through:
            raise ValueError(scheme)
        _check_database(url)
        return RedisUrl(_parsed(url))
    except ValueError:
        # Not `from error`, whose text would quote a password with an unescaped `/` or `#`.
        raise SettingsError(_FORM) from None


def _read_sentinel_url(kind: str, rest: str) -> RedisUrl:
    hosts_and_user, _, path = rest.partition("/")
    user, at, hosts = hosts_and_user.rpartition("@")
    path, mark, query = path.partition("?")
    service, _, database = path.partition("/")
    if not service or "@" in path:
        raise ValueError("no service")
    sentinels = tuple(_host_and_port(host) for host in hosts.split(","))
    plain = f"{kind}://{user}{at}sentinel/{database}{mark}{query}"
    _check_database(plain)
    options = _parsed(plain)
    options.pop("host")
    return RedisUrl(options, sentinels, unquote(service))


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text.strip()}")
    if not parts.hostname or parts.path:
        raise ValueError("no host")
    return parts.hostname, parts.port or _SENTINEL_PORT


def _check_options(url: str) -> None:
    query = url.partition("?")[2].partition("#")[0]
    if "@" in query:  # probably a password with an unescaped `?`; do not quote it
        raise ValueError("no options")
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "db" or value.lower() in _STRICT.get(name, ()):
            continue
        remedy = _INSTEAD.get(name, "remove it; use the settings in [redis]")
        raise SettingsError(
            f"redis.url (LIKEWISE_REDIS_URL) has the option {name!r}, but only `db` is allowed: "
            f"{remedy}"
        )


def _check_database(url: str) -> None:
    """Raise if the path is not a number, which the client library would ignore."""
    parts = urlsplit(url)
    database = dict(parse_qsl(parts.query)).get("db", "")
    if parts.scheme != "unix" and not database:
        database = unquote(parts.path).strip("/")
    if database and not database.isdecimal():
        raise ValueError("no database")


def _parsed(url: str) -> dict[str, Any]:
    options = dict(parse_url(url))  # type: ignore[no-untyped-call]  # redis-py left it out
    return {name: value for name, value in options.items() if name not in _STRICT}
