"""How to reach the cluster, and what its client library's errors mean to a caller."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kafka import errors as kafka_errors
from kafka.cluster import collect_hosts

from likewise.errors import SettingsError, TransientError, UndeliverableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.settings import KafkaSettings

CLOSE_TIMEOUT_MS = 3_000
# One event or request has at most a few hundred KiB, a dead letter a little over 1 MiB.
MAX_RECORD_BYTES = 4 * 1024 * 1024

_REFUSED = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.InvalidTopicError,
    kafka_errors.UnknownTopicOrPartitionError,
    kafka_errors.InvalidRecordError,
    kafka_errors.InvalidTimestampError,
)
_MISCONFIGURED = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.PolicyViolationError,
    kafka_errors.KafkaConfigurationError,
)


class Connection:
    """The options that every client of one cluster shares, and the translation of its errors."""

    def __init__(self, settings: KafkaSettings, client_id: str) -> None:
        self.settings = settings
        self.options = _options(settings, client_id)

    def group(self, name: str) -> str:
        """Return the name of a consumer group on the cluster."""
        return f"{self.settings.topic_prefix}{name}"

    def require_reachable(self) -> None:
        """Return if any of the bootstrap servers takes a connection.

        Without one, kafka-python's constructors block, and leave a thread and sockets behind.

        Raises:
            OSError: none does.
        """
        timeout_s = self.settings.request_timeout_ms / 1000
        failure: OSError | None = None
        for host, port, _family in collect_hosts(self.options["bootstrap_servers"]):
            try:
                socket.create_connection((host, port), timeout_s).close()
            except OSError as error:
                failure = error
            else:
                return
        raise failure or OSError("no server is named")

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn what kafka-python raises into the project's errors, by what a caller can do."""
        where = f"Kafka at {self.settings.bootstrap_servers}, {doing}"
        try:
            yield
        except _MISCONFIGURED as error:
            raise SettingsError(
                f"{where}: {error}. Check the [kafka] settings (LIKEWISE_KAFKA_…)"
            ) from error
        except _REFUSED as error:
            raise UndeliverableError(f"{where}: {error}") from error
        except (kafka_errors.KafkaError, OSError) as error:
            raise TransientError(f"{where}: {error}") from error


def _options(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    password = settings.sasl_password
    given = {
        "bootstrap_servers": [part.strip() for part in settings.bootstrap_servers.split(",")],
        "client_id": client_id,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": settings.request_timeout_ms,
        "bootstrap_timeout_ms": settings.request_timeout_ms,
        "reconnect_backoff_max_ms": 2_000,
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": None if password is None else password.reveal(),
        "ssl_cafile": settings.ssl_cafile and str(settings.ssl_cafile),
        "ssl_certfile": settings.ssl_certfile and str(settings.ssl_certfile),
        "ssl_keyfile": settings.ssl_keyfile and str(settings.ssl_keyfile),
    }
    return {name: value for name, value in given.items() if value is not None}
