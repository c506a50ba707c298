"""What Redis says when it refuses, as the error that tells the caller what to do about it."""

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
"""All that the client library raises when a server or the way to it fails."""


class _Refusal(NamedTuple):
    signs: re.Pattern[str]
    kind: type[LikewiseError]
    meaning: str


# Read by the words, not by the client's classes: refusals inside a script or a cluster's start
# come wrapped in others. The first that fits counts.
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
            "has no primary that its sentinels know to be up; wait for the failover to end, or "
            "correct the service's name in redis.url (LIKEWISE_REDIS_URL)",
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
            "shows a certificate that is not to be trusted; name the authority that signed it in "
            "redis.ssl_cafile (LIKEWISE_REDIS_SSL_CAFILE), and the host as the certificate has it "
            "in redis.url",
        ),
        (
            r"(?i:ALERT.{0,20}CERTIFICATE|certificate required|unknown.ca\b)",
            SettingsError,
            "does not take our certificate, or wants one; set redis.ssl_certfile and "
            "redis.ssl_keyfile (LIKEWISE_REDIS_SSL_CERTFILE, LIKEWISE_REDIS_SSL_KEYFILE)",
        ),
        (
            r"(?i:WRONG.VERSION.NUMBER|RECORD.LAYER.FAILURE)",
            SettingsError,
            "does not speak TLS at that port; name another, or begin redis.url "
            "(LIKEWISE_REDIS_URL) with redis://",
        ),
        (
            r"PEM.lib|KEY_VALUES_MISMATCH|NO_CERTIFICATE_OR_CRL_FOUND",
            SettingsError,
            "can't be spoken to over TLS: redis.ssl_cafile, redis.ssl_certfile and "
            "redis.ssl_keyfile must be PEM files, the last two of one pair",
        ),
        (
            r"NOPERM|no permissions",
            SettingsError,
            "lets this user in but not do its work; grant it the commands and keys that "
            "docs/security.md lists, or set another redis.username (LIKEWISE_REDIS_USERNAME)",
        ),
        (
            r"Cluster mode is not enabled|cluster support disabled",
            SettingsError,
            "is no cluster; set redis.cluster (LIKEWISE_REDIS_CLUSTER) to false",
        ),
        (
            r"MOVED|CROSSSLOT|don't hash to the same slot",
            SettingsError,
            "is a node of a cluster; set redis.cluster (LIKEWISE_REDIS_CLUSTER) to true",
        ),
        (
            r"DB index is out of range|invalid DB index",
            SettingsError,
            "has no such database; name another one in redis.url (LIKEWISE_REDIS_URL)",
        ),
        (
            r"OOM",
            TransientError,
            "is full and refuses writes; raise its maxmemory or give it more memory",
        ),
        (
            r"READONLY|previous master is now a slave",
            TransientError,
            "is a read-only replica; wait for the failover to end, or name the primary in "
            "redis.url (LIKEWISE_REDIS_URL)",
        ),
        (
            r"MISCONF",
            TransientError,
            "can't save to its disk and refuses writes; free disk space or mend its permissions",
        ),
        (r"LOADING", TransientError, "is still loading its data"),
        (r"NOREPLICAS", TransientError, "misses the replicas it must have before it takes writes"),
        (r"MASTERDOWN", TransientError, "is a replica that has lost its primary"),
        (r"CLUSTERDOWN|TRYAGAIN|CLUSTER", TransientError, "is a cluster that is not whole now"),
        (r"BUSY|UNKILLABLE", TransientError, "is busy with somebody's script"),
        (
            r"WRONGTYPE",
            ForeignDataError,
            "holds something else than likewise writes; remove the key, or keep deployments "
            "apart with redis.key_prefix (LIKEWISE_REDIS_KEY_PREFIX)",
        ),
    ]
]


def refusal(error: Exception, address: str, key: str | None = None) -> LikewiseError:
    """Return the error to raise `from` this one: a sentence with the mend, and Redis's words.

    Never shows a password. The `key` of the failed command is named where it is to blame.
    """
    said = _words_of(error)
    for signs, kind, meaning in _REFUSALS:
        if signs.search(said):
            at_key = f", key {key!r}," if kind is ForeignDataError and key is not None else ""
            made = kind(f"Redis at {address}{at_key} {meaning} (it said: {said})")
            return made.of("redis") if isinstance(made, TransientError) else made
    if isinstance(error, TimeoutError):
        sentence = f"Redis at {address} did not answer in time ({said})"
        return TransientError(sentence).of("redis")
    if isinstance(error, ConnectionError | RedisClusterException | OSError):
        return TransientError(f"Redis at {address} is out of reach ({said})").of("redis")
    return LikewiseError(f"Redis at {address} refused a command (it said: {said})")


def _words_of(error: Exception) -> str:
    """Return what Redis said, without the command that the client library puts before it."""
    code = getattr(error, "status_code", None)
    text = str(error).rpartition("caused error: ")[2]
    return f"{code} {text}" if code and not text.startswith(str(code)) else text
