"""Networks in ONNX files with a head behind them, on ONNX Runtime, held against the parts."""

from __future__ import annotations

import numpy as np
import onnx_networks
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.network import Cut
from featx.errors import OptionError
from featx.export.onnx_file import write_onnx
from featx.export.onnx_network import is_onnx_network, onnx_with_head
from featx.export.runtime import RUNTIMES

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("tf2onnx")]

NETWORKS = {
    "map": (lambda: onnx_networks.convolutional(32), "map", ("avg", "max", "flatten")),
    "any size": (onnx_networks.convolutional, None, ("avg",)),
    "vectors": (lambda: onnx_networks.convolutional(32), "logits", ("avg",)),
    "one at a time": (lambda: onnx_networks.convolutional(32, batch=1), "map", ("avg",)),
    "channels last": (onnx_networks.channels_last, "map", ("avg", "flatten")),
    "tokens": (onnx_networks.transformer, "last_hidden_state", ("avg", "max", "token", "flatten")),
    "registers": (lambda: onnx_networks.transformer(registers=3), None, ("avg", "token")),
}
CASES = [(name, pooling) for name, (_, _, poolings) in NETWORKS.items() for pooling in poolings]


def a_head(columns: int):
    import keras

    keras.utils.set_random_seed(0)
    features = keras.Input((columns,))
    return keras.Model(features, keras.layers.Dense(4, activation="softmax")(features))


def exported(path, cut, opset=None, preprocess="caffe", make=onnx_networks.convolutional):
    """Export a network with a head; return the file, and what it should compute."""
    model = make()
    if opset:
        model.opset_import[0].version = opset
    source = onnx_networks.write(path / "net.onnx", model)
    backbone = Backbone.from_onnx(source, preprocess)
    assert is_onnx_network(backbone)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    features = engine_of(backbone, cut, path)(pixels)
    head = a_head(features.shape[1])
    out = path / "whole.onnx"
    write_onnx(onnx_with_head(backbone, cut, 32, head), out)
    return out, pixels, np.asarray(head(features))


def engine_of(backbone, cut, cache):
    from featx.backbones.engines.engine import EngineRequest
    from featx.backbones.engines.openvino import OpenVINOEngine

    engine = OpenVINOEngine(EngineRequest(backbone, cut, (cut.pooling,), 32, cache, 1))

    def embed(pixels):
        return np.concatenate([engine.embed_batch(each[None]) for each in pixels])

    return embed


@pytest.mark.parametrize(("name", "pooling"), CASES)
def test_an_onnx_network_with_a_head_computes_what_its_parts_do(name, pooling, tmp_path):
    make, layer, _ = NETWORKS[name]
    out, pixels, expected = exported(tmp_path, Cut(layer, pooling), make=make)
    computed = RUNTIMES["onnx"].open(out)
    actual = np.concatenate([computed({"pixels": each[None]}) for each in pixels])
    assert np.abs(actual - expected).max() < 1e-5
    if name != "one at a time":
        assert np.abs(computed({"pixels": pixels}) - expected).max() < 1e-5


@pytest.mark.parametrize("opset", [13, 15, 18, 20, 22])
@pytest.mark.parametrize("preprocess", ["torch", "none"])
def test_it_does_so_in_the_opset_of_the_network(opset, preprocess, tmp_path):
    import onnx

    out, pixels, expected = exported(tmp_path, Cut("map"), opset, preprocess)
    assert np.abs(RUNTIMES["onnx"].open(out)({"pixels": pixels}) - expected).max() < 1e-5
    written = onnx.load(out)
    assert [(each.domain, each.version) for each in written.opset_import] == [("", opset)]
    assert [each.name for each in written.graph.input] == ["pixels"]
    assert [each.name for each in written.graph.output] == ["probabilities"]
    assert written.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


def test_what_is_behind_the_layer_is_left_out(tmp_path):
    import onnx

    out, _, _ = exported(tmp_path, Cut("stem", "flatten"))
    kinds = [node.op_type for node in onnx.load(out).graph.node]
    assert kinds.count("Conv") == 1


def test_a_function_of_a_users_own_is_refused(tmp_path):
    with pytest.raises(OptionError, match="a function of your own"):
        exported(tmp_path, Cut("map"), preprocess=lambda pixels: pixels / 255)
