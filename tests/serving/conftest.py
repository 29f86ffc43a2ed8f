"""A service of a small model, on the fake engine."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import fakes
import pytest
import waits
from starlette.testclient import TestClient

import featx
from featx.serving.limits import ServeLimits
from featx.serving.service import application
from featx.serving.uvicorn_server import server_of


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    """A file of a model that tells three classes by colour."""
    folder = tmp_path_factory.mktemp("served")
    with fakes.install():
        model = featx.train(fakes.draw_folder(folder / "photos"), "logistic", cache=False)
    model.save(folder / "colours.featx")
    return folder / "colours.featx"


@pytest.fixture
def model(model_file, fake_engine):
    """A model that tells three classes by colour."""
    return featx.load(model_file)


@contextmanager
def served(model, **options):
    """Serve a model within the block, and give a client of it once it is ready."""
    ready, errors = threading.Event(), []

    def ended(error):
        errors.append(error)
        ready.set()

    app = application(model, ended=ended, **options)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        assert ready.wait(waits.SECONDS)
        assert errors == [None]
        yield client


@pytest.fixture
def serve(model):
    """Return a context that serves the model, or another one, with some options."""
    return lambda other=None, **options: served(other or model, **options)


@pytest.fixture
def client(serve):
    """A client of the model's service."""
    with serve() as client:
        yield client


@pytest.fixture
def red() -> bytes:
    """A picture of the class red."""
    return fakes.encoded(fakes.Image.new("RGB", (30, 20), (200, 40, 40)))


@pytest.fixture
def blue() -> bytes:
    """A picture of the class blue."""
    return fakes.encoded(fakes.Image.new("RGB", (30, 20), (40, 60, 200)))


@contextmanager
def listening(model, **options):
    """Serve a model at a port of this machine within the block, and give its address."""
    ready, limits = threading.Event(), options.pop("limits", ServeLimits())
    app = application(model, ended=lambda error: ready.set(), limits=limits, **options)
    server = server_of(app, limits)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert ready.wait(waits.SECONDS)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.stop()
            waits.for_threads(thread)


@pytest.fixture
def listen(model):
    """Return a context that serves the model, or another one, at a port of this machine."""
    return lambda other=None, **options: listening(other or model, **options)
