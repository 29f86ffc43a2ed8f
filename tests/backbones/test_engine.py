"""Which engine runs a network, and in which numbers."""

from __future__ import annotations

import json
import logging
import sys

import numpy as np
import pytest

from featx.backbones import converted, engine
from featx.backbones.backbone import Backbone
from featx.backbones.engine import choose_engine, open_engine, settle_precision
from featx.backbones.framework import import_keras
from featx.errors import ConversionError, OptionError


@pytest.fixture
def cpu(monkeypatch):
    """A machine without a GPU, where Keras is not imported yet and no backend is chosen."""
    monkeypatch.setattr(engine, "has_gpu", lambda: False)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


@pytest.fixture
def lines(caplog):
    """Return a function that gives the warnings so far, each of which must be one line."""
    caplog.set_level(logging.WARNING, "featx")

    def messages():
        found = [record.getMessage() for record in caplog.records]
        assert not any("\n" in message for message in found), found
        return found

    return messages


# -- Choosing ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cpu")
def test_openvino_is_chosen_on_a_cpu():
    assert choose_engine() == choose_engine("auto") == "openvino"


def test_keras_is_chosen_on_a_gpu(cpu, monkeypatch):
    monkeypatch.setattr(engine, "has_gpu", lambda: True)
    assert choose_engine() == "keras"


@pytest.mark.parametrize(
    ("backend", "expected"), [("jax", "keras"), ("torch", "keras"), ("tensorflow", "openvino")]
)
@pytest.mark.parametrize("where", ["environment", "settings"])
def test_keras_is_chosen_where_it_was_told_to_run_on_jax_or_pytorch(
    where, backend, expected, cpu, tmp_path, monkeypatch
):
    if where == "environment":
        monkeypatch.setenv("KERAS_BACKEND", backend)
    else:
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        (tmp_path / "keras.json").write_text(json.dumps({"backend": backend}))
    assert choose_engine() == expected


@pytest.mark.parametrize("name", ["openvino", "keras"])
def test_an_engine_that_is_named_is_taken_without_a_look_at_the_machine(name, monkeypatch):
    def asked():
        raise AssertionError("the machine was asked")

    monkeypatch.setattr(engine, "has_gpu", asked)
    monkeypatch.setattr(engine, "keras_backend", asked)
    assert choose_engine(name) == name


@pytest.mark.parametrize("name", ["onnx", "OpenVINO", "", None])
def test_an_unknown_engine_is_told_the_known_ones(name):
    with pytest.raises(OptionError) as caught:
        choose_engine(name)
    assert str(caught.value) == f"unknown engine {name!r}: expected one of auto, openvino, keras"


# -- Precision -----------------------------------------------------------------------------------


@pytest.fixture
def processor(monkeypatch):
    """Return a function that gives the machine a processor with or without bfloat16."""
    monkeypatch.setattr(engine, "has_gpu", lambda: False)

    def give(bfloat16):
        name = "featx.backbones.openvino_engine.computes_in_bfloat16"
        monkeypatch.setattr(name, lambda: bfloat16)

    return give


@pytest.mark.parametrize("name", ["openvino", "keras"])
def test_bfloat16_is_taken_where_the_processor_computes_in_it(name, processor, lines):
    processor(bfloat16=True)
    assert settle_precision("bfloat16", name) == "bfloat16"
    assert lines() == []


@pytest.mark.parametrize("name", ["openvino", "keras"])
def test_a_processor_without_bfloat16_uses_float32_and_says_so_in_one_line(name, processor, lines):
    processor(bfloat16=False)
    assert settle_precision("bfloat16", name) == "float32"
    assert lines() == ["this processor does not compute in bfloat16: float32 is used instead"]


@pytest.mark.parametrize(("name", "expected"), [("keras", "bfloat16"), ("openvino", "float32")])
def test_what_a_gpu_computes_in_counts_for_keras_only(name, expected, processor, monkeypatch):
    processor(bfloat16=False)
    monkeypatch.setattr(engine, "has_gpu", lambda: True)
    assert settle_precision("bfloat16", name) == expected


def test_float32_is_taken_without_a_look_at_the_processor(processor, lines):
    processor(bfloat16=False)
    assert settle_precision("float32", "openvino") == "float32"
    assert lines() == []


def test_an_unknown_precision_is_told_the_known_ones():
    with pytest.raises(OptionError, match="unknown precision 'float16': expected one of float32, "):
        settle_precision("float16", "openvino")


# -- Networks that cannot be converted -----------------------------------------------------------


def sorting_network():
    """Build a network with an operation that is known to no converter: a function of numpy's."""
    keras = import_keras()
    import tensorflow as tf

    class Sort(keras.layers.Layer):
        def call(self, x):
            ordered = tf.numpy_function(lambda a: np.sort(a, axis=1), [x], tf.float32)
            ordered.set_shape(x.shape)
            return ordered

        def compute_output_shape(self, shape):
            return shape

    pixels = keras.Input((16, 16, 3))
    return keras.Model(pixels, Sort()(pixels), name="sorter")


OPTIONS = {"layer": None, "pooling": "none", "input_size": 16}


@pytest.mark.keras
def test_keras_runs_what_openvino_cannot_and_says_so_in_one_line(
    tmp_path, lines, small_pictures, monkeypatch
):
    monkeypatch.setattr(engine, "has_gpu", lambda: False)
    backbone = Backbone.from_keras(sorting_network())
    opened = open_engine(backbone, cache=tmp_path, **OPTIONS)
    assert len(lines()) == 1, lines()
    assert lines()[0].startswith("sorter cannot be converted: ")
    assert lines()[0].endswith("; Keras runs it instead, which is slower")
    expected = np.sort(small_pictures.astype(np.float32), axis=1)
    np.testing.assert_array_equal(opened.embed_batch(small_pictures), expected)
    assert list(tmp_path.rglob("*.*")) == [], "something was kept of it"


@pytest.mark.keras
def test_openvino_is_not_replaced_where_it_was_named(tmp_path, lines):
    with pytest.raises(ConversionError, match="sorter cannot be converted: ") as caught:
        open_engine(
            Backbone.from_keras(sorting_network()), engine="openvino", cache=tmp_path, **OPTIONS
        )
    assert "\n" not in str(caught.value)
    assert lines() == []


@pytest.mark.keras
def test_keras_on_another_backend_says_what_a_conversion_needs(
    small_network, tmp_path, monkeypatch
):
    monkeypatch.setattr(converted, "keras_backend", lambda: "jax")
    with pytest.raises(ConversionError) as caught:
        open_engine(
            Backbone.from_keras(small_network()), engine="openvino", cache=tmp_path, **OPTIONS
        )
    assert str(caught.value) == (
        "networks are converted for OpenVINO with TensorFlow: Keras runs on jax here; "
        "unset KERAS_BACKEND once, or use the engine keras"
    )
