"""A model says which parts of a picture speak for a class: exactly where it can, else by masks."""

from __future__ import annotations

import json
from pathlib import Path

import fakes
import numpy as np
import onnx_networks
import pytest
from PIL import Image
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featx
from featx.backbones.backbone import Backbone
from featx.errors import ImageError, ImageSourceWarning, NoImagesError, OptionError

pytestmark = pytest.mark.filterwarnings("ignore:the weights of")
RIDGE = make_pipeline(StandardScaler(), RidgeClassifier())
LINEAR = ["logistic", "svm", "centroid", RIDGE]


@pytest.fixture
def network(tmp_path) -> Backbone:
    """A small convolutional network in a file, which OpenVINO runs."""
    pytest.importorskip("onnx")
    path = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional())
    return Backbone.from_onnx(path, "torch", layer="map")


def trained(photos, network, classifier="logistic", **options):
    options = {"input_size": 64, "progress": False, **options}
    return featx.train(photos, backbone=network, classifier=classifier, **options)


def some(photos) -> list[str]:
    return [str(each) for each in sorted(Path(photos).rglob("*.png"))[::5]]


def decisions(pipeline, X):
    """Return what the classifier of a pipeline decides by, as the guide says."""
    name, last = pipeline.steps[-1]
    rows = pipeline[:-1].transform(X)
    if name == "svm":
        machine = last.calibrated_classifiers_[0].estimator
        machine.decision_function_shape = "ovo"
        first, second, third = machine.decision_function(rows).T  # of 0 and 1, 0 and 2, 1 and 2
        return np.stack([first + second, third - first, -second - third], axis=1) / 2
    if name == "centroid":
        squares = ((rows[:, None] - last.centroids_) ** 2).sum(axis=2)
        return squares.mean(axis=1, keepdims=True) - squares
    return pipeline.decision_function(X)


@pytest.mark.parametrize("classifier", LINEAR, ids=str)
def test_the_mean_of_a_class_map_is_the_decision(photos, network, classifier):
    model = trained(photos, network, classifier)
    paths = some(photos)
    expected = decisions(model.pipeline, model.features(paths, progress=False).X)
    for column, label in enumerate(model.classes):
        for row, each in enumerate(model.explain(paths, label=label)):
            assert (each.method, each.exact, each.budget) == ("class-map", True, 0)
            assert each.heat.shape == (16, 16)
            assert each.heat.mean() == pytest.approx(expected[row, column], abs=1e-4)
            assert each.decision == pytest.approx(expected[row, column], abs=1e-4)


@pytest.mark.parametrize("views", [0, 2])
def test_it_says_what_is_predicted_and_how_probable(photos, network, views):
    model = trained(photos, network, views=views)
    paths = some(photos)
    found = model.explain(paths)
    assert [each.path for each in found] == paths
    assert [each.label for each in found] == model.predict(paths, progress=False).tolist()
    probable = model.predict_proba(paths, progress=False).max(axis=1)
    assert [each.probability for each in found] == pytest.approx(probable.tolist())


def test_of_joined_networks_each_has_its_part(photos, tmp_path):
    pytest.importorskip("onnx")
    models = {"cnn": onnx_networks.channels_last(), "vit": onnx_networks.transformer()}
    paths = [onnx_networks.write(tmp_path / f"{name}.onnx", each) for name, each in models.items()]
    both = "+".join(map(str, paths))
    model = featx.train(photos, backbone=both, preprocess="torch", input_size=32, progress=False)
    path = some(photos)[0]
    each = model.explain(path)
    assert [part.shape for part in each.parts] == [(8, 8), (4, 4)]
    decided = model.pipeline.decision_function(model.features(path, progress=False).X)
    assert each.heat.mean() == pytest.approx(decided[0, model.classes.index(each.label)], abs=1e-4)
    assert each.constant + sum(part.mean() for part in each.parts) == pytest.approx(each.decision)


def test_one_picture_has_one_explanation_and_several_have_a_list(photos, network):
    model = trained(photos, network)
    path = some(photos)[0]
    array = np.asarray(Image.open(path))
    whole = model.explain(path)
    sources = [Path(path), array, Path(path).read_bytes(), Image.open(path)]
    with model.session() as session:
        picture, _ = session.read(path)
        found = [*map(model.explain, sources), model.explain(picture, session=session)]
        found += model.explain([picture], session=session)
    for each in found:
        np.testing.assert_array_equal(each.heat, whole.heat)
    assert isinstance(model.explain([path]), list)
    assert len(model.explain(photos / "red")) == 6
    assert len(model.explain(np.stack([array, array]))) == 2


