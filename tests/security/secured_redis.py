"""A real Redis that speaks TLS only and lets nobody in without a password."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis
from testcontainers.core.container import DockerContainer

from likewise.settings import RedisSettings, Secret
from tests.containers import REDIS_IMAGE, await_answer, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.security.certificates import Certificates

ADMIN = "admin"
PASSWORD = "staple-correct-horse"  # what no log and no message may show
_SECRETS = "/etc/likewise-test"
_USERS = "user default off\nuser {admin} on >{password} ~* &* +@all\n"


@dataclass(frozen=True)
class SecuredRedis:
    """How to reach the server."""

    url: str
    certificates: Certificates

    def settings(self, user: str, *, prefix: str = "", **changes: object) -> RedisSettings:
        """Return settings with which this user is let in."""
        given: dict[str, object] = {
            "url": self.url,
            "username": user,
            "password": Secret(PASSWORD),
            "ssl_cafile": self.certificates.authority,
            "ssl_certfile": self.certificates.client,
            "ssl_keyfile": self.certificates.client_key,
            "key_prefix": prefix,
        }
        return RedisSettings(**(given | changes))  # type: ignore[arg-type]  # a mapping has no field types

    def as_admin(self) -> redis.Redis:
        """Return a client that may do everything."""
        return redis.Redis.from_url(
            self.url,
            username=ADMIN,
            password=PASSWORD,
            ssl_ca_certs=str(self.certificates.authority),
            ssl_certfile=str(self.certificates.client),
            ssl_keyfile=str(self.certificates.client_key),
            decode_responses=True,
        )


@contextmanager
def secured_redis(certificates: Certificates) -> Iterator[SecuredRedis]:
    """Yield a new, empty server; raises `ContainerError` if it does not start.

    It demands a client certificate, as Redis does by default, and a user of its ACL file.
    """
    users = certificates.authority.with_name("users.acl")
    users.write_text(_USERS.format(admin=ADMIN, password=PASSWORD), encoding="utf-8")
    users.chmod(0o644)
    port = free_port()
    server = SecuredRedis(f"rediss://localhost:{port}/0", certificates)

    def build() -> DockerContainer:
        container = DockerContainer(REDIS_IMAGE)
        container.with_bind_ports(6379, port)
        container.with_volume_mapping(str(users.parent), _SECRETS, "ro")
        return container.with_command(_options(certificates))

    def answers() -> bool:
        with server.as_admin() as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    with running(build, REDIS_IMAGE) as container:
        await_answer(container, answers)
        yield server


def _options(certificates: Certificates) -> list[str]:
    options = {
        "--save": "",
        "--port": "0",
        "--tls-port": "6379",
        "--tls-cert-file": f"{_SECRETS}/{certificates.server.name}",
        "--tls-key-file": f"{_SECRETS}/{certificates.server_key.name}",
        "--tls-ca-cert-file": f"{_SECRETS}/{certificates.authority.name}",
        "--aclfile": f"{_SECRETS}/users.acl",
    }
    return [word for option in options.items() for word in option]
