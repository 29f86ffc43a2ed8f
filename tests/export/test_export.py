"""Models as files of other runtimes: each runs where it is meant to, and says what featx says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import fakes
import onnx_networks
import pytest

import featx
from featx.errors import FeatxError, OptionError
from featx.export.formats import FORMATS
from featx.models.rejection import Rejection

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:the weights of")]

SIZE = 32
OF_FILES = ("onnx", "openvino")  # formats of networks in ONNX files


def installed(name: str) -> bool:
    try:
        FORMATS[name].require()
    except OptionError:
        return False
    return True


INSTALLED = [
    pytest.param(
        name,  # asked when the test runs, since it may start TensorFlow
        marks=pytest.mark.skipif(
            f"not installed({name!r})", reason=f"what {name} takes is missing"
        ),
    )
    for name in FORMATS
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return fakes.draw_folder(tmp_path_factory.mktemp("photos") / "train", each=16)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def backbone():
    """A small network of a user's own, with random weights."""
    import keras

    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((SIZE, SIZE, 3)),
        *(keras.layers.Conv2D(each, 3, 2, activation="relu") for each in (8, 16, 64)),
    ]
    return featx.Backbone.from_keras(keras.Sequential(layers), preprocess="torch", name="small")


@pytest.fixture(scope="module")
def model(photos, backbone, cache):
    return featx.train(photos, backbone=backbone, cache=cache)


def photograph(path):
    """A picture of a camera, on its side as its EXIF block says."""
    exif = fakes.Image.Exif()
    exif[0x0112] = 6
    fakes.photo(200, 150).save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("name", INSTALLED)
def test_the_reference_of_a_file_says_of_a_photograph_what_featx_says(name, model, cache, tmp_path):
    exported = model.export(tmp_path / f"a b{FORMATS[name].suffix}", cache=cache)
    assert exported.format == name
    assert exported.difference < 1e-3
    assert featx.read_metadata(exported.path) == exported.metadata
    assert exported.metadata.classes == model.classes
    assert exported.metadata.recipe == model.recipe
    photo = photograph(tmp_path / "photo.jpg")
    program = tmp_path / "reference.py"
    program.write_text("import sys\nsys.modules['featx'] = None\n" + exported.reference)
    ended = subprocess.run(
        [sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    label, probability = ended.stdout.split()
    expected = model.predict_proba([photo], cache=cache)[0]
    assert label == model.classes[expected.argmax()]
    assert float(probability) == pytest.approx(expected.max(), abs=1e-3)


@pytest.mark.parametrize("name", [each for each in INSTALLED if each.values[0] != "keras"])
def test_a_file_in_int8_is_smaller_and_its_accuracy_is_told(name, model, photos, cache, tmp_path):
    suffix = FORMATS[name].suffix
    exact = model.export(tmp_path / f"a{suffix}", cache=cache)
    exported = model.export(
        tmp_path / f"b{suffix}", quantize=True, calibrate=photos, cache=cache, progress=False
    )
    assert exported.size < 0.7 * exact.size
    assert exported.metadata.precision == "int8"
    assert exported.int8.n == exported.int8.n_known == 24
    assert exported.int8.agreement > 0.8
    assert 0 < exported.int8.mean <= exported.int8.largest
    assert exported.int8.accuracy_float == 1
    assert f"{100 * exported.int8.accuracy:.1f} %" in exported.summary


@pytest.mark.parametrize("name", INSTALLED)
def test_joined_vectors_are_brought_to_length_1(name, photos, cache, tmp_path):
    layers = "conv_pw_1+conv_pw_2"
    options = {"weights": "random", "input_size": 32, "cache": cache}
    model = featx.train(photos, backbone="mobilenet", layer=layers, **options)
    exported = model.export(tmp_path / f"a{FORMATS[name].suffix}", cache=cache, calibrate=photos)
    assert exported.difference < 1e-3
    assert not exported.drawn
    assert exported.n_checked == 48


@pytest.mark.parametrize("name", [each for each in INSTALLED if each.values[0] in OF_FILES])
def test_a_network_in_an_onnx_file_is_exported(name, photos, cache, tmp_path):
    network = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional(32))
    backbone = featx.Backbone.from_onnx(network, "torch", "map")
    model = featx.train(photos, backbone=backbone, cache=cache)
    exported = model.export(tmp_path / f"a{FORMATS[name].suffix}", cache=cache)
    assert exported.difference < 1e-3


@pytest.mark.parametrize("name", [each for each in INSTALLED if each.values[0] in OF_FILES])
def test_a_network_in_an_onnx_file_is_quantized(name, photos, cache, tmp_path):
    network = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional(32))
    backbone = featx.Backbone.from_onnx(network, "torch", "map")
    model = featx.train(photos, backbone=backbone, cache=cache)
    path = tmp_path / f"a{FORMATS[name].suffix}"
    exported = model.export(path, quantize=True, calibrate=photos, cache=cache)
    assert exported.int8.agreement > 0.8
    assert exported.int8.largest > 0


