"""Servers that demand credentials. They run in containers: the embedded ones have no such thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.security.certificates import Certificates, make_certificates
from tests.security.secured_kafka import SecuredKafka, secured_kafka
from tests.security.secured_redis import SecuredRedis, secured_redis

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def kafka(certificates: Certificates) -> Iterator[SecuredKafka]:
    with secured_kafka(certificates) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(certificates: Certificates) -> Iterator[SecuredRedis]:
    with secured_redis(certificates) as server:
        yield server
