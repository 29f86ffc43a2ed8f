"""Images in, labels out; and back from the shape in which a colleague gets the model."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import EngineSpec, registered
from featx.errors import (
    FeatxError,
    ImageError,
    ImageSourceError,
    OptionError,
    RecipeMismatchError,
    WeightsError,
)
from featx.features.store.cache import contents
from featx.features.store.merge import MOST_ALIKE
from featx.files import cache_folder
from featx.learning.classifiers import CLASSIFIERS
from featx.models.load import load
from featx.models.model import ImageClassifier
from featx.models.train import train

pytestmark = [
    pytest.mark.usefixtures("fake_engine"),
    pytest.mark.filterwarnings("ignore:the weights of"),
]
VIEWED = {"weights": "random", "progress": False}
NAMES = ("blue", "green", "red")
PIPELINES = [name for name, spec in CLASSIFIERS.items() if not spec.pixels]


@pytest.fixture
def model(photos) -> ImageClassifier:
    return train(photos, "knn")


def sources(folder: Path) -> dict:
    paths = sorted(str(path) for path in folder.glob("*/*"))
    return {
        "folder": str(folder),
        "path": folder,
        "list": paths,
        "table": pd.DataFrame({"path": paths}),
        "features": featx.embed(folder),
    }


@pytest.mark.parametrize("kind", ["folder", "path", "list", "table", "features"])
def test_every_way_to_name_images_gives_the_same_predictions(model, new_photos, kind):
    source = sources(new_photos)[kind]
    assert model.predict(source).tolist() == ["blue", "blue", "green", "green", "red", "red"]
    probabilities = model.predict_proba(source)
    assert probabilities.shape == (6, 3)
    assert [model.classes[i] for i in probabilities.argmax(axis=1)] == model.predict(
        source
    ).tolist()


def test_a_single_picture_is_predicted(model, new_photos):
    assert model.predict(new_photos / "green" / "100.png").tolist() == ["green"]


def test_the_pipeline_behind_a_model_is_that_of_scikit_learn(model, new_photos):
    features = featx.embed(new_photos)
    assert list(model.pipeline.named_steps) == ["normalize", "knn"]
    assert np.array_equal(model.pipeline.predict(features.X), model.predict(features))
    assert repr(model) == f"ImageClassifier(3 classes; {model.recipe})"


def test_a_file_that_cannot_be_read_is_none_in_its_own_place(model, new_photos):
    (new_photos / "blue" / "0.jpg").write_text("no picture")
    (new_photos / "red" / "x.jpg").touch()
    labels = model.predict(new_photos)
    assert labels.tolist() == [None, "blue", "blue", "green", "green", "red", "red", None]
    probabilities = model.predict_proba(new_photos)
    assert np.isnan(probabilities[[0, 7]]).all()
    assert probabilities[1:7].sum(axis=1) == pytest.approx(np.ones(6))
    features = featx.embed(new_photos)
    assert model.predict(features).tolist() == labels.tolist()
    assert np.array_equal(model.predict_proba(features), probabilities, equal_nan=True)
    with pytest.raises(ImageError, match=r"0\.jpg"):
        model.predict(new_photos, on_error="raise")


def test_predicting_again_embeds_nothing(model, new_photos, fake_engine):
    before = fake_engine.embedded
    model.predict(new_photos)
    assert fake_engine.embedded - before == 6
    model.predict_proba(new_photos)
    assert fake_engine.embedded - before == 6


def test_an_evaluation_counts_what_could_be_read(model, new_photos):
    (new_photos / "red" / "x.jpg").touch()
    (new_photos / "green" / "100.png").rename(new_photos / "red" / "green.png")
    result = model.evaluate(new_photos)
    assert result.n_failed == 1
    assert len(result.paths) == len(result.y_true) == 6
    assert result.accuracy == 5 / 6
    assert result.confusion.loc["red", "green"] == 1


def test_a_class_that_the_model_never_met_counts_as_wrong(model, new_photos):
    (new_photos / "green").rename(new_photos / "grass")
    result = model.evaluate(new_photos)
    assert result.classes == ("blue", "grass", "green", "red")
    assert result.accuracy == 4 / 6
    assert result.by_class.loc["grass", ["recall", "support"]].tolist() == [0, 2]
    assert result.confusion.loc["grass", "green"] == 2


def test_images_without_known_classes_cannot_be_evaluated_and_are_not_embedded(
    model, new_photos, fake_engine, tmp_path
):
    before = fake_engine.embedded
    with pytest.raises(ImageSourceError, match=r"^no class for "):
        model.evaluate(new_photos / "red")
    strangers = fakes.draw(tmp_path / "strangers" / "tiger" / "1.png", (1, 2, 3)).parents[1]
    with pytest.raises(ImageSourceError, match="none of the classes tiger: expected blue, green"):
        model.evaluate(strangers)
    assert fake_engine.embedded == before


def test_an_engine_may_be_named_for_every_use_of_a_model(photos, new_photos):
    seen = []

    class Named(fakes.FakeEngine):
        def embed_batch(self, images):
            seen.append(len(images))
            return super().embed_batch(images)

    spec = EngineSpec("keras", Named, suits=lambda: False, computes_in=lambda precision: True)
    options = {"engine": "keras", "cache": False}
    with registered(spec):
        model = train(photos, "knn", **options)
        assert sum(seen) == 18
        expected = ["blue", "blue", "green", "green", "red", "red"]
        assert model.predict(new_photos, **options).tolist() == expected
        assert sum(seen) == 24
        assert model.predict_proba(new_photos, **options).shape == (6, 3)
        assert sum(seen) == 30
        assert model.evaluate(new_photos, **options).accuracy == 1.0
        assert sum(seen) == 36
        assert len(model.predictions(new_photos, **options)) == 6
        assert sum(seen) == fakes.FakeEngine.embedded == 42
    with pytest.raises(OptionError, match="unknown engine 'torch'"):
        model.predict(new_photos, engine="torch")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pooling": "max"}, "pooling max, expected avg"),
        ({"layer": "top_conv"}, "layer top_conv, expected None"),
        ({"input_size": 64}, "input_size 64, expected 224"),
        ({"resize": "pad"}, "resize pad, expected squash"),
        ({"weights": "random"}, "weights random-0, expected 579344248a93"),
        ({"backbone": "vgg16", "weights": "random"}, "backbone vgg16, expected efficientnet_lite0"),
    ],
)
def test_features_of_another_recipe_are_refused_by_what_differs(model, new_photos, options, named):
    features = featx.embed(new_photos, **options)
    for method in (model.predict, model.predict_proba, model.evaluate):
        with pytest.raises(RecipeMismatchError) as caught:
            method(features)
        assert str(caught.value).startswith("these features were made by another recipe (")
        assert named in str(caught.value)


def test_features_that_carry_no_recipe_are_refused(model, new_photos):
    bare = dataclasses.replace(featx.embed(new_photos), recipe=None)
    with pytest.raises(RecipeMismatchError, match="these features carry no recipe"):
        model.predict(bare)


def test_a_classifier_without_probabilities_says_so(photos, new_photos):
    model = train(photos, SVC())
    assert model.evaluate(new_photos).accuracy == 1.0
    with pytest.raises(OptionError, match="gives no probabilities; train with another one"):
        model.predict_proba(new_photos)


def test_an_evaluation_that_is_given_the_training_images_names_their_copies(
    model, photos, new_photos
):
    copy = fakes.draw(new_photos / "red" / "copy.png", (1, 2, 3))
    copy.write_bytes((photos / "blue" / "003.png").read_bytes())
    training = featx.embed(photos)
    result = model.evaluate(new_photos, training=training)
    assert result.leaks == {str(copy): str(photos / "blue" / "003.png")}
    assert (result.accuracy, result.without_leaks.accuracy) == (6 / 7, 1.0)
    assert model.evaluate(new_photos).leaks == {}
    assert model.evaluate(new_photos, training=model.training.features).leaks == result.leaks


# ---------------------------------------------------------------- views


@pytest.fixture
def viewed(photos) -> ImageClassifier:
    return train(photos, "knn", backbone="resnet50+xception", views=2, **VIEWED)


def test_a_model_embeds_the_views_it_was_trained_with_and_survives_its_file(
    viewed, new_photos, fake_engine, tmp_path
):
    before = fake_engine.embedded
    expected = viewed.predict_proba(new_photos, progress=False)
    assert fake_engine.embedded - before == 6 * 3 * 2, "images x views x networks"
    viewed.save(tmp_path / "m.featx")
    loaded = load(tmp_path / "m.featx")
    assert loaded.views == 2
    assert loaded.recipe == viewed.recipe
    assert np.array_equal(loaded.predict_proba(new_photos, progress=False), expected)
    assert loaded.evaluate(new_photos, progress=False).accuracy == 1


@pytest.mark.parametrize("classifier", PIPELINES)
def test_every_named_classifier_that_learned_from_views_survives_its_file(
    cloud, classifier, tmp_path
):
    features = cloud()
    random = np.random.default_rng(1)
    moved = [features.X + 0.05 * random.normal(size=features.X.shape) for _ in range(2)]
    views = tuple(each.astype(np.float32) for each in moved)
    features = dataclasses.replace(features, views=views)
    model = train(features, classifier)
    model.save(tmp_path / "m.featx")
    loaded = load(tmp_path / "m.featx")
    assert loaded.views == 2
    assert loaded.predict(features).tolist() == model.predict(features).tolist()


def test_features_with_fewer_views_than_the_model_predicts_by_are_told(viewed, new_photos):
    embed = {"backbone": "resnet50+xception", **VIEWED}
    with pytest.raises(RecipeMismatchError, match="0 views, but the model predicts by 2: embed"):
        viewed.predict(featx.embed(new_photos, **embed))
    expected = viewed.predict_proba(featx.embed(new_photos, views=2, **embed))
    further = viewed.predict_proba(featx.embed(new_photos, views=3, **embed))
    assert np.array_equal(further, expected)


# ---------------------------------------------------------------- saved and loaded


IN_A_NEW_PROCESS = """
import sys, numpy as np, fakes, featx
with fakes.install():
    model = featx.load(sys.argv[1])
    labels = model.predict(sys.argv[2])
    np.savez(sys.argv[3], labels=labels, probabilities=model.predict_proba(sys.argv[2]),
             classes=model.classes)