@pytest.mark.parametrize("name", ["litert", "keras"])
def test_a_network_in_an_onnx_file_has_no_other_format(name, photos, cache, tmp_path):
    network = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional(32))
    model = featx.train(photos, backbone=featx.Backbone.from_onnx(network, "torch"), cache=cache)
    with pytest.raises(OptionError, match=r"net.onnx is no network of Keras: export to OpenVINO"):
        model.export(tmp_path / f"a{FORMATS[name].suffix}", cache=cache)


def test_what_a_file_does_not_do_is_told(photos, backbone, cache, tmp_path):
    model = featx.train(photos, backbone=backbone, cache=cache, views=1)
    one = featx.Estimate(1.0, 0.9, 1.0)
    model.rejection = Rejection(0.9, 1.7, 0.625, one, one)
    exported = model.export(tmp_path / "a.xml", cache=cache)
    assert exported.difference < 1e-3
    assert exported.metadata.threshold == 0.625
    assert "the mean of 2 views" in exported.summary
    assert "unsure below a probability of 0.625" in exported.summary


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("a.pt", {}, r"expected a name that ends in .onnx, .xml, .tflite, .keras"),
        ("a.onnx", {"format": "keras"}, r"expected a name that ends in .keras for keras"),
        ("a.xml", {"format": "tf"}, r"unknown format 'tf': expected one of onnx, openvino, "),
        ("a.keras", {"quantize": True, "calibrate": "photos"}, "keras has no int8"),
        ("a.xml", {"quantize": True}, "give calibrate"),
        ("no/a.xml", {}, "there is no such folder"),
    ],
)
def test_a_mistake_is_told_before_any_work(name, options, line, model, tmp_path):
    with pytest.raises(FeatxError, match=line):
        model.export(tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_too_few_pictures_to_quantize_by_are_told(model, photos, cache, tmp_path):
    some = sorted(photos.rglob("*.png"))[:39]
    with pytest.raises(OptionError, match="takes 40 pictures at least"):
        model.export(tmp_path / "a.xml", quantize=True, calibrate=some, cache=cache)


def test_a_file_that_cannot_be_made_leaves_an_older_one(photos, backbone, cache, tmp_path):
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(3, random_state=0)
    model = featx.train(photos, classifier=forest, backbone=backbone, cache=cache)
    path = tmp_path / "a.keras"
    path.write_text("older")
    with pytest.raises(OptionError, match="RandomForestClassifier cannot be exported"):
        model.export(path, cache=cache)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_installed_is_named(model, tmp_path, monkeypatch):
    kind = replace(FORMATS["keras"], needs=("no_such_package",))
    monkeypatch.setitem(FORMATS, "keras", kind)
    with pytest.raises(OptionError, match=r'needs no_such_package.*pip install "featx\[export\]"'):
        model.export(tmp_path / "a.keras")
