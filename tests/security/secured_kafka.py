"""A real Apache Kafka that lets nobody in without a password or a certificate.

An authenticated client has no rights until ACLs grant them (`StandardAuthorizer`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from likewise.settings import KafkaSettings, Secret
from tests.containers import KAFKA_IMAGE, await_answer, free_port, has_started, kafka_image, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testcontainers.core.container import DockerContainer

    from tests.security.certificates import Certificates

ADMIN = "admin"
ROLES = ("consumer", "indexer", "server", "client", "operator", "gateway")
SCRAM_USER = "scrambled"
PASSWORD = "correct-horse-battery"  # what no log and no message may show
_SECRETS = "/etc/kafka/secrets"


@dataclass(frozen=True)
class SecuredKafka:
    """How to reach the broker: by password over TLS, or by certificate."""

    by_password: str
    by_certificate: str
    certificates: Certificates
    container: DockerContainer

    def settings(self, user: str | None, **changes: object) -> KafkaSettings:
        """Return settings with which this user is let in, over SASL_SSL with PLAIN."""
        given: dict[str, object] = {
            "bootstrap_servers": self.by_password,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": user,
            "sasl_password": Secret(PASSWORD),
            "ssl_cafile": self.certificates.authority,
            "request_timeout_ms": 10_000,
        }
        return KafkaSettings(**(given | changes))  # type: ignore[arg-type]  # a mapping has no field types

    def run(self, script: str) -> str:
        """Run shell commands in the broker's container, with all rights; return their output.

        `$BOOTSTRAP` is the broker's address there.
        """
        preamble = "set -e; BOOTSTRAP=localhost:19092; PATH=/opt/kafka/bin:$PATH; "
        code, said = self.container.exec(["bash", "-c", preamble + script])
        text: str = said.decode(errors="replace")
        assert code == 0, f"{script}\n{text}"
        return text


@contextmanager
def secured_kafka(certificates: Certificates) -> Iterator[SecuredKafka]:
    """Yield a new, empty broker; raises `ContainerError` if it does not start."""
    passwords, mutual = free_port(), free_port()

    def build() -> DockerContainer:
        container = kafka_image(passwords)
        container.with_bind_ports(mutual, mutual)
        container.with_volume_mapping(str(certificates.authority.parent), _SECRETS, "ro")
        return container.with_envs(**_listeners(passwords, mutual), **_security(certificates))

    with running(build, KAFKA_IMAGE) as container:
        await_answer(container, lambda: has_started(container))
        kafka = SecuredKafka(
            f"localhost:{passwords}", f"localhost:{mutual}", certificates, container
        )
        for bits in (256, 512):  # the broker takes one change of a user's passwords at a time
            kafka.run(
                "kafka-configs.sh --bootstrap-server $BOOTSTRAP --alter --entity-type users "
                f"--entity-name {SCRAM_USER} --add-config 'SCRAM-SHA-{bits}=[password={PASSWORD}]'"
            )
        yield kafka


def _listeners(passwords: int, mutual: int) -> dict[str, str]:
    return {
        # Reached only from inside the container: by the controller and by `SecuredKafka.run`.
        "KAFKA_LISTENERS": f"CLIENTS://:{passwords},MUTUAL://:{mutual},"
        "INSIDE://localhost:19092,CONTROLLER://localhost:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"CLIENTS://localhost:{passwords},"
        f"MUTUAL://localhost:{mutual},INSIDE://localhost:19092",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CLIENTS:SASL_SSL,MUTUAL:SSL,INSIDE:PLAINTEXT,"
        "CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INSIDE",
    }


def _security(certificates: Certificates) -> dict[str, str]:
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    users = " ".join(f'user_{name}="{PASSWORD}"' for name in (ADMIN, *ROLES))
    return {
        "KAFKA_AUTHORIZER_CLASS_NAME": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "KAFKA_SUPER_USERS": f"User:ANONYMOUS;User:{ADMIN}",
        "KAFKA_SASL_ENABLED_MECHANISMS": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "KAFKA_LISTENER_NAME_CLIENTS_PLAIN_SASL_JAAS_CONFIG": f"{plain} {users};",
        # In these variables ___ means a hyphen.
        "KAFKA_LISTENER_NAME_CLIENTS_SCRAM___SHA___256_SASL_JAAS_CONFIG": scram,
        "KAFKA_LISTENER_NAME_CLIENTS_SCRAM___SHA___512_SASL_JAAS_CONFIG": scram,
        "KAFKA_SSL_KEYSTORE_TYPE": "PEM",
        "KAFKA_SSL_KEYSTORE_LOCATION": _in_container(certificates.server_store),
        "KAFKA_SSL_TRUSTSTORE_TYPE": "PEM",
        "KAFKA_SSL_TRUSTSTORE_LOCATION": _in_container(certificates.authority),
        "KAFKA_LISTENER_NAME_MUTUAL_SSL_CLIENT_AUTH": "required",
    }


def _in_container(path: Path) -> str:
    return f"{_SECRETS}/{path.name}"
