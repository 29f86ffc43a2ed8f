"""Azure Blob Storage, as far as a server of a few lines speaks its language."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from featx.errors import StorageError
from featx.images.folder import ImageFolder
from featx.storage.objects import entries, entry, read, read_with_stamp

OBJECTS = {f"photos/{name}/{n}.jpg": b"%d" % n for name in ("ant", "bee") for n in range(3)}
OBJECTS |= {"photos/a b#%&.jpg": b"odd", "photos//1.jpg": b"nameless", "other/1.jpg": b"another"}
FOLDERS = {"photos/", "photos/ant"}  # which some accounts list, too


class Azure(BaseHTTPRequestHandler):
    """Lists two objects a page, and gives what is in them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        _, account, container, *rest = asked.path.split("/", 3)
        name = unquote(rest[0]) if rest else ""
        if account == "denied":
            self.answer(403, b"", {"x-ms-error-code": "AuthorizationFailure"})
        elif container != "container":
            self.answer(404, b"", {"x-ms-error-code": "ContainerNotFound"})
        elif query.get("comp") == "list":
            self.answer(200, self.page(query), {"Content-Type": "application/xml"})
        elif not name:
            self.answer(200, b"", {"ETag": '"0x1"', "Last-Modified": DATE})
        elif name not in OBJECTS:
            self.answer(404, b"", {"x-ms-error-code": "BlobNotFound"})
        else:
            self.give(OBJECTS[name], name)

    def do_HEAD(self):
        self.do_GET()

    def page(self, query):
        found = sorted(name for name in {*OBJECTS, *FOLDERS} if name.startswith(query["prefix"]))
        start = int(query.get("marker", "0"))
        blobs = "".join(map(told, found[start : start + 2]))
        following = start + 2 if found[start + 2 :] else ""
        text = (
            f"<EnumerationResults><Prefix>{query['prefix']}</Prefix><Blobs>{blobs}</Blobs>"
            f"<NextMarker>{following}</NextMarker></EnumerationResults>"
        )
        return text.encode()

    def give(self, data, name):
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("x-ms-range", ""))
        told = {"ETag": f'"{tag(name)}"', "Last-Modified": DATE, "x-ms-blob-type": "BlockBlob"}
        if part is None:
            self.answer(200, data, told)
            return
        first, last = int(part[1]), min(int(part[2] or len(data)), len(data) - 1)
        told["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self.answer(206, data[first : last + 1], told)

    def answer(self, status, data, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *told):
        pass


DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


def tag(name):
    return f"0x{sum(name.encode()):X}"


def told(name):
    folder = "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>" if name in FOLDERS else ""
    return (
        f"<Blob><Name>{escape(name)}</Name><Properties><Etag>{tag(name)}</Etag><Last-Modified>"
        f"{DATE}</Last-Modified><Content-Length>{len(OBJECTS.get(name, b''))}</Content-Length>"
        f"<BlobType>BlockBlob</BlobType></Properties>{folder}</Blob>"
    )


@pytest.fixture
def azure(monkeypatch):
    """Return a function that says by which account the server is asked."""
    pytest.importorskip("adlfs")
    with ThreadingHTTPServer(("127.0.0.1", 0), Azure) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def account(name):
            place = f"http://127.0.0.1:{server.server_port}/{name}"
            words = f"AccountName={name};AccountKey=dGVzdHM=;BlobEndpoint={place}"
            monkeypatch.setenv(
                "AZURE_STORAGE_CONNECTION_STRING", f"DefaultEndpointsProtocol=http;{words}"
            )

        account("tests")
        yield account
        server.shutdown()


def test_a_container_is_listed_page_by_page_without_its_folders(azure):
    listed = list(entries("az://container/photos"))
    keys = sorted(key for key in OBJECTS if key.startswith("photos/"))
    assert [each.address for each in listed] == [f"az://container/{key}" for key in keys]
    assert [each.size for each in listed] == [len(OBJECTS[key]) for key in keys]
    images = ImageFolder.of("az://container/photos")
    assert images.classes == ("ant", "bee")
    assert len(images) == 8


def test_objects_of_azure_are_read(azure):
    address = "az://container/photos/a b#%&.jpg"
    assert read(address) == b"odd"
    assert read(address, 1, 3) == b"dd"
    assert read(address, -2) == b"dd"
    assert read(address, 2, 2) == b""
    assert read("az://container/photos//1.jpg") == b"nameless"
    data, found = read_with_stamp(address)
    assert (data, found) == (b"odd", entry(address))
    assert found in list(entries("az://container/photos"))
    with pytest.raises(FileNotFoundError):
        read("az://container/none.jpg")


def test_what_azure_refuses_is_told(azure, monkeypatch):
    for look in (lambda address: list(entries(address)), entry):
        with pytest.raises(StorageError, match="there is no container 'nobody'; check its name"):
            look("az://nobody/photos")
    azure("denied")
    with pytest.raises(StorageError, match=r"access denied \(.*\); check the credentials"):
        list(entries("az://container/photos"))
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "nonsense")
    with pytest.raises(StorageError, match=r"no credentials that work .* or AZURE_STORAGE_CONN"):
        list(entries("az://container/photos"))
