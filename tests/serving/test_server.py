"""The server holds its limits against slow and too many clients, and ends in order."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import fakes
import httpx
import pytest
import waits
from conftest import ROOT

import featx
from featx.errors import OptionError
from featx.serving.limits import ServeLimits
from featx.serving.server import check_token
from featx.serving.service import application
from featx.serving.uvicorn_server import server_of

PNG = {"Content-Type": "image/png"}
COMMAND = """
import sys
sys.path.insert(0, "tests")
import fakes
from featx.cli.main import main
with fakes.install(seconds_per_batch=float(sys.argv.pop(1))):
    main()
"""


@contextmanager
def live(model, **known):
    """Serve a model at a port of this machine within the block, and give its address."""
    limits, ready = ServeLimits(**known), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    app = application(model, limits=limits, ended=lambda error: ready.set())
    server = server_of(app, limits)
    thread = threading.Thread(target=server.run, args=[[listener]])
    address = listener.getsockname()
    thread.start()
    try:
        assert ready.wait(waits.SECONDS)
        yield address
    finally:
        server.stop()
        waits.for_threads(thread)


def url(address):
    return f"http://{address[0]}:{address[1]}"


def predict(address, picture):
    """Ask what a picture is."""
    return httpx.post(
        url(address) + "/predict", content=picture, headers=PNG, timeout=waits.SECONDS
    )


def metrics(address) -> str:
    """Return what the service says of itself."""
    return httpx.get(url(address) + "/metrics", timeout=waits.SECONDS).text


def received(connection) -> bytes:
    """Return what comes over a connection until it ends."""
    connection.settimeout(waits.SECONDS)
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def test_a_head_that_does_not_come_ends_the_connection(model):
    with live(model, receive_seconds=0.3) as address:
        for first in (b"", b"POST /pre", HEAD):
            with socket.create_connection(address) as connection:
                connection.sendall(first)
                assert received(connection) == b""


def test_a_head_that_comes_in_drops_ends_the_connection_too(model):
    with live(model, receive_seconds=0.5) as address, socket.create_connection(address) as slow:
        for _ in range(10_000):
            try:
                slow.sendall(b"G")
            except (BrokenPipeError, ConnectionResetError):
                return
            time.sleep(0.01)
    raise AssertionError("the connection has not ended")


def test_a_body_that_does_not_come_is_answered_408(model, red):
    with live(model, receive_seconds=0.3) as address:
        for said, sent in (
            (b"Content-Length: 99\r\n", b"abc"),
            (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n"),
        ):
            with socket.create_connection(address) as connection:
                connection.sendall(HEAD + said + b"\r\n" + sent)
                answer = received(connection)
                assert answer.startswith(b"HTTP/1.1 408 ")
                assert b"connection: close" in answer.lower()
        assert predict(address, red).status_code == 200


def test_a_client_that_does_not_read_its_answers_loses_its_connection(model):
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with live(model, receive_seconds=0.5) as address, socket.create_connection(address) as deaf:
        deaf.settimeout(0.2)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send_on(deaf, asked * 100)
        assert "featx_in_flight_requests 1" in metrics(address)


def send_on(connection, data):
    """Send again and again for half a minute, as much as the other side takes."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(TimeoutError):
            connection.send(data)
            time.sleep(0.01)


