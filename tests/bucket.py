"""A bucket of S3 that a server in the process of the tests has."""

from __future__ import annotations

import itertools
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

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


class Pages(BaseHTTPRequestHandler):
    """Lists a bucket of so many pictures that nobody has them, a thousand a page."""

    n = 0  # pictures, of a hundred classes
    asked = 0  # pages

    @classmethod
    def key(cls, number: int) -> str:
        return f"photos/{number * 100 // cls.n:02d}/{number:08d}.jpg"

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        type(self).asked += 1
        start = int(query.get("continuation-token", ["0"])[0])
        stop = min(start + 1000, self.n)
        rows = "".join(
            f"<Contents><Key>{self.key(number)}</Key><Size>9</Size><ETag>&quot;{number:032x}&quot;"
            "</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for number in range(start, stop)
        )
        more = f"<NextContinuationToken>{stop}</NextContinuationToken>" if stop < self.n else ""
        text = (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(stop < self.n).lower()}</IsTruncated>{more}{rows}"
            "</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *told) -> None:
        pass


@contextmanager
def pages(n: int) -> Iterator[tuple[type[Pages], dict[str, str]]]:
    """Serve a bucket of `n` pictures while the block runs; gives the settings to find it by."""

    class Served(Pages):
        pass

    Served.n = n
    with ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served, {**SETTINGS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


@contextmanager
def served() -> Iterator[Server]:
    """Serve S3 while the block runs."""
    server = Server()
    try:
        yield server
    finally:
        server.stop()
