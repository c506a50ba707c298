"""Kafka with TLS and SASL: the right credentials connect, wrong ones give a clear error at once."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from likewise.errors import SettingsError
from likewise.log.kafka import KafkaBroker
from likewise.log.topics import TopicSpec
from likewise.settings import Secret
from tests.security.secured_kafka import ADMIN, PASSWORD, SCRAM_USER, SecuredKafka

if TYPE_CHECKING:
    from collections.abc import Callable

    from likewise.settings import KafkaSettings

WRONG = Secret("wrong-battery-staple")
# Far below `request_timeout_ms`: the error comes at once, not after retries.
AT_ONCE_S = 5.0

USES: dict[str, Callable[[KafkaBroker], object]] = {
    "asks": lambda broker: broker.partitions("likes"),
    "sends": lambda broker: broker.sink(),
    "joins": lambda broker: broker.source("group", ["likes"], max_records=1),
    "reads": lambda broker: broker.reader({}),
}


def by_certificate(kafka: SecuredKafka, **changes: object) -> KafkaSettings:
    given: dict[str, object] = {
        "bootstrap_servers": kafka.by_certificate,
        "security_protocol": "SSL",
        "sasl_mechanism": None,
        "sasl_password": None,
        "ssl_certfile": kafka.certificates.client,
        "ssl_keyfile": kafka.certificates.client_key,
    }
    return kafka.settings(None, **(given | changes))


def refused(settings: KafkaSettings, use: Callable[[KafkaBroker], object]) -> str:
    """Return the sentence with which the settings are refused."""
    started_s = time.monotonic()
    with pytest.raises(SettingsError) as raised, closing(KafkaBroker(settings)) as broker:
        use(broker)
    assert time.monotonic() - started_s < AT_ONCE_S
    return str(raised.value)


def send_and_read(settings: KafkaSettings, topic: str) -> bytes | None:
    with closing(KafkaBroker(settings)) as broker:
        broker.ensure_topics([TopicSpec(topic, 1, {})])
        with closing(broker.sink()) as sink:
            sink.send(topic, b"hello").result(10.0)
        [partition] = broker.partitions(topic)
        with closing(broker.reader({partition: 0})) as reader:
            deadline_s = time.monotonic() + 10.0
            while not (records := reader.poll(100)):
                assert time.monotonic() < deadline_s
        return records[0].value


def test_plain_over_tls_lets_in(kafka: SecuredKafka, prefix: str) -> None:
    assert send_and_read(kafka.settings(ADMIN), f"{prefix}plain") == b"hello"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_scram_over_tls_lets_in(kafka: SecuredKafka, prefix: str, mechanism: Any) -> None:
    topic = f"{prefix}scram"
    kafka.run(
        f"kafka-acls.sh --bootstrap-server $BOOTSTRAP --add --allow-principal User:{SCRAM_USER} "
        f"--operation Create --operation Read --operation Write --topic {topic}"
    )
    settings = kafka.settings(SCRAM_USER, sasl_mechanism=mechanism)
    assert send_and_read(settings, topic) == b"hello"


def test_a_client_certificate_lets_in(kafka: SecuredKafka) -> None:
    with closing(KafkaBroker(by_certificate(kafka))) as broker:
        assert broker.partitions("unheard-of") == []


@pytest.mark.parametrize("use", USES)
def test_a_wrong_password_is_an_error_at_once(
    kafka: SecuredKafka, use: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sentence = refused(kafka.settings(ADMIN, sasl_password=WRONG), USES[use])
    assert "LIKEWISE_KAFKA_SASL_PASSWORD" in sentence
    assert f"'{ADMIN}'" in sentence
    assert WRONG.reveal() not in sentence + caplog.text


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_scram_password_is_an_error_at_once(kafka: SecuredKafka, mechanism: Any) -> None:
    settings = kafka.settings(SCRAM_USER, sasl_mechanism=mechanism, sasl_password=WRONG)
    assert "LIKEWISE_KAFKA_SASL_PASSWORD" in refused(settings, USES["asks"])


@pytest.mark.parametrize("use", USES)
def test_a_broker_certificate_of_another_authority_is_refused(
    kafka: SecuredKafka, use: str
) -> None:
    settings = kafka.settings(ADMIN, ssl_cafile=kafka.certificates.stranger)
    assert "LIKEWISE_KAFKA_SSL_CAFILE" in refused(settings, USES[use])


def test_a_broker_certificate_with_another_name_is_refused(kafka: SecuredKafka) -> None:
    elsewhere = kafka.by_password.replace("localhost", "127.0.0.2")
    sentence = refused(kafka.settings(ADMIN, bootstrap_servers=elsewhere), USES["asks"])
    assert "kafka.bootstrap_servers" in sentence


def test_a_missing_client_certificate_is_an_error_at_once(kafka: SecuredKafka) -> None:
    settings = by_certificate(kafka, ssl_certfile=None, ssl_keyfile=None)
    assert "LIKEWISE_KAFKA_SSL_CERTFILE" in refused(settings, USES["asks"])


def test_speaking_without_tls_is_an_error_at_once(kafka: SecuredKafka) -> None:
    settings = kafka.settings(ADMIN, security_protocol="SASL_PLAINTEXT")
    assert "LIKEWISE_KAFKA_SECURITY_PROTOCOL" in refused(settings, USES["asks"])


def test_a_password_for_a_listener_that_asks_for_none_is_an_error_at_once(
    kafka: SecuredKafka,
) -> None:
    settings = by_certificate(
        kafka, security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_password=Secret("any")
    )
    sentence = refused(msgspec.structs.replace(settings, sasl_username="any"), USES["asks"])
    assert "LIKEWISE_KAFKA_SECURITY_PROTOCOL" in sentence


def test_no_password_is_logged_after_a_connection(
    kafka: SecuredKafka, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for mechanism, user in (("PLAIN", ADMIN), ("SCRAM-SHA-512", SCRAM_USER)):
        with closing(KafkaBroker(kafka.settings(user, sasl_mechanism=mechanism))) as broker:
            broker.partitions("likes")
            with closing(broker.sink()):
                pass
    assert caplog.text
    assert PASSWORD not in caplog.text
