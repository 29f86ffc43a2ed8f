"""A bucket of S3 that a server in the process of the tests has."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SETTINGS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


_LOG = logging.getLogger("werkzeug")  # a line for each request
_REQUEST = re.compile(r'"([A-Z]+) /([^/? ]+)(/[^? ]*)?(\?[^ ]*)? HTTP')
_NAMES = {
    ("GET", False): "ListObjects",
    ("GET", True): "GetObject",
    ("HEAD", False): "HeadBucket",
    ("HEAD", True): "HeadObject",
    ("PUT", True): "PutObject",
    ("DELETE", True): "DeleteObject",
}


class Server:
    """S3 on this machine, which counts what is asked of it.

    `settings` are the variables of the environment by which clients find it. Buckets have new
    names each time, since the server is there for all tests.
    """

    def __init__(self) -> None:
        import fsspec.asyn
        from moto.server import ThreadedMotoServer

        _LOG.setLevel(logging.INFO)
        _LOG.propagate = False
        _LOG.addHandler(logging.NullHandler())
        fsspec.asyn.get_loop()  # its thread is there before tests count threads
        self._server = ThreadedMotoServer(port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.settings = {**SETTINGS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
        self._numbers = itertools.count()

    def make(self) -> Bucket:
        """Make an empty bucket."""
        bucket = Bucket(f"bucket-{next(self._numbers)}")
        bucket.create()
        return bucket

    def stop(self) -> None:
        self._server.stop()


class Bucket:
    """A bucket: where it is, and what is in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = f"s3://{name}"

    def __str__(self) -> str:
        return self.address

    @property
    def _backend(self):
        from moto.s3.models import s3_backends

        return s3_backends["123456789012"]["aws"]

    def create(self) -> None:
        """Make the bucket, unless it is there."""
        if self.name not in self._backend.buckets:
            self._backend.create_bucket(self.name, "us-east-1")

    def put(self, key: str, data: bytes) -> str:
        """Put an object, without a request, and return its address."""
        self._backend.put_object(self.name, key, data)
        return f"{self.address}/{key}"

    def put_folder(self, folder: Path, key: str) -> str:
        """Put the files of a folder below a key, and return its address."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{key}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.address}/{key}"

    def get(self, key: str) -> bytes:
        """Return what is in an object."""
        return self._backend.get_object(self.name, key).value

    def keys(self) -> list[str]:
        """List the keys of all objects."""
        return sorted(self._backend.buckets[self.name].keys.keys())

    def delete(self, key: str) -> None:
        self._backend.delete_object(self.name, key)

    @contextmanager
    def requests(self) -> Iterator[list[str]]:
        """Give a list of what is asked of the bucket while the block runs: "GetObject" and so on.

        Of whatever process, in order.
        """
        asked: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: asked.extend(self._asked(record.getMessage()))
        _LOG.addHandler(handler)
        try:
            yield asked
        finally:
            _LOG.removeHandler(handler)

    def _asked(self, line: str) -> list[str]:
        found = _REQUEST.search(line)
        if found is None or found[2] != self.name:
            return []
        kind = found[1], bool((found[3] or "").strip("/"))
        return [_NAMES.get(kind, " ".join(map(str, kind)))]


@contextmanager
def served() -> Iterator[Server]:
    """Serve S3 while the block runs."""
    server = Server()
    try:
        yield server
    finally:
        server.stop()