assert not {"keras", "tensorflow"} & set(sys.modules), "a deep-learning framework was loaded"
"""


def predict_in_a_new_process(model: Path, folder: Path, out: Path) -> dict:
    root = Path(featx.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS, model, folder, out],
        env={"PATH": "", "PYTHONPATH": f"{root}:{root / 'tests'}", "FEATX_CACHE": f"{out}.cache"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return dict(np.load(out, allow_pickle=False))


@pytest.mark.parametrize("classifier", ["logistic", "mlp"])
def test_a_new_process_predicts_the_same_numbers(photos, new_photos, tmp_path, classifier):
    model = train(photos, classifier)
    model.save(tmp_path / "fruit.featx")
    there = predict_in_a_new_process(tmp_path / "fruit.featx", new_photos, tmp_path / "out.npz")
    assert there["labels"].tolist() == model.predict(new_photos).tolist()
    assert tuple(there["classes"]) == model.classes
    assert np.array_equal(there["probabilities"], model.predict_proba(new_photos))


@pytest.mark.parametrize("classifier", PIPELINES)
def test_a_loaded_model_is_the_one_that_was_saved(photos, new_photos, tmp_path, classifier):
    model = train(photos, classifier)
    model.save(tmp_path / "fruit.featx")
    loaded = load(tmp_path / "fruit.featx")
    assert (loaded.classes, loaded.recipe, loaded.weights) == (NAMES, model.recipe, "imagenet")
    assert repr(loaded.pipeline) == repr(model.pipeline)
    assert np.array_equal(loaded.predict_proba(new_photos), model.predict_proba(new_photos))
    loaded.save(tmp_path / "again.featx")
    assert np.array_equal(
        load(tmp_path / "again.featx").predict_proba(new_photos), model.predict_proba(new_photos)
    )


def test_a_pipeline_of_ones_own_is_saved_and_loaded(photos, new_photos, tmp_path):
    own = make_pipeline(StandardScaler(), FunctionTransformer(np.tanh), LogisticRegression())
    model = train(photos, own)
    model.save(str(tmp_path / "own.featx"))
    loaded = load(str(tmp_path / "own.featx"))
    assert np.array_equal(loaded.predict_proba(new_photos), model.predict_proba(new_photos))


# ---------------------------------------------------------------- the weights of a model


def resnet_weights(folder: Path, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    path.write_bytes(content)
    return path


def test_other_weights_under_the_same_name_are_refused_with_both_digests(
    photos, new_photos, tmp_path, monkeypatch
):
    path = resnet_weights(tmp_path / "weights", b"first")
    monkeypatch.setenv("FEATX_WEIGHTS", str(path.parent))
    model = train(photos, "knn", backbone="resnet50")
    model.save(tmp_path / "fruit.featx")
    assert load(tmp_path / "fruit.featx").predict(new_photos)[0] == "blue"
    resnet_weights(path.parent, b"another")
    loaded = load(tmp_path / "fruit.featx")
    for _ in range(2):  # it is not remembered as the right one
        with pytest.raises(RecipeMismatchError) as caught:
            loaded.predict(new_photos)
        trained = model.recipe.parts[0].weights
        other = Backbone.load("resnet50").digest[:12]
        assert str(caught.value) == (
            f"the model was trained on resnet50 weights {trained[:12]}, but the "
            f"weights found ({path}) are {other}; load the model with weights= the file it was "
            "trained on"
        )
    assert trained[:12] != other
    resnet_weights(path.parent, b"first")
    assert loaded.predict(new_photos)[0] == "blue"


def test_weights_that_have_moved_are_named_when_the_model_is_loaded(photos, new_photos, tmp_path):
    path = resnet_weights(tmp_path / "weights", b"first")
    model = train(photos, "knn", backbone="resnet50", weights=path)
    model.save(tmp_path / "fruit.featx")
    path.parent.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / path.name
    with pytest.raises(WeightsError, match="no weights at"):
        load(tmp_path / "fruit.featx").predict(new_photos)
    for weights in (moved, moved.parent, str(moved)):
        loaded = load(tmp_path / "fruit.featx", weights=weights)
        assert (
            loaded.predict(new_photos).tolist()
            == model.predict(featx.embed(new_photos, "resnet50", weights=weights)).tolist()
        )
    loaded.save(tmp_path / "fruit.featx")
    assert load(tmp_path / "fruit.featx").weights == str(moved)


def test_features_are_predicted_without_looking_for_weights(photos, new_photos, tmp_path):
    path = resnet_weights(tmp_path / "weights", b"first")
    train(photos, "knn", backbone="resnet50", weights=path).save(tmp_path / "fruit.featx")
    features = featx.embed(new_photos, "resnet50", weights=path)
    path.unlink()
    assert load(tmp_path / "fruit.featx").predict(features)[0] == "blue"


@pytest.fixture
def own() -> Backbone:
    """A network of the user's, as `Backbone.from_keras` makes one."""
    return Backbone(
        name="mine",
        digest="c" * 64,
        input_size=32,
        min_size=32,
        preprocessing="custom",
        preprocess=np.asarray,
    )


