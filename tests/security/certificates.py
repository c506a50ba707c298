"""Certificates made for one test run: an authority, a server's, a client's, and a stranger's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

if TYPE_CHECKING:
    from pathlib import Path

CLIENT_NAME = "likewise-by-certificate"


class Certificates(NamedTuple):
    """Files in PEM. The server's certificate is for localhost and 127.0.0.1."""

    authority: Path
    server: Path
    server_key: Path
    server_store: Path
    """Key and certificate in one file, as Kafka wants them."""
    client: Path
    client_key: Path
    stranger: Path
    """Another authority, which signed none of these."""


def make_certificates(directory: Path) -> Certificates:
    """Write them to the directory, readable for a server that runs as another user."""
    authority, stranger = trustme.CA(), trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    client = authority.issue_cert("client.test", common_name=CLIENT_NAME)
    made = Certificates(*(directory / f"{name}.pem" for name in Certificates._fields))
    authority.cert_pem.write_to_path(made.authority)
    stranger.cert_pem.write_to_path(made.stranger)
    for issued, certificate, key in (
        (server, made.server, made.server_key),
        (client, made.client, made.client_key),
    ):
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        key.write_bytes(_pkcs8(issued.private_key_pem.bytes()))
    made.server_store.write_bytes(made.server_key.read_bytes() + made.server.read_bytes())
    directory.chmod(0o755)
    for path in made:
        path.chmod(0o644)
    return made


def _pkcs8(key: bytes) -> bytes:
    """Return the key in the one form that Kafka reads."""
    loaded = load_pem_private_key(key, password=None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