def test_an_explanation_is_plain_values_and_a_picture(photos, network):
    model = trained(photos, network)
    each = model.explain(some(photos)[0])
    document = json.loads(json.dumps(each.to_dict()))
    assert np.shape(document["heat"]) == (16, 16)
    assert document["decision"] == pytest.approx(np.mean(document["heat"]), abs=1e-6)
    assert each.picture.shape == (64, 64, 3)
    assert each.overlay(100).dtype == np.uint8
    assert each.plot().axes
    assert each.summary.endswith("by its exact class map")


# -- Masks ---------------------------------------------------------------------------------------


def spotted(path: Path, row: int, column: int, size=64) -> str:
    """Draw a red spot on grey noise."""
    pixels = np.random.default_rng(row).integers(90, 130, (size, size, 3), dtype=np.uint8)
    pixels[row : row + 16, column : column + 16] = (250, 20, 20)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.mark.parametrize("options", [{"classifier": "knn"}, {"pooling": "max"}])
def test_what_has_no_class_map_is_explained_by_masks(photos, network, options):
    model = trained(photos, network, **options)
    path = some(photos)[0]
    with pytest.raises(OptionError, match=r"there is no exact class map: .*; use method='masks'"):
        model.explain(path, method="class-map")
    each = model.explain(path, budget=64)
    assert (each.method, each.exact, each.budget) == ("masks", False, 64)
    np.testing.assert_array_equal(model.explain(path, budget=64).heat, each.heat)
    assert each.summary.endswith("by an estimate by 64 masks")


def test_masks_find_the_spot_that_decides(photos, fake_engine, tmp_path):
    model = featx.train(
        photos, backbone="resnet50", weights="random", input_size=64, progress=False
    )
    path = spotted(tmp_path / "spot.png", 8, 40)
    each = model.explain(path, label="red", method="masks")
    row, column = np.unravel_index(each.heat.argmax(), each.heat.shape)
    assert (row // 2, column // 2) == (0, 2) or (row in (1, 2) and column in (5, 6))


@pytest.mark.parametrize("options", [{"classifier": "knn"}, {"pooling": "max"}])
def test_no_network_is_opened_for_maps_that_nothing_can_use(photos, fake_engine, options):
    model = featx.train(photos, backbone="resnet50", weights="random", progress=False, **options)
    model.explain(some(photos)[0], budget=32)
    assert len(fake_engine.opened) == 1


def test_the_budget_is_what_goes_through_the_network(photos, fake_engine):
    model = featx.train(photos, backbone="resnet50", weights="random", views=2, progress=False)
    path = some(photos)[0]
    fake_engine.embedded = 0
    model.explain(path, method="masks", budget=100)
    assert fake_engine.embedded == 3 + 1 + 100  # the picture with its views, as it is, and masked


# -- Bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "mauve"}, "label 'mauve' is no class of the model: expected one of blue, green"),
        ({"label": ["red", "red"]}, "2 labels for 1 picture: expected one for each"),
        ({"method": "magic"}, "unknown method 'magic': expected one of auto, class-map, masks"),
        ({"budget": 3}, "budget 3: expected from 32 to 10,000 masks"),
    ],
)
def test_what_is_asked_for_is_checked(photos, fake_engine, options, message):
    model = featx.train(photos, backbone="resnet50", weights="random", progress=False)
    with pytest.raises(OptionError, match=message):
        model.explain(some(photos)[0], **options)


def test_what_cannot_be_read_is_told_and_left_out(photos, network, tmp_path):
    model = trained(photos, network)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    paths = [*some(photos), str(broken)]
    with pytest.warns(ImageSourceWarning, match=r"1 picture cannot be read, left out: .*broken"):
        assert len(model.explain(paths)) == len(paths) - 1
    with pytest.raises(ImageError, match=r"broken\.png: not an image"):
        model.explain(paths, on_error="raise")
    with pytest.raises(NoImagesError, match="no picture can be read"):
        model.explain(broken)


def test_numbers_are_classes_too(network, tmp_path):
    pictures, labels = fakes.draw_array()
    model = featx.train(pictures, labels=labels, backbone=network, input_size=64, progress=False)
    each = model.explain(pictures[1], label="2")
    assert (each.label, type(each.label)) == (2, int)
