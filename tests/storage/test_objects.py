import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bucket import SETTINGS

from featx.errors import MissingPackageError, OptionError, StorageError
from featx.storage.objects import entries, entry, read, read_with_stamp, remove, write

KEYS = ["a-1.jpg", "a.jpg", "a/1.jpg", "a/b/2.jpg", "a0.jpg", "ä ?#%&+/é.jpg", "b/1.jpg"]


@pytest.fixture(params=["s3", "memory"])
def store(request):
    """The address of an empty bucket of a kind of store."""
    if request.param == "s3":
        yield str(request.getfixturevalue("bucket"))
        return
    memory = pytest.importorskip("fsspec").filesystem("memory")
    yield "memory://bucket"
    memory.store.clear()


def test_what_was_written_is_read_as_a_whole_and_in_parts(store, tmp_path):
    address = f"{store}/photos/ä ?#%&+.jpg"
    write(address, b"0123456789")
    assert read(address) == b"0123456789"
    assert read(address, 2, 5) == b"234"
    assert read(address, 7) == b"789"
    assert read(address, stop=3) == b"012"
    assert read(address, -2) == b"89"
    assert read(address, 3, 3) == b""
    file = tmp_path / "file"
    file.write_bytes(b"another")
    write(address, file)
    assert read(address) == b"another"


def test_a_stamp_changes_with_the_content(store):
    address = f"{store}/1.jpg"
    write(address, b"one")
    data, before = read_with_stamp(address)
    assert (data, before) == (b"one", entry(address))
    assert before.size == 3
    assert before.stamp
    write(address, b"two")
    assert entry(address).stamp != before.stamp


def test_objects_are_listed_below_a_folder_in_order_of_code_points(store):
    for key in KEYS:
        write(f"{store}/photos/{key}", key.encode())
    write(f"{store}/photos2/1.jpg", b"of another folder")
    listed = list(entries(f"{store}/photos"))
    assert [each.address for each in listed] == [f"{store}/photos/{key}" for key in sorted(KEYS)]
    assert [each.size for each in listed] == [len(key.encode()) for key in sorted(KEYS)]
    assert listed[0] == entry(listed[0].address)
    assert list(entries(f"{store}/photos/")) == listed
    assert list(entries(f"{store}/photos/none")) == []


def test_an_object_that_was_removed_is_not_there(store):
    address = f"{store}/1.jpg"
    write(address, b"one")
    remove(address)
    for look in (read, read_with_stamp, entry):
        with pytest.raises(FileNotFoundError, match=r"no such object: '.*/1\.jpg'"):
            look(address)


def test_an_object_too_large_is_not_read(store):
    write(f"{store}/1.jpg", b"x" * 2000)
    with pytest.raises(StorageError, match=r"^too large: 2\.0 kB, at most 1\.0 kB$"):
        read_with_stamp(f"{store}/1.jpg", 1000)


def test_many_threads_read_at_once(bucket):
    addresses = [bucket.put(f"{number}", b"%d" % number) for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(read, addresses)) == [b"%d" % number for number in range(200)]


