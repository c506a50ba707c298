"""A server of the S3 protocol on this machine."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3  # type: ignore[import-untyped]  # it has no types
import fsspec  # type: ignore[import-untyped]  # it has no types
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "models"
SECRET = "a-secret-that-no-log-may-have"


class ObjectStore:
    """The server, one bucket, and the environment that leads to it."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]
        self.environment = {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    @property
    def client(self) -> Any:
        """A client that is none of likewise's."""
        return boto3.client("s3")

    def stop(self) -> None:
        """Refuse connections from now on; what is stored stays."""
        self._server.stop()
        listening = self._server._server
        assert listening is not None
        listening.server_close()  # moto only stops to accept, and clients would hang

    def start(self) -> None:
        """Answer again, on the same port."""
        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()

    def names(self) -> set[str]:
        """Return the names of all objects."""
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        return {entry["Key"] for entry in found}

    def clear(self) -> None:
        """Remove all objects."""
        for key in self.names():
            self.client.delete_object(Bucket=BUCKET, Key=key)


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run the server during a `with` block, with its environment in that of this process."""
    server = ObjectStore()
    try:
        with mock.patch.dict(os.environ, server.environment):
            # Instances are shared, and remember the endpoint.
            fsspec.get_filesystem_class("s3").clear_instance_cache()
            server.client.create_bucket(Bucket=BUCKET)
            server.clear()  # moto keeps what it stored as long as the process lives
            yield server
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        server.stop()