def test_what_is_said_to_be_too_large_is_refused_before_it_is_sent(model):
    with (
        live(model, request_bytes=1000) as address,
        socket.create_connection(address) as connection,
    ):
        connection.sendall(HEAD + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 413 ")


def test_a_head_that_is_too_long_is_refused(model):
    with live(model) as address, socket.create_connection(address) as connection:
        connection.sendall(HEAD + b"X-Long: " + b"x" * 100_000)
        assert received(connection).startswith(b"HTTP/1.1 400 ")


def test_too_many_connections_are_told_to_come_again(model):
    with live(model, connections=2) as address:
        open_ones = [socket.create_connection(address) for _ in range(2)]
        time.sleep(0.2)
        with socket.create_connection(address) as connection:
            answer = received(connection)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in answer
        for each in open_ones:
            each.close()
        time.sleep(0.2)
        assert httpx.get(url(address) + "/healthz").status_code == 200


def test_pictures_that_find_no_room_are_told_to_come_again(model, fake_engine, red):
    fake_engine.seconds_per_batch = 0.2
    with (
        live(model, queue=4) as address,
        httpx.Client(base_url=url(address), timeout=waits.SECONDS) as client,
    ):
        statuses, threads = [], []

        def post():
            response = predict(address, red)
            statuses.append(response.status_code)
            if response.status_code == 503:
                assert 1 <= int(response.headers["retry-after"]) <= 60
                assert response.json() == {"error": "too many pictures wait: come again later"}

        for _ in range(24):
            threads.append(threading.Thread(target=post))
            threads[-1].start()
        waits.for_threads(*threads)
        assert set(statuses) == {200, 503}
        assert "featx_queued_pictures 0" in client.get("/metrics").text
        files = [("picture", ("a.png", red))] * 5
        assert client.post("/predict", files=files).status_code == 413


def test_who_asks_again_at_once_in_spite_of_retry_after_waits(model, fake_engine, red):
    fake_engine.seconds_per_batch = 1.0
    with live(model, queue=1) as address:
        threading.Thread(target=predict, args=[address, red]).start()
        with httpx.Client(base_url=url(address), timeout=waits.SECONDS) as client:
            waits.until(
                lambda: "featx_queued_pictures 1" in client.get("/metrics").text,
                "a picture is queued",
            )
            statuses, start = [], time.monotonic()
            for _ in range(2):
                statuses.append(client.post("/predict", content=red, headers=PNG).status_code)
            assert statuses[0] == 503
            assert time.monotonic() - start > 0.4  # as long as the service reads nothing


def test_pictures_of_several_clients_go_through_the_network_together(model, fake_engine, red):
    fake_engine.seconds_per_batch = 0.2
    with live(model) as address:
        ask = [threading.Thread(target=lambda: predict(address, red)) for _ in range(12)]
        for each in ask:
            each.start()
        waits.for_threads(*ask)
        lines = metrics(address).splitlines()
    counts = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(counts["featx_batch_pictures_sum"]) == 12
    assert int(counts["featx_batch_pictures_count"]) < 12


def test_an_answer_that_takes_too_long_is_refused_and_its_picture_forgotten(
    model, fake_engine, red
):
    fake_engine.seconds_per_batch = 1.0
    with live(model, answer_seconds=0.2) as address:
        response = predict(address, red)
        assert response.status_code == 503
        assert response.json() == {"error": "no answer within 0.2 s"}
        assert response.headers["retry-after"] == "1"
        waits.until(lambda: "featx_queued_pictures 0" in metrics(address), "no picture is queued")


def test_a_mistake_of_the_service_is_no_traceback_to_clients(model, monkeypatch, fake_engine, red):
    with live(model) as address:
        fakes.fail_from_batch(monkeypatch, 0, RuntimeError("secret"))
        response = predict(address, red)
        assert response.status_code == 500
        assert response.json() == {"error": "the service has made a mistake"}


# ---------------------------------------------------------------- the process


@contextmanager
def process(model_file, *options, seconds_per_batch=0.0):
    """Run `featx serve` within the block, and give the process with its address."""
    words = [sys.executable, "-c", COMMAND, str(seconds_per_batch), "serve", str(model_file)]
    command = subprocess.Popen(
        [*words, "--port", "0", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        line = command.stdout.readline()
        assert line, command.stderr.read()
        yield command, json.loads(line)["address"]
    finally:
        command.kill()
        command.communicate()


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [(signal.SIGTERM, 0, ""), (signal.SIGINT, 130, "featx: interrupted\n")],
)
def test_signals_end_it_once_what_is_under_way_is_answered(model_file, red, number, status, line):
    with process(model_file, seconds_per_batch=1.0) as (command, address):
        answers = []

        def post():
            answers.append(
                httpx.post(f"{address}/predict", content=red, headers=PNG, timeout=waits.SECONDS)
            )

        asking = threading.Thread(target=post)
        asking.start()
        waits.until(
            lambda: "featx_queued_pictures 1" in httpx.get(f"{address}/metrics").text,
            "a picture is queued",
        )
        command.send_signal(number)
        waits.for_threads(asking)
        assert answers[0].json()["predictions"][0]["label"] == "red"
        _, errors = command.communicate(timeout=waits.SECONDS)
        assert (command.returncode, errors) == (status, line)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/healthz")


def test_a_port_that_is_taken_is_said_in_a_line(model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OptionError, match=f"port {port} is taken: .*--port {port + 1}"):
            featx.serve(model, port=port)


def test_an_address_that_is_none_of_this_machine_is_said_in_a_line(model):
    with pytest.raises(OptionError, match=r"'192\.0\.2\.1' is no address of this machine"):
        featx.serve(model, "192.0.2.1", token="correct-horse")
    for wrong in (70_000, -1, 1.5):
        with pytest.raises(OptionError, match=r"port .*: expected a whole number from 0 to 65535"):
            featx.serve(model, port=wrong)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_other_machines_are_answered_only_with_a_token(host):
    with pytest.raises(OptionError, match="can be reached by other machines: expected a token"):
        check_token(host, None)
    check_token(host, "correct-horse")
    for wrong in ("", "short", "with a space", "日本語日本語日本語"):
        with pytest.raises(OptionError, match="the token has"):
            check_token(host, wrong)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "127.0.0.2"])
def test_this_machine_needs_none(host):
    check_token(host, None)


def test_a_service_that_cannot_begin_ends_with_the_reason(model):
    with pytest.raises(OptionError, match="unknown engine 'none'"):
        featx.serve(model, port=0, engine="none")


def test_what_is_missing_to_serve_is_said_in_a_line(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(OptionError, match=r"needs uvicorn, .*: pip install \"featx\[serve\]\""):
        featx.serve(model)


@pytest.mark.parametrize(
    "limits", [{"pictures": 0}, {"pixels": 1.5}, {"queue": True}, {"answer_seconds": float("nan")}]
)
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(OptionError, match=f"{next(iter(limits))} .*: expected"):
        ServeLimits(**limits)