def test_folders_made_by_hand_are_no_objects(bucket):
    bucket.put("photos/", b"")
    bucket.put("photos/cat/", b"")
    bucket.put("photos/cat/1.jpg", b"one")
    assert [each.address for each in entries(f"{bucket}/photos")] == [f"{bucket}/photos/cat/1.jpg"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_process_reads_on_its_own(bucket):
    address = bucket.put("1.jpg", b"one")
    assert read(address) == b"one"
    child = os.fork()
    if not child:
        os._exit(0 if read(address) == b"one" else 1)
    waiting = threading.Timer(20, os.kill, (child, 9))
    waiting.start()
    status = os.waitpid(child, 0)[1]
    waiting.cancel()
    assert status == 0
    assert read(address) == b"one"


# ---------------------------------------------------------------- what goes wrong


def failure(function, *arguments):
    """Return the one line of an error."""
    with pytest.raises(StorageError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_scheme_is_told_with_those_that_are_known():
    message = "unknown address 'ftp://x/1.jpg': expected one that begins with s3://, gs://, az://"
    with pytest.raises(OptionError, match=message):
        read("ftp://x/1.jpg")


def test_a_missing_bucket_is_told_whatever_is_done(bucket):
    address = "s3://no-such-bucket/photos"
    reason = "there is no bucket 'no-such-bucket'; check its name"
    assert failure(read, address) == f"cannot read {address}: {reason}"
    assert failure(entry, address) == f"cannot read {address}: {reason}"
    assert failure(list, entries(address)) == f"cannot list {address}: {reason}"
    assert failure(write, address, b"one") == f"cannot write {address}: {reason}"


def test_missing_credentials_are_told_with_what_to_set(bucket, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))
    message = failure(list, entries(str(bucket)))
    assert message.startswith(f"cannot list {bucket}: no credentials that work (Unable to locate")
    assert "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message


def test_a_profile_that_is_not_there_is_a_lack_of_credentials(bucket, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("HOME", str(tmp_path))
    message = failure(list, entries(str(bucket)))
    assert "no credentials that work (The config profile (nobody) could not be found)" in message


def test_a_store_that_cannot_be_reached_is_told(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    message = failure(list, entries(str(bucket)))
    assert message.startswith(f"cannot list {bucket}: no connection (Could not connect")
    assert message.endswith("check the network and AWS_ENDPOINT_URL")


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with the same error, which that to `HEAD` does not tell."""

    protocol_version = "HTTP/1.1"
    status, code, said = 404, "", ""

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = f"<Error><Code>{self.code}</Code><Message>{self.said}</Message></Error>"
        body = told.encode() if self.code else b""
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amz-bucket-region", "eu-west-1")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_PUT(self):
        self.do_GET()

    def log_message(self, *told):
        pass


@pytest.mark.parametrize(
    ("status", "code", "said", "expected"),
    [
        (400, "ExpiredToken", "It has expired.", "access denied (It has expired.); check the cred"),
        (403, "AccessDenied", "Not you.", "access denied (Not you.); check the credentials and"),
        (301, "PermanentRedirect", "Go.", "the bucket is in another region (Go.); check AWS_DEFAU"),
        (400, "AuthorizationHeaderMalformed", "Oh.", "the bucket is in another region (Oh.); chec"),
    ],
)
def test_what_s3_refuses_is_told_in_its_words(monkeypatch, status, code, said, expected):
    pytest.importorskip("s3fs")
    for name, value in {**SETTINGS, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    kind = type("Told", (Refusing,), {"status": status, "code": code, "said": said})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        assert failure(entry, "s3://b/1.jpg").startswith(f"cannot read s3://b/1.jpg: {expected}")
        assert failure(list, entries("s3://b/x")).startswith(f"cannot list s3://b/x: {expected}")
        server.shutdown()


def test_a_server_that_knows_no_such_path_has_no_bucket(monkeypatch):
    pytest.importorskip("s3fs")
    for name, value in {**SETTINGS, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}/wrong")
        assert failure(list, entries("s3://b/x")).endswith("there is no bucket 'b'; check its name")
        assert failure(write, "s3://b/x", b"1").endswith("there is no bucket 'b'; check its name")
        server.shutdown()


def test_an_endpoint_without_a_scheme_is_told(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "minio:9000")
    message = failure(read, f"{bucket}/1.jpg")
    assert message.endswith("expected a whole address in AWS_ENDPOINT_URL, https://host")


def test_a_web_server_neither_lists_nor_takes():
    assert "a web server lists no folders" in failure(list, entries("https://example.org/photos"))
    assert "a web server only gives" in failure(write, "https://example.org/1.jpg", b"one")


def test_a_version_of_an_object_is_not_written(bucket):
    bucket.put("a", b"one")
    assert "without ?versionId=" in failure(write, f"{bucket}/a?versionId=3", b"two")
    assert bucket.get("a") == b"one"


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gcs", "gs"), ("abfs", "az")])
def test_a_package_that_is_missing_is_named(scheme, extra, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setitem(sys.modules, {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}[extra], None)
    monkeypatch.setenv("AWS_PROFILE", "with which nothing is open yet")
    with pytest.raises(MissingPackageError, match=rf'pip install "featx\[{extra}\]"'):
        read(f"{scheme}://bucket/1.jpg")
