"""Google Cloud Storage, as far as a server of a few lines speaks its language."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from featx.errors import StorageError
from featx.images.folder import ImageFolder
from featx.storage.objects import entries, entry, read, read_with_stamp

OBJECTS = {f"photos/{name}/{n}.jpg": b"%d" % n for name in ("ant", "bee") for n in range(3)}
OBJECTS |= {"photos/": b"", "photos/a b?#%&.jpg": b"odd", "other/1.jpg": b"another"}


class Google(BaseHTTPRequestHandler):
    """Lists two objects a page, and gives what is in them."""

    def do_GET(self):
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        names = asked.path.partition("/b/")[2].split("/", 2)
        if names[0] != "bucket":
            self.answer(404, {"error": {"code": 404, "message": "no such bucket"}})
        elif len(names) == 1:
            self.answer(200, {"name": "bucket"})
        elif len(names) == 2:
            found = sorted(key for key in OBJECTS if key.startswith(query.get("prefix", "")))
            start = int(query.get("pageToken", "0"))
            page = {"items": [told(key) for key in found[start : start + 2]]}
            self.answer(200, page | ({"nextPageToken": start + 2} if found[start + 2 :] else {}))
        elif unquote(names[2]) not in OBJECTS:
            self.answer(404, {"error": {"code": 404, "message": "no such object"}})
        elif query.get("alt") == "media":
            data, part = OBJECTS[unquote(names[2])], self.headers.get("Range", "")
            first, _, last = part.removeprefix("bytes=").partition("-")
            self.answer(200, data[int(first or 0) : int(last or len(data)) + 1])
        else:
            self.answer(200, told(unquote(names[2])))

    def answer(self, status, told):
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *told):
        pass


def told(key):
    return {
        "name": key,
        "bucket": "bucket",
        "size": str(len(OBJECTS[key])),
        "etag": f"tag-{key}",
        "generation": "1",
    }


@pytest.fixture
def google(monkeypatch):
    # It asks Google itself what kind of bucket it is, when it is first imported without this.
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    pytest.importorskip("gcsfs")
    with ThreadingHTTPServer(("127.0.0.1", 0), Google) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("FSSPEC_GS_TOKEN", "anon")
        yield
        server.shutdown()


def test_a_bucket_of_google_is_listed_page_by_page(google):
    listed = list(entries("gs://bucket/photos"))
    keys = sorted(key for key in OBJECTS if key.startswith("photos/") and key != "photos/")
    assert [each.address for each in listed] == [f"gs://bucket/{key}" for key in keys]
    assert [each.size for each in listed] == [len(OBJECTS[key]) for key in keys]
    assert all(each.stamp for each in listed)
    images = ImageFolder.of("gs://bucket/photos")
    assert images.classes == ("ant", "bee")
    assert len(images) == 7


def test_objects_of_google_are_read(google):
    address = "gs://bucket/photos/a b?#%&.jpg"
    assert read(address) == b"odd"
    assert read(address, 1, 3) == b"dd"
    data, found = read_with_stamp(address)
    assert (data, found) == (b"odd", entry(address))
    assert found in list(entries("gs://bucket/photos"))
    with pytest.raises(FileNotFoundError):
        read("gs://bucket/none.jpg")


def test_a_missing_bucket_of_google_is_told(google):
    for look in (lambda address: list(entries(address)), entry):
        with pytest.raises(StorageError, match="there is no bucket 'nobody'; check its name"):
            look("gs://nobody/photos")
