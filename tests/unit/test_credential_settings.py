"""Settings for TLS and passwords that could not work are refused before anything connects."""

from __future__ import annotations

import struct
import threading
from contextlib import closing
from socket import create_server
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from likewise.cli.app import app
from likewise.errors import SettingsError
from likewise.log.kafka import KafkaBroker
from likewise.log.kafka.preflight import check_access
from likewise.settings import (
    ConsumerSettings,
    KafkaSettings,
    RedisSettings,
    Secret,
    ServingSettings,
)
from likewise.settings.loader import load_settings
from likewise.store.redis import RedisStore
from likewise.store.redis.connection import connection_options
from likewise.store.redis.urls import read_url

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = Secret("never-to-be-shown")
SASL: dict[str, Any] = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "PLAIN",
    "sasl_username": "ann",
    "sasl_password": PASSWORD,
}


def refusal(**given: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        KafkaBroker(KafkaSettings(**given))
    assert PASSWORD.reveal() not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("missing", ["sasl_mechanism", "sasl_username", "sasl_password"])
def test_sasl_without_one_of_its_settings_names_that_one(missing: str) -> None:
    sentence = refusal(**(SASL | {missing: None}))
    assert f"kafka.{missing}" in sentence
    assert f"LIKEWISE_KAFKA_{missing.upper()}" in sentence


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_password_that_would_not_be_used_is_refused(protocol: str) -> None:
    assert "LIKEWISE_KAFKA_SECURITY_PROTOCOL" in refusal(**(SASL | {"security_protocol": protocol}))


def test_an_unreadable_authority_is_named(tmp_path: Path) -> None:
    for content in (None, "no certificate"):
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        sentence = refusal(**SASL, ssl_cafile=path)
        assert "LIKEWISE_KAFKA_SSL_CAFILE" in sentence
        assert str(path) in sentence


def test_an_unreadable_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "client.pem"
    sentence = refusal(security_protocol="SSL", ssl_certfile=path, ssl_keyfile=path)
    assert "LIKEWISE_KAFKA_SSL_CERTFILE" in sentence


def test_files_for_tls_need_a_redis_url_with_tls(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="rediss://"):
        RedisStore(RedisSettings(ssl_cafile=tmp_path / "ca.pem"))


def test_a_file_that_redis_needs_and_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        RedisStore(RedisSettings(url="rediss://localhost", ssl_cafile=tmp_path / "nowhere.pem"))


def test_a_key_password_comes_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD.reveal()}\n")
    variables = {"LIKEWISE_KAFKA_SSL_KEY_PASSWORD_FILE": str(path)}
    settings = load_settings(environ=variables)
    assert settings.kafka.ssl_key_password is not None
    assert settings.kafka.ssl_key_password.reveal() == PASSWORD.reveal()
    assert PASSWORD.reveal() not in repr(settings)


def test_batches_have_an_upper_bound() -> None:
    for name, value in (("CONSUMER_MAX_RECORDS", "100001"), ("SERVING_MAX_BATCH", "10001")):
        with pytest.raises(SettingsError, match=name):
            load_settings(environ={f"LIKEWISE_{name}": value})
    assert ConsumerSettings().max_records <= 100_000
    assert ServingSettings().max_batch <= 10_000


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", SettingsError, id="a TLS alert"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", OSError, id="another protocol"),
        pytest.param(b"", OSError, id="nothing"),
        pytest.param(struct.pack(">iihi", 10, 1, 33, 0), SettingsError, id="unknown mechanism"),
        pytest.param(struct.pack(">iihi", 10, 1, 34, 0), SettingsError, id="no SASL here"),
    ],
)
def test_a_server_that_is_not_a_broker_is_recognised(answer: bytes, error: type[Exception]) -> None:
    with closing(create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        settings = KafkaSettings(**(SASL | {"security_protocol": "SASL_PLAINTEXT"}))
        try:
            with pytest.raises(error) as raised:
                check_access("127.0.0.1", server.getsockname()[1], settings, None, 5.0)
        finally:
            thread.join()
    assert PASSWORD.reveal() not in str(raised.value)


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("ssl_cert_reqs=none", "redis.ssl_cafile"),
        ("ssl_check_hostname=false", "redis.ssl_cafile"),
        ("ssl_ca_certs=/tmp/other.pem", "redis.ssl_cafile"),
        ("password=leaky", "LIKEWISE_REDIS_PASSWORD"),
        ("username=leaky", "LIKEWISE_REDIS_USERNAME"),
        ("socket_timeout=3", "redis.timeout_s"),
        ("health_check_interval=0", "remove it"),
        ("db=1&protocol=3", "remove it"),
    ],
)
@pytest.mark.parametrize("url", ["rediss://host:1/0", "rediss+sentinel://host:1/service/0"])
def test_an_option_in_the_redis_url_is_refused_by_its_name(
    url: str, option: str, remedy: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        RedisStore(RedisSettings(url=f"{url}?{option}"))
    name = option.rpartition("&")[2].partition("=")[0]
    assert f"{name!r}" in str(refused.value)
    assert remedy in str(refused.value)
    assert "leaky" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pa?leaky@host/0",
        "redis://:pa?leaky=1@host/0",
        "redis://host/notanumber",
        "redis+sentinel://host:26379",
        "redis+sentinel:///service",
        "redis+sentinel://host:port/service",
        "redis+proxy://host/0",
        "http+sentinel://host/service",
    ],
)
def test_what_is_no_redis_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(SettingsError, match="percent-encoded") as refused:
        RedisStore(RedisSettings(url=url))
    assert "leaky" not in str(refused.value)


def test_a_sentinel_url_names_hosts_service_user_and_database() -> None:
    read = read_url("rediss+sentinel://ann:p%40ss@one,two:1,[::1]:2/likes-primary/3")
    assert read.sentinels == (("one", 26379), ("two", 1), ("::1", 2))
    assert read.service == "likes-primary"
    assert read.tls
    assert {name: read.options[name] for name in ("username", "password", "db")} == {
        "username": "ann",
        "password": "p@ss",
        "db": 3,
    }
    assert "p@ss" not in read.address


def test_certificates_are_verified_whatever_the_url_says() -> None:
    for url in ("rediss://host", "rediss://host?ssl_cert_reqs=required", "rediss+sentinel://h/s"):
        settings = RedisSettings(url=url)
        options = connection_options(settings, read_url(url))
        assert (options["ssl_cert_reqs"], options["ssl_check_hostname"]) == ("required", True)


def test_passwords_in_a_url_are_masked_where_settings_are_shown() -> None:
    url = "redis://ann:leaky@host/0?password=leaky&db=3"
    shown = CliRunner().invoke(app, ["--redis-url", url, "config", "--json"])
    assert shown.exit_code == 0
    assert "leaky" not in shown.stdout
    assert "db=3" in shown.stdout
