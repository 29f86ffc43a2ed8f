"""Which engine runs a network, and in which numbers."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import fakes
import numpy as np
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.engines import choice, conversion
from featx.backbones.engines.choice import (
    ENGINES,
    EngineSpec,
    engines_for,
    open_engine,
    quickest_precision,
    registered,
    settle_precision,
)
from featx.backbones.framework import import_keras
from featx.backbones.kinds import KINDS
from featx.errors import ConversionError, OptionError, WeightsError

NAMED = [name for name in ENGINES if name != "auto"]


@pytest.fixture
def cpu(monkeypatch):
    """A machine without a GPU, where Keras is not imported yet and no backend is chosen."""
    monkeypatch.setattr(choice, "has_gpu", lambda: False)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


def names(specs):
    return [spec.name for spec in specs]


# -- Choosing ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cpu")
def test_openvino_is_chosen_on_a_cpu_and_keras_after_it():
    assert names(engines_for()) == names(engines_for(engine="auto")) == ["openvino", "keras"]


def test_keras_is_chosen_on_a_gpu(cpu, monkeypatch):
    monkeypatch.setattr(choice, "has_gpu", lambda: True)
    assert names(engines_for()) == ["keras"]


@pytest.mark.parametrize(
    ("backend", "expected"),
    [("jax", ["keras"]), ("torch", ["keras"]), ("tensorflow", ["openvino", "keras"])],
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
    assert names(engines_for()) == expected


@pytest.mark.parametrize("name", NAMED)
def test_an_engine_that_is_named_is_taken_without_a_look_at_the_machine(name, monkeypatch):
    def asked():
        raise AssertionError("the machine was asked")

    monkeypatch.setattr(choice, "has_gpu", asked)
    monkeypatch.setattr(choice, "keras_backend", asked)
    assert names(engines_for(engine=name)) == [name]


@pytest.mark.parametrize("name", ["onnx", "OpenVINO", "", None])
def test_an_unknown_engine_is_told_the_known_ones(name):
    with pytest.raises(OptionError) as caught:
        engines_for(engine=name)
    assert str(caught.value) == f"unknown engine {name!r}: expected one of auto, openvino, keras"


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", sorted({kind.form for kind in KINDS}))
def test_every_kind_of_network_has_an_engine_whatever_is_asked_for(kind, engine):
    specs = engines_for(kind, engine)
    assert specs != []
    assert [spec.name for spec in specs if kind not in spec.kinds] == []


# -- Precision -----------------------------------------------------------------------------------


@pytest.fixture
def processor(monkeypatch):
    """Return a function that gives the machine a processor with or without bfloat16 and int8."""
    monkeypatch.setattr(choice, "has_gpu", lambda: False)

    def give(bfloat16, int8=False):
        module = "featx.backbones.engines.openvino"
        monkeypatch.setattr(f"{module}.computes_in_bfloat16", lambda: bfloat16)
        monkeypatch.setattr(f"{module}.computes_in_int8", lambda: int8)

    return give


@pytest.mark.parametrize("name", NAMED)
def test_bfloat16_is_taken_where_the_processor_computes_in_it(name, processor, lines):
    processor(bfloat16=True)
    assert settle_precision("bfloat16", name) == "bfloat16"
    assert lines() == []


@pytest.mark.parametrize("name", NAMED)
def test_a_processor_without_bfloat16_uses_float32_and_says_so_in_one_line(name, processor, lines):
    processor(bfloat16=False)
    assert settle_precision("bfloat16", name) == "float32"
    assert lines() == ["this processor does not compute in bfloat16: float32 is used instead"]


@pytest.mark.parametrize(("name", "expected"), [("keras", "bfloat16"), ("openvino", "float32")])
def test_what_a_gpu_computes_in_counts_for_keras_only(name, expected, processor, monkeypatch):
    processor(bfloat16=False)
    monkeypatch.setattr(choice, "has_gpu", lambda: True)
    assert settle_precision("bfloat16", name) == expected


def test_float32_is_taken_without_a_look_at_the_processor(processor, lines):
    processor(bfloat16=False)
    assert settle_precision("float32", "openvino") == "float32"
    assert lines() == []


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_int8_is_taken_on_every_processor(engine, int8, processor, lines):
    processor(bfloat16=False, int8=int8)
    assert settle_precision("int8", engine) == "int8"
    assert lines() == []


def test_int8_on_keras_is_refused_in_one_line(processor):
    processor(bfloat16=True, int8=True)
    with pytest.raises(OptionError) as caught:
        settle_precision("int8", "keras")
    assert str(caught.value) == (
        "the engine keras does not compute in int8, OpenVINO does: take engine 'openvino' or "
        "'auto', or another precision"
    )


def test_int8_runs_on_openvino_also_where_a_gpu_runs_everything_else(processor, monkeypatch):
    processor(bfloat16=False)
    monkeypatch.setattr(choice, "has_gpu", lambda: True)
    assert [spec.name for spec in engines_for(precision="int8")] == ["openvino"]
    assert engines_for()[0].name == "keras"
    assert quickest_precision() == "bfloat16", "what the GPU has"


@pytest.mark.parametrize(
    ("bfloat16", "int8", "engine", "expected"),
    [
        (True, True, "auto", ["int8", "bfloat16"]),
        (False, True, "auto", ["int8", "float32"]),
        (True, False, "auto", ["bfloat16", "bfloat16"]),
        (False, False, "auto", ["float32", "float32"]),
        (True, True, "keras", ["bfloat16", "bfloat16"]),
        (False, True, "keras", ["float32", "float32"]),
    ],
)
def test_the_quickest_precision_is_one_that_the_processor_has(
    bfloat16, int8, engine, expected, processor, lines
):
    processor(bfloat16, int8)
    found = [quickest_precision(engine), quickest_precision(engine, but="int8")]
    assert found == expected
    assert lines() == []


@pytest.mark.parametrize("bfloat16", [False, True])
def test_an_unknown_precision_is_told_the_known_ones(bfloat16, processor):
    processor(bfloat16)
    with pytest.raises(OptionError, match="unknown precision 'float16': expected one of float32, "):
        settle_precision("float16", "openvino")


# -- Opening -------------------------------------------------------------------------------------


def spec(name, builder):
    return EngineSpec(name, builder, suits=lambda: True, computes_in=lambda precision: True)


def unable(request):
    raise ConversionError(f"{request.backbone.name} cannot be converted")


@pytest.fixture
def fake_request(request_for):
    backbone = Backbone("fake", "ab" * 32, 16, 8, "none/1", preprocess=lambda pixels: pixels)
    return request_for(backbone)


def test_an_engine_is_opened_once_for_the_same_request(fake_engine, fake_request, request_for):
    first = open_engine(fake_request)
    assert open_engine(fake_request) is first
    assert open_engine(request_for(fake_request.backbone, batch_size=3)) is not first
    assert [request.batch_size for request in fake_engine.opened] == [None, 3]


@pytest.mark.usefixtures("cpu")
def test_a_registered_engine_comes_first_and_goes_with_its_block():
    before = names(engines_for())
    with registered(spec("mine", fakes.FakeEngine)):
        assert names(engines_for()) == ["mine", *before]
    assert names(engines_for()) == before
    with suppress(RuntimeError), registered(spec("mine", fakes.FakeEngine)):
        raise RuntimeError("the block fails")
    assert names(engines_for()) == before


def test_the_next_engine_runs_what_the_first_cannot_and_says_so_in_one_line(fake_request, lines):
    with registered(spec("slow", fakes.FakeEngine)), registered(spec("quick", unable)):
        assert isinstance(open_engine(fake_request), fakes.FakeEngine)
    assert lines() == ["fake cannot be converted; the engine slow runs it, which is slower"]


def test_no_other_engine_is_tried_after_any_other_mistake(fake_request, lines):
    def mistaken(request):
        raise WeightsError("the file is cut off")

    with (
        registered(spec("slow", fakes.FakeEngine)),
        registered(spec("quick", mistaken)),
        pytest.raises(WeightsError, match="the file is cut off"),
    ):
        open_engine(fake_request)
    assert lines() == []


# -- Networks that cannot be converted -----------------------------------------------------------


@pytest.fixture
def sorting_backbone():
    """A network with an operation that is known to no converter: a function of numpy's."""
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
    return Backbone.from_keras(keras.Model(pixels, Sort()(pixels), name="sorter"))


