"""Stores that do not answer, or not to the end; each test would wait for minutes, or for ever."""

import signal
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bucket import SETTINGS

import featx
from featx.errors import StorageError
from featx.storage import deadline
from featx.storage.objects import entries, entry, read, read_with_stamp, write

STORES = [
    ("s3", "s3fs", "AWS_ENDPOINT_URL"),
    ("gs", "gcsfs", "STORAGE_EMULATOR_HOST"),
    ("http", "aiohttp", "the address"),
]
BODY = bytes(range(256)) * 1024  # 256 KiB


class Unwilling(BaseHTTPRequestHandler):
    """Answers as the key says: `silent` never, `drip` a byte at a time, `slow` in four pieces."""

    def do_GET(self):
        self.server.asked.append(self.path)
        kind = self.path.rpartition("/")[2].partition("?")[0]
        if "silent" in self.path or kind in ("", "o"):
            self.server.ended.wait()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.send_header("ETag", '"one"')
        self.end_headers()
        size, pause = (1, 0.05) if kind == "drip" else (len(BODY) // 4, 0.4)
        try:
            for start in range(0, len(BODY), size):
                if self.server.ended.wait(pause):
                    break
                self.wfile.write(BODY[start : start + size])
        except OSError:
            pass  # given up

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *told):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server of all stores that are patient for a second."""
    monkeypatch.setattr(deadline, "SECONDS", 1.0)
    with serving(monkeypatch) as server:
        yield server


@contextmanager
def serving(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unwilling)
    server.ended, server.asked = threading.Event(), []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    google = {"STORAGE_EMULATOR_HOST": server.url, "FSSPEC_GS_TOKEN": "anon"}
    # It asks Google itself what kind of bucket it is, when it is first imported without this.
    google["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
    for name, value in {**SETTINGS, **google, "AWS_ENDPOINT_URL": server.url}.items():
        monkeypatch.setenv(name, value)
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


def address(scheme, server, key):
    return f"{server.url}/{key}" if scheme == "http" else f"{scheme}://{server.server_port}/{key}"


def refusal(function, *arguments):
    """Return the one line of what ends within seconds."""
    told = []

    def call():
        try:
            function(*arguments)
        except StorageError as error:
            told.append(str(error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(20)
    assert told, "it waits, or was answered"
    assert "\n" not in told[0]
    return told[0]


@pytest.mark.parametrize(("scheme", "package", "checked"), STORES)
def test_a_store_that_never_answers_is_told_in_a_line(server, scheme, package, checked):
    pytest.importorskip(package)
    place = address(scheme, server, "silent/1.jpg")
    reason = f"no connection (no answer within 1 s); check the network and {checked}"
    asked = [("read", read), ("read", read_with_stamp), ("read", entry)]
    if scheme != "http":
        asked += [("list", lambda at: list(entries(at))), ("write", lambda at: write(at, b"one"))]
    for doing, function in asked:
        deadline.forget_silence()
        assert refusal(function, place) == f"cannot {doing} {place}: {reason}"


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("http", "aiohttp")])
def test_an_answer_that_drips_is_given_up_and_a_slow_one_is_not(server, scheme, package):
    pytest.importorskip(package)
    message = refusal(read_with_stamp, address(scheme, server, "drip"))
    assert "no connection (no answer within 1 s)" in message
    deadline.forget_silence()
    assert read(address(scheme, server, "slow")) == BODY  # takes longer than a second


def test_a_store_that_is_silent_is_waited_for_once(server):
    pytest.importorskip("aiohttp")
    deadline.forget_silence()
    place = address("http", server, "silent/1.jpg")
    first = refusal(read, place)
    assert refusal(read, place) == first
    assert len(server.asked) == 1
    other = address("http", server, "slow")
    assert "no answer within" in refusal(read, other)  # of the same store
    deadline.forget_silence()
    assert read(other) == BODY


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals here")
def test_an_interrupted_run_does_not_wait_for_pictures_of_a_silent_store(monkeypatch, fake_engine):
    pytest.importorskip("aiohttp")
    with serving(monkeypatch) as server:
        places = [address("http", server, f"silent/{number}.jpg") for number in range(100)]

        def interrupt():
            while not server.asked:
                time.sleep(0.05)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            featx.embed(places, cache=False)
        assert time.monotonic() - start < 20  # it is given up after thirty
