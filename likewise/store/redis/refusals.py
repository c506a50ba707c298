"""Turns what Redis or its client reports into the error for the caller, with a remedy."""

from __future__ import annotations

import re
from typing import NamedTuple

from redis.exceptions import (
    ConnectionError,
    RedisClusterException,
    RedisError,
    TimeoutError,
)

from likewise.errors import ForeignDataError, LikewiseError, SettingsError, TransientError

FAILURES = (RedisError, RedisClusterException, OSError)
"""Everything the client library raises when the server or the connection fails."""


class _Refusal(NamedTuple):
    signs: re.Pattern[str]
    kind: type[LikewiseError]
    meaning: str


# Matched by text and not by class: errors in a script or at the start of a cluster are wrapped in
# others. The first match counts.
_REFUSALS = [
    _Refusal(re.compile(signs), kind, meaning)
    for signs, kind, meaning in [
        (
            r"No master found(?!.*(?:Error \d|Timeout|closed by server)).*AuthenticationError",
            SettingsError,
            "is behind sentinels that refuse the credentials; set redis.sentinel_password "
            "(LIKEWISE_REDIS_SENTINEL_PASSWORD) and, for a user other than the default one, "
            "redis.sentinel_username",
        ),
        (
            r"No master found",
            TransientError,
            "has no primary that its sentinels consider up; wait for the failover to end, or "
            "correct the service name in redis.url (LIKEWISE_REDIS_URL)",
        ),
        (
            r"WRONGPASS|NOAUTH|invalid username-password|invalid password"
            r"|Authentication required|AUTH.*(without any|no) password",
            SettingsError,
            "refuses the credentials; set redis.password (LIKEWISE_REDIS_PASSWORD) and, for a "
            "user other than the default one, redis.username (LIKEWISE_REDIS_USERNAME)",
        ),
        (
            r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
            SettingsError,
            "has a certificate that is not trusted; set redis.ssl_cafile "
            "(LIKEWISE_REDIS_SSL_CAFILE) to the authority that signed it, and use the certificate's "
            "host name in redis.url",
        ),
        (
            r"(?i:ALERT.{0,20}CERTIFICATE|certificate required|unknown.ca\b)",
            SettingsError,
            "rejects our client certificate, or requires one; set redis.ssl_certfile and "
            "redis.ssl_keyfile (LIKEWISE_REDIS_SSL_CERTFILE, LIKEWISE_REDIS_SSL_KEYFILE)",
        ),
        (
            r"(?i:WRONG.VERSION.NUMBER|RECORD.LAYER.FAILURE)",
            SettingsError,
            "does not speak TLS on that port; use another port, or begin redis.url "
            "(LIKEWISE_REDIS_URL) with redis://",
        ),
        (
            r"PEM.lib|KEY_VALUES_MISMATCH|NO_CERTIFICATE_OR_CRL_FOUND",
            SettingsError,
            "cannot be used over TLS: redis.ssl_cafile, redis.ssl_certfile and "
            "redis.ssl_keyfile must be PEM files, and the last two must match",
        ),
        (
            r"NOPERM|no permissions",
            SettingsError,
            "denies this user a command or key; grant the rights that docs/security.md "
            "lists, or set another redis.username (LIKEWISE_REDIS_USERNAME)",
        ),
        (
            r"Cluster mode is not enabled|cluster support disabled",
            SettingsError,
            "is not a cluster; set redis.cluster (LIKEWISE_REDIS_CLUSTER) to false",
        ),
        (
            r"MOVED|CROSSSLOT|don't hash to the same slot",
            SettingsError,
            "is a node of a cluster; set redis.cluster (LIKEWISE_REDIS_CLUSTER) to true",
        ),
        (
            r"DB index is out of range|invalid DB index",
            SettingsError,
            "does not have that database; choose another one in redis.url (LIKEWISE_REDIS_URL)",
        ),
        (
            r"OOM",
            TransientError,
            "is out of memory and refuses writes; raise its maxmemory or add memory",
        ),
        (
            r"READONLY|previous master is now a slave",
            TransientError,
            "is a read-only replica; wait for the failover to end, or set the primary in "
            "redis.url (LIKEWISE_REDIS_URL)",
        ),
        (
            r"MISCONF",
            TransientError,
            "cannot save to its disk and refuses writes; free disk space or fix its permissions",
        ),
        (r"LOADING", TransientError, "is still loading its data"),
        (r"NOREPLICAS", TransientError, "has fewer replicas than it needs to accept writes"),
        (r"MASTERDOWN", TransientError, "is a replica that has lost its primary"),
        (
            r"CLUSTERDOWN|TRYAGAIN|CLUSTER",
            TransientError,
            "is a cluster with missing nodes or moving slots",
        ),
        (r"BUSY|UNKILLABLE", TransientError, "is busy running a script"),
        (
            r"WRONGTYPE",
            ForeignDataError,
            "holds data that likewise did not write; remove the key, or separate deployments "
            "with redis.key_prefix (LIKEWISE_REDIS_KEY_PREFIX)",
        ),
    ]
]


def refusal(error: Exception, address: str, key: str | None = None) -> LikewiseError:
    """Return the error to raise `from` this one: a sentence with the remedy and Redis's message.

    It never shows a password. It names the `key` of the failed command if that is the cause.
    """
    message = _message_of(error)
    for signs, kind, meaning in _REFUSALS:
        if signs.search(message):
            at_key = f", key {key!r}," if kind is ForeignDataError and key is not None else ""
            made = kind(f"Redis at {address}{at_key} {meaning} (Redis replied: {message})")
            return made.of("redis") if isinstance(made, TransientError) else made
    if isinstance(error, TimeoutError):
        sentence = f"Redis at {address} did not answer in time ({message})"
        return TransientError(sentence).of("redis")
    if isinstance(error, ConnectionError | RedisClusterException | OSError):
        return TransientError(f"Redis at {address} cannot be reached ({message})").of("redis")
    return LikewiseError(f"Redis at {address} refused a command (Redis replied: {message})")


def _message_of(error: Exception) -> str:
    """Return the message of Redis, without the command that the client library prepends."""
    code = getattr(error, "status_code", None)
    text = str(error).rpartition("caused error: ")[2]
    return f"{code} {text}" if code and not text.startswith(str(code)) else text
