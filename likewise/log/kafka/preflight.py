"""A preflight check of TLS and SASL, over one connection, before kafka-python connects.

For an untrusted certificate or a wrong password kafka-python retries and finally reports a timeout.
This tries once and names the cause and the setting.
"""

from __future__ import annotations

import socket
import ssl
import struct
from typing import TYPE_CHECKING

from kafka.net.sasl import get_sasl_mechanism

from likewise.errors import SettingsError

if TYPE_CHECKING:
    from likewise.settings import KafkaSettings

_API_VERSIONS = 18
_SASL_HANDSHAKE = 17
_SASL_AUTHENTICATE = 36
_UNSUPPORTED_MECHANISM = 33
_ILLEGAL_STATE = 34
# A TLS server that receives something else answers with a record of this type, if at all.
_TLS_ALERT = b"\x15\x03"
_MAX_ANSWER_BYTES = 1024 * 1024


def tls_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Return the TLS context for the brokers; None if the protocol is without TLS.

    Raises:
        SettingsError: a file cannot be used.
    """
    if settings.security_protocol not in {"SSL", "SASL_SSL"}:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_default_certs() if settings.ssl_cafile is None else (
            context.load_verify_locations(settings.ssl_cafile)
        )
    except OSError as error:
        raise SettingsError(
            f"kafka.ssl_cafile (LIKEWISE_KAFKA_SSL_CAFILE): {str(settings.ssl_cafile)!r} has no "
            f"readable certificates in PEM ({error.strerror})"
        ) from error
    if settings.ssl_certfile is not None:
        _load_own_certificate(context, settings)
    return context


def _load_own_certificate(context: ssl.SSLContext, settings: KafkaSettings) -> None:
    secret = settings.ssl_key_password
    try:
        # Without a callback, OpenSSL would prompt for a password on the terminal.
        context.load_cert_chain(
            str(settings.ssl_certfile),
            settings.ssl_keyfile,
            password=lambda: "" if secret is None else secret.reveal(),
        )
    except OSError as error:
        raise SettingsError(
            f"kafka.ssl_certfile (LIKEWISE_KAFKA_SSL_CERTFILE) {str(settings.ssl_certfile)!r} and "
            f"kafka.ssl_keyfile {str(settings.ssl_keyfile)!r} are not a readable certificate in PEM "
            f"and its key ({error.strerror}); an encrypted key needs kafka.ssl_key_password"
        ) from error


def check_access(
    host: str, port: int, settings: KafkaSettings, context: ssl.SSLContext | None, timeout_s: float
) -> None:
    """Return if the server accepts a connection and our credentials, if the settings have any.

    Raises:
        SettingsError: it refuses them, or we do not trust it; the message names the setting.
        OSError: it cannot be reached, or closes the connection.
    """
    with socket.create_connection((host, port), timeout_s) as plain:
        if settings.security_protocol == "PLAINTEXT":
            return
        try:
            if context is None:
                _authenticate(_Exchange(plain, settings), host, settings)
                return
            with context.wrap_socket(plain, server_hostname=host.rstrip(".")) as secured:
                _authenticate(_Exchange(secured, settings), host, settings)
        except ssl.SSLError as error:
            raise _tls_refusal(error, f"{host}:{port}") from error


def _authenticate(exchange: _Exchange, host: str, settings: KafkaSettings) -> None:
    if settings.sasl_mechanism is None:
        # The first response shows whether the server accepted our certificate.
        exchange.ask(_API_VERSIONS, 0, b"")
        return
    _choose_mechanism(exchange, settings)
    try:
        _send_credentials(exchange, host, settings)
    except (ValueError, KeyError) as error:  # the server did not prove that it knows the password
        raise _bad_credentials(settings, "the exchange failed") from error


def _choose_mechanism(exchange: _Exchange, settings: KafkaSettings) -> None:
    mechanism = str(settings.sasl_mechanism)
    answer = exchange.ask(_SASL_HANDSHAKE, 1, _text(mechanism))
    code, count = struct.unpack_from(">hi", answer)
    offered, at = [], 6
    for _ in range(count):
        name, at = _read_text(answer, at)
        offered.append(name)
    if code == _ILLEGAL_STATE:
        raise SettingsError(
            f"Kafka at {exchange.where} does not use SASL; set kafka.security_protocol "
            "(LIKEWISE_KAFKA_SECURITY_PROTOCOL) to SSL or PLAINTEXT, or use another listener"
        )
    if code == _UNSUPPORTED_MECHANISM or mechanism not in offered:
        raise SettingsError(
            f"Kafka at {exchange.where} does not support {mechanism}; set kafka.sasl_mechanism "
            f"(LIKEWISE_KAFKA_SASL_MECHANISM) to one it offers: {', '.join(offered) or 'none'}"
        )


def _send_credentials(exchange: _Exchange, host: str, settings: KafkaSettings) -> None:
    password = settings.sasl_password
    mechanism = get_sasl_mechanism(settings.sasl_mechanism)(
        host=host,
        sasl_mechanism=settings.sasl_mechanism,
        sasl_plain_username=settings.sasl_username,
        sasl_plain_password="" if password is None else password.reveal(),
    )
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        answer = exchange.ask(_SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        code = struct.unpack_from(">h", answer)[0]
        reason, at = _read_text(answer, 2)
        if code:
            raise _bad_credentials(settings, reason or f"error {code}")
        mechanism.receive(answer[at + 4 :])


def _bad_credentials(settings: KafkaSettings, reason: str) -> SettingsError:
    return SettingsError(
        f"Kafka at {settings.bootstrap_servers} refuses the user {settings.sasl_username!r} or the "
        f"password ({reason}); set kafka.sasl_username and kafka.sasl_password "
        "(LIKEWISE_KAFKA_SASL_USERNAME, LIKEWISE_KAFKA_SASL_PASSWORD)"
    )


def _tls_refusal(error: ssl.SSLError, where: str) -> SettingsError:
    message = str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return SettingsError(
            f"the certificate of Kafka at {where} is not trusted ({error.verify_message}); "
            "set kafka.ssl_cafile (LIKEWISE_KAFKA_SSL_CAFILE) to the authority that signed it, "
            "and use the certificate's host name in kafka.bootstrap_servers"
        )
    if "ALERT" in message.upper():
        return SettingsError(
            f"Kafka at {where} refuses our certificate, or requires one ({error.reason}); set "
            "kafka.ssl_certfile and kafka.ssl_keyfile (LIKEWISE_KAFKA_SSL_CERTFILE, …_KEYFILE)"
        )
    return SettingsError(
        f"Kafka at {where} does not use TLS on this port ({error.reason}); use another port, or set "
        "kafka.security_protocol (LIKEWISE_KAFKA_SECURITY_PROTOCOL) to one without SSL"
    )


class _Exchange:
    """Requests of the Kafka protocol, one at a time."""

    def __init__(self, connection: socket.socket, settings: KafkaSettings) -> None:
        self.where = settings.bootstrap_servers
        self._connection = connection
        self._asked = 0

    def ask(self, api_key: int, version: int, body: bytes) -> bytes:
        """Return the body of the response; blocks for at most the socket's timeout."""
        self._asked += 1
        request = struct.pack(">hhi", api_key, version, self._asked) + _text("likewise") + body
        self._connection.sendall(struct.pack(">i", len(request)) + request)
        head = self._receive(4)
        if head.startswith(_TLS_ALERT):
            raise SettingsError(
                f"Kafka at {self.where} requires TLS; set kafka.security_protocol "
                "(LIKEWISE_KAFKA_SECURITY_PROTOCOL) to SASL_SSL or SSL"
            )
        size = struct.unpack(">i", head)[0]
        if not 4 <= size <= _MAX_ANSWER_BYTES:
            raise ConnectionError("the server does not speak the Kafka protocol")
        return self._receive(size)[4:]  # without the correlation id

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            chunk = self._connection.recv(size - len(received))
            if not chunk:
                raise ConnectionError(
                    "the broker closed the connection; if it always does, check "
                    "kafka.security_protocol (LIKEWISE_KAFKA_SECURITY_PROTOCOL)"
                )
            received += chunk
        return received


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">h", len(encoded)) + encoded


def _read_text(answer: bytes, at: int) -> tuple[str, int]:
    """Return the string at this position (empty if null), and the position after it."""
    size = max(struct.unpack_from(">h", answer, at)[0], 0)
    return answer[at + 2 : at + 2 + size].decode(errors="replace"), at + 2 + size