@pytest.mark.keras
def test_keras_runs_what_openvino_cannot_and_says_so_in_one_line(
    sorting_backbone, request_for, tmp_path, lines, small_pictures, monkeypatch
):
    monkeypatch.setattr(choice, "has_gpu", lambda: False)
    opened = open_engine(request_for(sorting_backbone, tmp_path, pooling="none"))
    (line,) = lines()
    assert line.startswith("sorter cannot be converted: ")
    assert line.endswith("; the engine keras runs it, which is slower")
    expected = np.sort(small_pictures.astype(np.float32), axis=1)
    np.testing.assert_array_equal(opened.embed_batch(small_pictures), expected)
    assert list(tmp_path.rglob("*.*")) == [], "something was kept of it"


@pytest.mark.keras
def test_openvino_is_not_replaced_where_it_was_named(
    sorting_backbone, request_for, tmp_path, lines
):
    with pytest.raises(ConversionError, match="sorter cannot be converted: ") as caught:
        open_engine(request_for(sorting_backbone, tmp_path, pooling="none"), "openvino")
    assert "\n" not in str(caught.value)
    assert lines() == []


@pytest.mark.keras
def test_keras_on_another_backend_says_what_a_conversion_needs(
    small_network, request_for, tmp_path, monkeypatch
):
    monkeypatch.setattr(conversion, "keras_backend", lambda: "jax")
    request = request_for(Backbone.from_keras(small_network()), tmp_path, pooling="none")
    with pytest.raises(ConversionError) as caught:
        open_engine(request, "openvino")
    assert str(caught.value) == (
        "networks are converted for OpenVINO with TensorFlow: Keras runs on jax here; "
        "unset KERAS_BACKEND once, or use the engine keras"
    )