@pytest.mark.parametrize("from_features", [False, True])
def test_a_model_on_a_network_of_ones_own_needs_it_again_when_loaded(
    photos, new_photos, tmp_path, own, from_features
):
    source = featx.embed(photos, own) if from_features else photos
    model = train(source, "knn", backbone=own)
    assert model.evaluate(new_photos).accuracy == 1.0
    model.save(tmp_path / "own.featx")
    loaded = load(tmp_path / "own.featx", backbone=own)
    assert np.array_equal(loaded.predict_proba(new_photos), model.predict_proba(new_photos))
    other = dataclasses.replace(own, digest="d" * 64)
    with pytest.raises(RecipeMismatchError, match=r"weights c{12}, but .* \(mine\) are d{12}"):
        load(tmp_path / "own.featx", backbone=other).predict(new_photos)
    with pytest.raises(OptionError, match="trained on a network of your own, 'mine'"):
        load(tmp_path / "own.featx").predict(new_photos)


@pytest.mark.parametrize(
    ("setting", "claimed", "message"),
    [
        ("preprocessing", "caffe/1", "preprocessing 'caffe/1', not 'lite/1'"),
        ("view", "3/1", "view 3, not 0"),
        ("input_size", 16, "input size 16 does not fit efficientnet_lite0: expected 32 to 4096"),
        ("orientation", "none", "orientation 'none' of a recipe: expected 'exif'"),
        ("color", "bgr", "color 'bgr' of a recipe: expected 'rgb'"),
    ],
)
def test_a_recipe_that_says_what_is_not_done_is_refused(
    model, new_photos, tmp_path, setting, claimed, message
):
    model.save(tmp_path / "claims.featx")
    document = fakes.about(tmp_path / "claims.featx")
    document["recipe"][setting] = claimed
    fakes.rewrite(tmp_path / "claims.featx", document)
    kept = sorted(path.name for path in cache_folder().glob("features/*"))
    with pytest.raises(FeatxError, match=message):
        load(tmp_path / "claims.featx").predict(new_photos)
    assert sorted(path.name for path in cache_folder().glob("features/*")) == kept


