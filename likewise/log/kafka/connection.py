"""How to connect to the cluster, and what kafka-python's errors mean to a caller."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kafka import errors as kafka_errors
from kafka.cluster import collect_hosts

from likewise.errors import SettingsError, TransientError, UndeliverableError
from likewise.log.kafka.preflight import check_access, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.settings import KafkaSettings

CLOSE_TIMEOUT_MS = 3_000
# Events and requests have at most a few hundred KiB, dead letters a little over 1 MiB.
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
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.PolicyViolationError,
    kafka_errors.KafkaConfigurationError,
)


class Connection:
    """The options that all clients of one cluster share, and the translation of their errors."""

    def __init__(self, settings: KafkaSettings, client_id: str) -> None:
        """Read the settings and the files they name; nothing connects yet.

        Raises:
            SettingsError: the settings for TLS or SASL cannot be used.
        """
        _check_credentials(settings)
        self.settings = settings
        self._tls = tls_context(settings)
        self.options = _options(settings, client_id)
        if self._tls is not None:
            self.options["ssl_context"] = self._tls
        if settings.sasl_password is not None:
            _keep_passwords_out_of_logs()

    def group(self, name: str) -> str:
        """Return the name of a consumer group on the cluster."""
        return f"{self.settings.topic_prefix}{name}"

    def require_reachable(self) -> None:
        """Return if one of the bootstrap servers accepts a connection and our credentials.

        Otherwise kafka-python's constructors block, and leak a thread and sockets.

        Raises:
            OSError: none can be reached.
            SettingsError: one refuses us; see `likewise.log.kafka.preflight`.
        """
        timeout_s = self.settings.request_timeout_ms / 1000
        failure: OSError | None = None
        for host, port, _family in collect_hosts(self.options["bootstrap_servers"]):
            try:
                check_access(host, port, self.settings, self._tls, timeout_s)
            except OSError as error:
                failure = error
            else:
                return
        raise failure or OSError("kafka.bootstrap_servers is empty")

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn kafka-python's errors into ours, by what the caller can do about them."""
        where = f"Kafka at {self.settings.bootstrap_servers}, {doing}"
        try:
            yield
        except kafka_errors.AuthorizationError as error:
            raise SettingsError(
                f"{where}: {_who(self.settings)} is not permitted ({error}); grant it what "
                "docs/security.md lists, or set another kafka.sasl_username "
                "(LIKEWISE_KAFKA_SASL_USERNAME)"
            ) from error
        except _MISCONFIGURED as error:
            raise SettingsError(
                f"{where}: {error}. Check the [kafka] settings (LIKEWISE_KAFKA_…)"
            ) from error
        except _REFUSED as error:
            raise UndeliverableError(f"{where}: {error}") from error
        except (kafka_errors.KafkaError, OSError) as error:
            raise TransientError(f"{where}: {error}").of("kafka") from error


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
    }
    return {name: value for name, value in given.items() if value is not None}


def _check_credentials(settings: KafkaSettings) -> None:
    """Raise if SASL needs a credential that is missing, or credentials are given without SASL."""
    needed = {
        "kafka.sasl_mechanism": settings.sasl_mechanism,
        "kafka.sasl_username": settings.sasl_username,
        "kafka.sasl_password": settings.sasl_password,
    }
    given = {name for name, value in needed.items() if value}
    if settings.security_protocol.startswith("SASL_") and given != needed.keys():
        missing = " and ".join(name for name in needed if name not in given)
        raise SettingsError(
            f"kafka.security_protocol {settings.security_protocol} needs {missing} "
            f"({_variables(missing)})"
        )
    if given and not settings.security_protocol.startswith("SASL_"):
        raise SettingsError(
            f"{' and '.join(sorted(given))} would not be used: kafka.security_protocol "
            f"(LIKEWISE_KAFKA_SECURITY_PROTOCOL) is {settings.security_protocol}; set it to "
            "SASL_SSL, or to SASL_PLAINTEXT on a network that nobody else can read"
        )


def _keep_passwords_out_of_logs() -> None:
    # At DEBUG, kafka-python logs its options and all requests, including passwords.
    logger = logging.getLogger("kafka")
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)


def _variables(dotted: str) -> str:
    return ", ".join(f"LIKEWISE_{name.replace('.', '_').upper()}" for name in dotted.split(" and "))


def _who(settings: KafkaSettings) -> str:
    if settings.sasl_username is not None:
        return f"the user {settings.sasl_username!r}"
    return "our certificate's user" if settings.ssl_certfile else "a client without credentials"
