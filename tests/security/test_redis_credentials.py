"""Redis with TLS and an ACL file: the right credentials connect, wrong ones give a clear error."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from likewise.errors import SettingsError
from likewise.settings import Secret
from likewise.store.redis import RedisStore
from tests.security.secured_redis import ADMIN, PASSWORD, SecuredRedis

if TYPE_CHECKING:
    from likewise.settings import RedisSettings

WRONG = Secret("wrong-battery-staple")


def refused(settings: RedisSettings) -> str:
    """Return the sentence with which the settings are refused."""
    with pytest.raises(SettingsError) as raised, closing(RedisStore(settings)) as store:
        store.ping()
    return str(raised.value)


def test_user_password_and_certificate_connect(
    redis_server: SecuredRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with closing(RedisStore(redis_server.settings(ADMIN))) as store:
        store.ping()
    assert PASSWORD not in caplog.text


def test_user_and_password_in_the_url_connect(redis_server: SecuredRedis) -> None:
    url = redis_server.url.replace("rediss://", f"rediss://{ADMIN}:{PASSWORD}@")
    settings = redis_server.settings(ADMIN, url=url, username=None, password=None)
    with closing(RedisStore(settings)) as store:
        store.ping()


def test_a_wrong_password_is_an_error_that_does_not_show_it(
    redis_server: SecuredRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sentence = refused(redis_server.settings(ADMIN, password=WRONG))
    assert "LIKEWISE_REDIS_PASSWORD" in sentence
    assert WRONG.reveal() not in sentence + caplog.text


def test_an_unknown_user_is_an_error(redis_server: SecuredRedis) -> None:
    assert "LIKEWISE_REDIS_USERNAME" in refused(redis_server.settings("nobody"))


def test_a_missing_password_is_an_error(redis_server: SecuredRedis) -> None:
    settings = redis_server.settings(ADMIN, username=None, password=None)
    assert "LIKEWISE_REDIS_PASSWORD" in refused(settings)


def test_a_server_certificate_of_another_authority_is_refused(
    redis_server: SecuredRedis,
) -> None:
    stranger = redis_server.certificates.stranger
    sentence = refused(redis_server.settings(ADMIN, ssl_cafile=stranger))
    assert "LIKEWISE_REDIS_SSL_CAFILE" in sentence


def test_a_missing_client_certificate_is_an_error(redis_server: SecuredRedis) -> None:
    settings = redis_server.settings(ADMIN, ssl_certfile=None, ssl_keyfile=None)
    assert "LIKEWISE_REDIS_SSL_CERTFILE" in refused(settings)