@pytest.mark.parametrize(("setting", "claimed"), [("pooling", "max"), ("precision", "bfloat16")])
def test_a_recipe_of_pixels_that_says_what_is_not_done_is_refused(
    photos, new_photos, tmp_path, setting, claimed
):
    train(photos, "knn", backbone="pixels").save(tmp_path / "claims.featx")
    document = fakes.about(tmp_path / "claims.featx")
    document["recipe"][setting] = claimed
    fakes.rewrite(tmp_path / "claims.featx", document)
    with pytest.raises(RecipeMismatchError, match=f"{setting} '{claimed}', not '"):
        load(tmp_path / "claims.featx").predict(new_photos)


def test_a_model_file_says_in_plain_json_what_it_is(model, tmp_path):
    model.save(tmp_path / "fruit.featx")
    about = fakes.about(tmp_path / "fruit.featx")
    assert about["classes"] == list(NAMES)
    assert about["recipe"] == model.recipe.to_dict()
    assert (about["format"], about["weights"]) == (5, "imagenet")


def test_a_process_that_predicts_picture_by_picture_keeps_the_first_ones_in_few_files(
    model, fake_engine
):
    folder = Path(os.environ["FEATX_CACHE"])
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (280, 1, 8, 8, 3), dtype=np.uint8)
    first = [model.features(each).X for each in pictures]
    (cached,) = contents(folder)
    assert cached.rows == 18 + 256
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) <= 3 * MOST_ALIKE, files
    before = fake_engine.embedded
    again = [model.features(each).X for each in pictures[250:260]]
    assert np.array_equal(again, first[250:260])
    assert fake_engine.embedded - before == 260 - 256
    model.features(np.concatenate(pictures[-20:]))
    assert contents(folder)[0].rows == 18 + 256 + 20, "many at once are kept"
