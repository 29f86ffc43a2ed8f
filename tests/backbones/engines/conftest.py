"""Requests, open engines, and the warnings that they give."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.engines.openvino import OpenVINOEngine
from featx.backbones.network import Cut


@pytest.fixture(scope="session")
def request_for():
    """Return a function that writes a request: what is not named is the default."""

    def write(
        backbone,
        cache=Path("never used"),
        *,
        poolings=None,
        input_size=None,
        batch_size=None,
        **settings,
    ) -> EngineRequest:
        cut = Cut(**settings)
        size = input_size or backbone.input_size
        return EngineRequest(backbone, cut, poolings or (cut.pooling,), size, cache, batch_size)

    return write


@pytest.fixture(scope="session")
def open_keras(request_for):
    """Return a function that opens a network with the Keras engine."""
    return lambda backbone, **settings: open_engine(request_for(backbone, **settings), "keras")


@pytest.fixture(scope="session")
def open_openvino(request_for):
    """Return a function that opens a network with the OpenVINO engine, anew each time."""

    def opened(backbone, cache, **settings):
        return OpenVINOEngine(request_for(backbone, cache, **settings))

    return opened


@pytest.fixture
def lines(caplog):
    """Return a function that gives the warnings since it was last called, each of one line."""
    caplog.set_level(logging.WARNING, "featx")

    def messages():
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        assert not any("\n" in message for message in found), found
        return found

    return messages
