"""Whether a broker lets us in, asked over one connection before a client library makes its own.

kafka-python tries again and again, and at last reports a time-out, when a certificate is not
trusted or a password is wrong. This knocks once and says what is the matter.
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
# A TLS server that is sent something else answers with a record of this type, if at all.
_TLS_ALERT = b"\x15\x03"
_MAX_ANSWER_BYTES = 1024 * 1024


def tls_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Return how to speak TLS with the brokers; None where the protocol has none.

    Raises:
        SettingsError: a file can't be used.
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
            f"kafka.ssl_cafile (LIKEWISE_KAFKA_SSL_CAFILE): {str(settings.ssl_cafile)!r} holds no "
            f"certificates in PEM that can be read ({error.strerror})"
        ) from error
    if settings.ssl_certfile is not None:
        _load_own_certificate(context, settings)
    return context


def _load_own_certificate(context: ssl.SSLContext, settings: KafkaSettings) -> None:
    secret = settings.ssl_key_password
    try:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(
            str(settings.ssl_certfile),
            settings.ssl_keyfile,
            password=lambda: "" if secret is None else secret.reveal(),
        )
    except OSError as error:
        raise SettingsError(
            f"kafka.ssl_certfile (LIKEWISE_KAFKA_SSL_CERTFILE) {str(settings.ssl_certfile)!r} and "
            f"kafka.ssl_keyfile {str(settings.ssl_keyfile)!r} are no certificate and key in PEM "
            f"that belong together and can be read ({error.strerror}); an encrypted key needs "
            "kafka.ssl_key_password"
        ) from error


def check_access(
    host: str, port: int, settings: KafkaSettings, context: ssl.SSLContext | None, timeout_s: float
) -> None:
    """Return if the server takes a connection and, where the settings have any, our credentials.

    Raises:
        SettingsError: it refuses them, or we don't trust it; the sentence names the setting.
        OSError: it is out of reach, or hangs up.
    """
    with socket.create_connection((host, port), timeout_s) as plain:
        if settings.security_protocol == "PLAINTEXT":
            return
        try:
            if context is None:
                _introduce(_Exchange(plain, settings), host, settings)
                return
            with context.wrap_socket(plain, server_hostname=host.rstrip(".")) as secured:
                _introduce(_Exchange(secured, settings), host, settings)
        except ssl.SSLError as error:
            raise _tls_refusal(error, f"{host}:{port}") from error


def _introduce(exchange: _Exchange, host: str, settings: KafkaSettings) -> None:
    if settings.sasl_mechanism is None:
        # Only with the first answer do we learn whether our certificate was taken.
        exchange.ask(_API_VERSIONS, 0, b"")
        return
    _choose_mechanism(exchange, settings)
    try:
        _prove_ourselves(exchange, host, settings)
    except (ValueError, KeyError) as error:  # the server could not prove that it knows the password
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
            f"Kafka at {exchange.where} asks for no password; set kafka.security_protocol "
            "(LIKEWISE_KAFKA_SECURITY_PROTOCOL) to SSL or PLAINTEXT, or name another listener"
        )
    if code == _UNSUPPORTED_MECHANISM or mechanism not in offered:
        raise SettingsError(
            f"Kafka at {exchange.where} does not know {mechanism}; set kafka.sasl_mechanism "
            f"(LIKEWISE_KAFKA_SASL_MECHANISM) to one it offers: {', '.join(offered) or 'none'}"
        )


def _prove_ourselves(exchange: _Exchange, host: str, settings: KafkaSettings) -> None:
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
    said = str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return SettingsError(
            f"the certificate of Kafka at {where} is not to be trusted ({error.verify_message}); "
            "name the authority that signed it in kafka.ssl_cafile (LIKEWISE_KAFKA_SSL_CAFILE), "
            "and the host as the certificate has it in kafka.bootstrap_servers"
        )
    if "ALERT" in said.upper():
        return SettingsError(
            f"Kafka at {where} does not take our certificate, or wants one ({error.reason}); set "
            "kafka.ssl_certfile and kafka.ssl_keyfile (LIKEWISE_KAFKA_SSL_CERTFILE, …_KEYFILE)"
        )
    return SettingsError(
        f"Kafka at {where} does not speak TLS there ({error.reason}); name another port, or set "
        "kafka.security_protocol (LIKEWISE_KAFKA_SECURITY_PROTOCOL) to one without SSL"
    )


class _Exchange:
    """Questions in Kafka's protocol, one after another: size, kind, version, number, who asks."""

    def __init__(self, connection: socket.socket, settings: KafkaSettings) -> None:
        self.where = settings.bootstrap_servers
        self._connection = connection
        self._asked = 0

    def ask(self, kind: int, version: int, body: bytes) -> bytes:
        """Return the answer's body; blocks for as long as the socket's time-out."""
        self._asked += 1
        question = struct.pack(">hhi", kind, version, self._asked) + _text("likewise") + body
        self._connection.sendall(struct.pack(">i", len(question)) + question)
        head = self._receive(4)
        if head.startswith(_TLS_ALERT):
            raise SettingsError(
                f"Kafka at {self.where} wants TLS; set kafka.security_protocol "
                "(LIKEWISE_KAFKA_SECURITY_PROTOCOL) to SASL_SSL or SSL"
            )
        size = struct.unpack(">i", head)[0]
        if not 4 <= size <= _MAX_ANSWER_BYTES:
            raise ConnectionError("what answers there is no Kafka broker")
        return self._receive(size)[4:]  # without the number of the question

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            chunk = self._connection.recv(size - len(received))
            if not chunk:
                raise ConnectionError(
                    "the broker hung up; should it never let us in, look at "
                    "kafka.security_protocol (LIKEWISE_KAFKA_SECURITY_PROTOCOL)"
                )
            received += chunk
        return received


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">h", len(encoded)) + encoded


def _read_text(answer: bytes, at: int) -> tuple[str, int]:
    """Return the text that stands there (empty where it is null) and where the next thing does."""
    size = max(struct.unpack_from(">h", answer, at)[0], 0)
    return answer[at + 2 : at + 2 + size].decode(errors="replace"), at + 2 + size
