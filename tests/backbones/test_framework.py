"""Keras starts without printing, in a process of its own as it does for a user."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.keras

START = """
from featx.backbones.framework import import_keras
keras = import_keras()
network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
print(network.predict_on_batch(keras.ops.ones((1, 4))).shape)
"""


def test_starting_keras_prints_nothing_on_stderr():
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    run = subprocess.run(
        [sys.executable, "-c", START], capture_output=True, text=True, env=environment
    )
    assert run.stdout == "(1, 2)\n", run.stdout
    assert run.stderr == ""
