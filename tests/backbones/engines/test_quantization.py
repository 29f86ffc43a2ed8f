"""Networks in int8: what NNCF makes of them is made again without it, for every pooling."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration, Place
from featx.backbones.engines.conversion import converted
from featx.backbones.engines.openvino import computes_in_int8
from featx.backbones.engines.quantization import calibrate, quantized
from featx.backbones.framework import import_openvino
from featx.errors import ConversionError, OptionError

SIZE = 32


class Layers:
    """Builds small networks of random weights in OpenVINO's form, whose names vary as asked."""

    def __init__(self, prefix="", seed=0, at_once=-1):
        opset14 = import_openvino().opset14
        self.opset, self.prefix = opset14, prefix
        self.random = np.random.default_rng(seed)
        self.pixels = opset14.parameter([at_once, 3, SIZE, SIZE], np.float32, name="pixels")

    def numbers(self, *shape, scale=1.0):
        return (self.random.normal(size=shape) * scale).astype(np.float32)

    def named(self, node):
        node.set_friendly_name(f"{self.prefix}{node.get_name()}")
        return node

    def convolution(self, taken, channels, width, kernel=3, stride=1):
        scale = 1.4 / np.sqrt(channels * kernel**2)
        weights = self.numbers(width, channels, kernel, kernel, scale=scale)
        settings = [stride] * 2, [kernel // 2] * 2, [kernel // 2] * 2, [1, 1]
        made = self.named(self.opset.convolution(taken, weights, *settings))
        return self.named(self.opset.add(made, self.numbers(1, width, 1, 1, scale=0.1)))

    def depthwise(self, taken, channels):
        weights = self.numbers(channels, 1, 1, 3, 3, scale=0.4)
        made = self.opset.group_convolution(taken, weights, [1, 1], [1, 1], [1, 1], [1, 1])
        return self.named(self.opset.add(made, self.numbers(1, channels, 1, 1, scale=0.1)))

    def relu(self, taken):
        return self.named(self.opset.relu(taken))

    def linear(self, taken, width, made):
        weights = self.numbers(width, made, scale=1.2 / np.sqrt(width))
        product = self.named(self.opset.matmul(taken, weights, False, False))
        return self.named(self.opset.add(product, self.numbers(1, 1, made, scale=0.1)))

    def model(self, output):
        return import_openvino().Model([output], [self.pixels], f"{self.prefix}network")


def convolutional(prefix="", seed=0, width=16, at_once=-1):
    """A network with residuals, a depthwise layer, two kinds of branches and a pooling inside."""
    layers = Layers(prefix, seed, at_once)
    opset = layers.opset
    stem = layers.relu(layers.convolution(layers.pixels, 3, width))
    stem = opset.max_pool(stem, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    block = layers.relu(layers.depthwise(stem, width))
    block = layers.relu(opset.add(layers.convolution(block, width, width, 1), stem))
    again = layers.relu(layers.convolution(block, width, width))
    again = opset.add(block, layers.convolution(again, width, width))
    sides = [layers.relu(layers.convolution(again, width, width, k, 2)) for k in (1, 3)]
    both = opset.concat(sides, 1)
    short = layers.convolution(both, 2 * width, 24, 1)
    return layers.model(layers.relu(opset.add(layers.convolution(both, 2 * width, 24), short)))


def transformer(prefix="", seed=0):
    """A network of patches, with attention and a layer norm."""
    layers, width = Layers(prefix, seed), 24
    opset = layers.opset
    patches = layers.convolution(layers.pixels, 3, width, kernel=8, stride=8)
    patches = opset.slice(patches, [1, 1], [5, 5], [1, 1], [2, 3])
    tokens = opset.transpose(opset.reshape(patches, [0, width, -1], True), [0, 2, 1])
    normal = opset.mvn(tokens, [2], True, 1e-6, "inside_sqrt")
    query, key, value = (layers.linear(normal, width, width) for _ in range(3))
    scores = opset.softmax(opset.matmul(query, key, False, True), 2)
    tokens = opset.add(
        tokens, layers.linear(opset.matmul(scores, value, False, False), width, width)
    )
    hidden = opset.gelu(layers.linear(tokens, width, 2 * width), "erf")
    return layers.model(opset.add(tokens, layers.linear(hidden, 2 * width, width)))


NETWORKS = {"convolutional": convolutional, "transformer": transformer}


@pytest.fixture
def pictures():
    """Pictures of soft patches of colour: of noise all ranges would be the same."""
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(4, axis=1).repeat(4, axis=2))


@pytest.fixture
def nncf():
    return pytest.importorskip("nncf")


@pytest.fixture
def request_of(request_for, tmp_path):
    """Return a function that writes a request for a network in OpenVINO's form."""

    def write(model, name="mine", **settings):
        backbone = Backbone.from_openvino(model, "torch", name=name)
        return request_for(backbone, tmp_path / "cache", **settings)

    return write


def computed(network, pictures):
    """Return what a network gives for pictures one by one."""
    network = network.clone()
    network.reshape([1, *pictures.shape[1:]])
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = import_openvino().Core().compile_model(network, "CPU", exact)
    return np.concatenate([np.array(compiled([each[None]])[0]) for each in pictures])


def cosines(some, others):
    some, others = (each.reshape(len(each), -1) for each in (some, others))
    lengths = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
    return (some * others).sum(axis=1) / lengths


# -- The network that NNCF makes -------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_network_that_nncf_makes(name, made, request_of, pictures):
    request = request_of(NETWORKS[name](), pooling="none")
    calibration = calibrate(request, pictures[:30])
    assert (calibration.n_pictures, calibration.network) == (30, "mine")
    assert len(calibration.kernels) >= 6
    assert len(calibration.ranges) >= 6
    if name == "convolutional":
        assert calibration.corrections
    again = Calibration.from_bytes(calibration.to_bytes())
    network = converted(request)[0]
    features = computed(quantized(network, again), pictures)
    assert cosines(features, computed(made[0], pictures)).min() > 0.999999
    exact = cosines(features, computed(network, pictures))
    assert 0.99 < exact.min() < 0.999999, "it was to be rounded"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pooling_is_the_same_alone_and_beside_another(name, nncf, request_of, pictures):
    model = NETWORKS[name]()
    calibration = calibrate(request_of(model), pictures[:20])
    features = {
        poolings: computed(
            quantized(converted(request_of(model, poolings=poolings))[0], calibration), pictures
        )
        for poolings in [("avg",), ("max",), ("avg", "max"), ("none",)]
    }
    both, maps = features["avg", "max"], features["none",]
    np.testing.assert_array_equal(both[:, : both.shape[1] // 2], features["avg",])
    np.testing.assert_array_equal(both[:, both.shape[1] // 2 :], features["max",])
    np.testing.assert_allclose(features["avg",], maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(features["max",], maps.max(axis=(1, 2)))


def test_the_same_pictures_give_the_same_calibration_whatever_layers_are_called(
    nncf, request_of, pictures
):
    model, other = convolutional(), convolutional("block_7/")
    first = calibrate(request_of(model, pooling="avg"), pictures[:20])
    assert calibrate(request_of(model, pooling="max"), pictures[:20]).digest == first.digest
    renamed = calibrate(request_of(other), pictures[:20])
    assert replace(renamed, weights=first.weights).digest == first.digest
    assert calibrate(request_of(model), pictures[20:]).digest != first.digest


def test_what_is_the_same_in_every_picture_stays_float(nncf, request_of, pictures, monkeypatch):
    """It has no range; NNCF gives one from 0 to 0, which makes nothing of it."""
    quantize = nncf.quantize

    def quantized_by(network, *data, **settings):
        made = quantize(network, *data, **settings)
        rounds = [each for each in made.get_ops() if each.get_type_name() == "FakeQuantize"]
        taken = [each.input_value(0).get_node().get_type_name() for each in rounds]
        flat = rounds[next(row for row, kind in enumerate(taken) if kind == "Relu")]
        zero = import_openvino().opset13.constant(np.float32(0))
        for port in range(1, 5):
            flat.input(port).replace_source_output(zero.output(0))
        return made

    request = request_of(convolutional())
    whole = calibrate(request, pictures)
    monkeypatch.setattr(nncf, "quantize", quantized_by)
    calibration = calibrate(request, pictures)
    assert len(calibration.ranges) == len(whole.ranges) - 1
    assert Calibration.from_bytes(calibration.to_bytes()) == calibration


def test_normalisations_that_are_written_out_stay_float(nncf, request_of, pictures):
    """As Keras's layers are: a small variance would be rounded to 0, and is divided by."""
    layers = Layers()
    opset, axis = layers.opset, np.array([1])
    taken = layers.relu(layers.convolution(layers.pixels, 3, 16))
    for _ in range(2):
        mean = opset.reduce_mean(taken, axis, keep_dims=True)
        variance = opset.reduce_mean(opset.squared_difference(taken, mean), axis, keep_dims=True)
        scale = opset.power(opset.add(variance, np.float32(1e-6)), np.float32(-0.5))
        shifted = opset.multiply(opset.negative(mean), scale)
        normal = opset.add(opset.multiply(taken, scale), shifted)
        taken = opset.add(layers.convolution(layers.relu(normal), 16, 16), taken)
    calibration = calibrate(request_of(layers.model(taken)), pictures)
    taking = {place.kind for each in calibration.ranges for place in each.before}
    assert taking == {"Convolution"}
    assert calibration.settings["cosine"] > 0.99


def test_operations_are_left_out_by_the_name_of_the_network(nncf, request_of, pictures):
    kinds = {
        name: [
            each.at.kind for each in calibrate(request_of(convolutional(), name), pictures).kernels
        ]
        for name in ("mine", "vgg16", "efficientnet_lite0")
    }
    assert kinds["vgg16"].count("GroupConvolution") == 1
    assert kinds["mine"] == [each for each in kinds["vgg16"] if each != "GroupConvolution"]
    first = kinds["vgg16"].index("Convolution")
    assert kinds["efficientnet_lite0"] == [
        each for row, each in enumerate(kinds["vgg16"]) if row != first and each in kinds["mine"]
    ], "the network has fewer layers than the settings name"


def test_a_network_that_takes_so_many_pictures_at_once_and_no_others_is_calibrated(
    nncf, request_of, pictures
):
    found = [
        calibrate(request_of(convolutional(at_once=at_once)), pictures[:20]) for at_once in (-1, 2)
    ]
    assert [each.before for each in found[0].ranges] == [each.before for each in found[1].ranges]
    assert found[0].kernels == found[1].kernels


def test_nothing_is_printed_or_logged_while_it_calibrates(
    nncf, request_of, pictures, capfd, caplog
):
    calibrate(request_of(convolutional()), pictures[:20])
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


# -- Without NNCF ----------------------------------------------------------------------------------


def test_without_nncf_a_line_says_what_to_install(request_of, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(OptionError) as caught:
        calibrate(request_of(convolutional()), pictures)
    assert str(caught.value) == (
        "calibrating a network for int8 needs nncf, which is not installed: pip install "
        '"featx[int8]"'
    )


def test_a_calibration_of_another_network_is_refused_in_a_line(nncf, request_of, pictures):
    calibration = calibrate(request_of(convolutional()), pictures[:20])
    for other in (transformer(), convolutional(width=8)):
        network = converted(request_of(other))[0]
        with pytest.raises(ConversionError) as caught:
            quantized(network, calibration)
        message = str(caught.value)
        assert message.startswith("the calibration of mine does not fit this network (")
        assert message.endswith("); calibrate again")


def test_what_does_not_fit_in_a_calibration_is_refused_in_a_line(nncf, request_of, pictures):
    request = request_of(convolutional())
    calibration, network = calibrate(request, pictures[:20]), converted(request)[0]
    (first, *_, last), (kernel, *_) = calibration.ranges, calibration.kernels
    zero, one = np.zeros((1,) * 8, np.float32), np.ones((1,) * 8, np.float32)
    wide = np.zeros((1, 3, 5, 1), np.float32)
    odd = {
        "channels": {"ranges": (replace(first, low=wide, high=wide + 1),)},
        "axes": {"ranges": (replace(first, low=wide[None], high=wide[None] + 1),)},
        "more axes": {"ranges": (replace(last, low=zero, high=one),)},
        "port": {"ranges": (replace(first, before=(Place("Convolution", 0, 7),)),)},
        "kind": {"ranges": (replace(first, before=(Place("Banana", 0, 0),)),)},
        "indices": {"ranges": (replace(first, before=(Place("ReduceMean", 0, 1),)),)},
        "weights": {"kernels": (replace(kernel, at=Place("ReduceMean", 0, 1)),)},
        "activations": {"kernels": (replace(kernel, at=Place("Convolution", 0, 0)),)},
    }
    for change in odd.values():
        for natively in (True, False):
            with pytest.raises(ConversionError) as caught:
                quantized(network, replace(calibration, **change), natively=natively)
            message = str(caught.value)
            assert message.endswith("); calibrate again")
            assert "\n" not in message
            assert len(message) < 400


@pytest.fixture
def in_int8(nncf, request_of, pictures):
    """A request for a network in int8, with its calibration."""
    model = convolutional()
    calibration = calibrate(request_of(model), pictures[:20])
    request = request_of(model, precision="int8", calibration=calibration.digest)
    return replace(request, backbone=replace(request.backbone, calibration=calibration))


def test_the_engine_computes_in_int8(in_int8, request_of, open_openvino, pictures):
    engine = open_openvino(in_int8.backbone, in_int8.cache, **vars(in_int8.cut))
    rows = np.concatenate([engine.embed_batch(each[None]) for each in pictures])
    network = converted(request_of(convolutional()))[0]
    expected = quantized(network, in_int8.backbone.calibration, natively=computes_in_int8())
    assert cosines(rows, computed(expected, pictures)).min() > 0.9999
    again = open_openvino(in_int8.backbone, in_int8.cache, **vars(in_int8.cut))
    for each, row in zip(pictures, rows, strict=True):
        np.testing.assert_array_equal(again.embed_batch(each[None])[0], row)


def test_numbers_that_no_processor_computes_with_are_refused_in_a_line(in_int8, open_openvino):
    calibration = in_int8.backbone.calibration
    huge = [
        replace(each, values=np.full_like(each.values, 3e38)) for each in calibration.corrections
    ]
    most = np.full(1, 3e38, np.float32)
    ranges = [replace(each, low=-most, high=most) for each in calibration.ranges]
    damaged = replace(calibration, ranges=tuple(ranges), corrections=tuple(huge))
    backbone = replace(in_int8.backbone, calibration=damaged)
    cut = replace(in_int8.cut, calibration=damaged.digest)
    with pytest.raises(ConversionError, match="OpenVINO cannot run mine in int8: ") as caught:
        open_openvino(backbone, in_int8.cache, **vars(cut))
    assert "\n" not in str(caught.value)


def test_a_network_in_int8_needs_its_calibration(in_int8, open_openvino):
    settings = vars(in_int8.cut)
    other = replace(in_int8.backbone.calibration, n_pictures=3)
    for calibration in (None, other):
        backbone = replace(in_int8.backbone, calibration=calibration)
        with pytest.raises(ConversionError, match="the calibration of mine for int8 is missing"):
            open_openvino(backbone, in_int8.cache, **settings)


# -- Processors that overflow ----------------------------------------------------------------------


EMBED = """
import sys
from pathlib import Path
import numpy as np
from featx.backbones.calibration import Calibration, Place
from featx.backbones.engines.openvino import computes_in_int8
from featx.backbones.engines.quantization import quantized
from featx.backbones.framework import import_openvino

folder = Path(sys.argv[1])
core = import_openvino().Core()
network = core.read_model(folder / "network.xml")
calibration = Calibration.from_bytes((folder / "calibration").read_bytes())
pictures = np.load(folder / "pictures.npy")
exact = {"INFERENCE_PRECISION_HINT": "f32"}
features = []
for natively in (True, False):
    made = quantized(network, calibration, natively=natively)
    made.reshape([1, *pictures.shape[1:]])
    compiled = core.compile_model(made, "CPU", exact)
    features.append(np.concatenate([np.array(compiled([each[None]])[0]) for each in pictures]))
np.save(folder / "features.npy", features)
print(computes_in_int8(), "nncf" in sys.modules)
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 overflows")
def test_a_processor_that_would_overflow_computes_the_same_in_float32(
    in_int8, request_of, pictures, tmp_path
):
    if not computes_in_int8():
        pytest.skip("this processor is one of them, and there is nothing to compare with")
    network = converted(request_of(convolutional()))[0]
    import_openvino().save_model(network, tmp_path / "network.xml", compress_to_fp16=False)
    (tmp_path / "calibration").write_bytes(in_int8.backbone.calibration.to_bytes())
    np.save(tmp_path / "pictures.npy", pictures)
    printed, features = {}, {}
    for name in ("ALL", "AVX2"):
        ended = subprocess.run(
            [sys.executable, "-c", EMBED, str(tmp_path)],
            env={**os.environ, "ONEDNN_MAX_CPU_ISA": name},
            capture_output=True,
            text=True,
        )
        assert ended.stderr == ""
        printed[name] = ended.stdout.split()
        features[name] = np.load(tmp_path / "features.npy")
    assert printed == {"ALL": ["True", "False"], "AVX2": ["False", "False"]}
    expected, emulated = features["ALL"][0], features["AVX2"][1]
    assert cosines(emulated, expected).min() > 0.9995
    assert cosines(features["AVX2"][0], expected).min() < cosines(emulated, expected).min()


# -- Keras, and real weights -----------------------------------------------------------------------


@pytest.mark.keras
@pytest.mark.parametrize("preprocess", ["tf", "function"])
def test_a_network_of_the_users_own_is_calibrated(
    preprocess, nncf, small_network, small_pictures, request_for, open_openvino, tmp_path
):
    def halved(pixels):
        return pixels / 2

    backbone = Backbone.from_keras(
        small_network(), preprocess=halved if preprocess == "function" else preprocess
    )
    calibration = calibrate(request_for(backbone, tmp_path), small_pictures)
    assert [str(each.at) for each in calibration.kernels] == ["Convolution 0", "Convolution 1"]
    settings = {"precision": "int8", "calibration": calibration.digest}
    engine = open_openvino(replace(backbone, calibration=calibration), tmp_path, **settings)
    plain = open_openvino(backbone, tmp_path)
    found, expected = (
        np.concatenate([each.embed_batch(picture[None]) for picture in small_pictures])
        for each in (engine, plain)
    )
    assert 0.99 < cosines(found, expected).min() < 1 - 1e-9


@pytest.fixture
def made(nncf, monkeypatch):
    """The networks that NNCF itself makes, the last one last."""
    found, quantize = [], nncf.quantize

    def listed(*args, **options):
        found.append(quantize(*args, **options))
        return found[-1]

    monkeypatch.setattr(nncf, "quantize", listed)
    return found


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize(
    "name", ["convnext_tiny", "densenet121", "efficientnet_b0", "mobilenet_v3_small"]
)
def test_networks_of_every_build_are_those_that_nncf_makes(name, made, request_for, tmp_path):
    backbone, size = Backbone.load(name, "random"), 64
    coarse = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    pictures = np.ascontiguousarray(coarse.repeat(8, axis=1).repeat(8, axis=2))
    requests = {
        pooling: request_for(backbone, tmp_path, pooling=pooling, input_size=size)
        for pooling in ("avg", "none")
    }
    calibration = calibrate(requests["avg"], pictures[:20])
    features = {
        pooling: (
            computed(quantized(converted(request)[0], calibration), pictures),
            computed(converted(request)[0], pictures),
        )
        for pooling, request in requests.items()
    }
    assert cosines(features["none"][0], computed(made[0], pictures)).min() > 0.999999
    for some, others in features.values():
        assert 0.85 < cosines(some, others).mean() < 0.999999, "random weights bear rounding badly"


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0"])
def test_real_networks_are_those_that_nncf_makes(
    name, made, weights_dir, shared, monkeypatch, request_for, tmp_path
):
    from PIL import Image

    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    files = sorted((shared / "data" / "caltech15" / "train").rglob("*.jpg"))[::6][:30]
    images = [Image.open(file).convert("RGB").resize((224, 224), 2) for file in files]
    pictures = np.stack([np.asarray(image) for image in images])
    request = request_for(Backbone.load(name), tmp_path)
    calibration = calibrate(request, pictures[:20])
    network = converted(request)[0]
    features = computed(quantized(network, calibration), pictures)
    expected = computed(made[0], pictures).mean(axis=(1, 2))
    assert cosines(features, expected).min() > 0.999999
    assert cosines(features, computed(network, pictures)).mean() > 0.99
