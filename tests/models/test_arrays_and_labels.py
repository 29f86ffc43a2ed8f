"""Whatever learns from folders learns from arrays of pictures with labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import featx
from featx.errors import ImageSourceError, OptionError
from featx.images.arrays import ArrayImage
from featx.learning.embedder import ImageEmbedder

pytestmark = pytest.mark.usefixtures("fake_engine")


@pytest.fixture
def training():
    return fakes.draw_array()


@pytest.fixture
def testing():
    return fakes.draw_array(each=3, start=1)


@pytest.fixture
def model(training):
    X, y = training
    return featx.train(X, "knn", labels=y, progress=False)


def test_a_model_learns_from_an_array_and_predicts_one(model, testing):
    X, y = testing
    assert model.classes == (0, 1, 2)
    assert (model.predict(X) == y).mean() == 1.0
    assert model.predict(X / 255).tolist() == y.tolist()
    assert model.predict_proba(X).argmax(axis=1).tolist() == y.tolist()


KINDS = {
    "numbers": lambda y: 5 * y,  # 0, 5, 10: in the order of numbers, not of digits
    "bytes": lambda y: y.astype(np.uint8),
    "truth values": lambda y: y == 1,
    "names": lambda y: np.array(["ant", "bee", "cat"])[y],
    "digits": lambda y: y.astype(str),
    "one-hot rows": None,
    "a list": lambda y: (5 * y).tolist(),
}
CLASSIFIERS = ["knn", "logistic", "mlp", "svm"]


def labels_of_kind(kind, y):
    """Return labels as somebody gives them, and as they shall come back."""
    if kind == "one-hot rows":
        return np.eye(3)[y], y
    given = KINDS[kind](y)
    return given, np.asarray(given)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_come_back_as_the_type_given(kind, classifier, training, testing, tmp_path):
    given, _ = labels_of_kind(kind, training[1])
    of_test, expected = labels_of_kind(kind, testing[1])
    featx.train(training[0], classifier, labels=given, progress=False).save(tmp_path / "m.featx")
    model = featx.load(tmp_path / "m.featx")
    assert model.classes == tuple(np.unique(expected).tolist())
    predicted = model.predict(testing[0])
    assert predicted.dtype.kind == expected.dtype.kind.replace("u", "i")
    assert (predicted == expected).mean() == 1.0
    columns = model.predict_proba(testing[0]).argmax(axis=1)
    assert (np.array(model.classes)[columns] == expected).all()
    rows = model.predictions(testing[0]).rows
    assert [row["label"] for row in rows] == expected.tolist()
    json.dumps(rows)
    evaluation = model.evaluate(testing[0], of_test)
    assert evaluation.accuracy == 1.0
    assert (evaluation.y_true == expected).all()
    assert (evaluation.y_pred == expected).all()
    json.dumps([evaluation.to_dict(), list(evaluation.classes)])


@pytest.mark.keras
@pytest.mark.parametrize("kind", ["numbers", "truth values", "one-hot rows"])
def test_networks_from_scratch_give_labels_as_the_type_given(kind, training, testing, tmp_path):
    given, expected = labels_of_kind(kind, training[1])
    network = featx.make_classifier("cnn").set_params(epochs=3)
    featx.train(training[0], network, labels=given, progress=False).save(tmp_path / "m.featx")
    model = featx.load(tmp_path / "m.featx")
    assert model.classes == tuple(np.unique(expected).tolist())
    predicted = model.predict(testing[0])
    assert predicted.dtype == np.unique(expected).dtype
    assert set(predicted.tolist()) <= set(model.classes)
    assert (
        model.evaluate(testing[0], labels_of_kind(kind, testing[1])[0]).y_pred.dtype
        == predicted.dtype
    )


def test_numbers_are_answered_or_unsure_and_none_where_a_file_cannot_be_read(photos, tmp_path):
    paths = sorted(map(str, photos.glob("*/*")))
    labels = [["blue", "green", "red"].index(Path(path).parent.name) for path in paths]
    model = featx.train(paths, "knn", labels=labels, reject=0.5, progress=False)
    (tmp_path / "no.png").write_bytes(b"")
    model.rejection = replace(model.rejection, threshold=1.1)
    unsure = model.predict([paths[0], str(tmp_path / "no.png")], progress=False)
    assert unsure.tolist() == [featx.UNSURE, None]
    model.rejection = replace(model.rejection, threshold=0.0)
    sure = model.predict([*paths, str(tmp_path / "no.png")], progress=False)
    assert sure.tolist() == [*labels, None]
    assert (sure[:-1] == labels).mean() == 1.0


def test_a_model_of_numbers_is_judged_by_folders_named_so_and_the_other_way_round(tmp_path):
    colors = {"blue": "7", "green": "10", "red": "zebra"}
    fakes.draw_folder(tmp_path / "photos", each=3)
    for color, name in colors.items():
        (tmp_path / "photos" / color).rename(tmp_path / "photos" / name)
    paths = sorted(str(path) for path in (tmp_path / "photos").glob("*/*"))
    known = [path for path in paths if "zebra" not in path]
    numbers = [int(Path(path).parent.name) for path in known]
    model = featx.train(known, "knn", labels=numbers, progress=False)
    assert model.evaluate(known, list(map(str, numbers))).y_true.tolist() == numbers
    whole = model.evaluate(tmp_path / "photos", progress=False)
    assert whole.classes == ("10", "7", "zebra")  # of several types, so texts
    assert whole.accuracy == 6 / 9
    assert whole.probabilities.shape == (9, 3)
    of_names = featx.train(tmp_path / "photos", "knn", progress=False)
    assert of_names.evaluate(known, numbers, progress=False).y_true.tolist() == list(
        map(str, numbers)
    )


def test_comparisons_and_views_keep_numbers(training, testing):
    X, y = training
    made = featx.compare(X, "efficientnet_lite0", "avg", "knn", labels=5 * y, views=1)
    assert made.best.validation.y_true.tolist() == (5 * y).tolist()
    assert set(made.best.validation.y_pred.tolist()) == {0, 5, 10}
    model = featx.train(made.best.features, "centroid")
    assert (model.predict(testing[0]) == 5 * testing[1]).all()
    assert made.best.validation.plot() is not None
    assert made.best.validation.gallery() is not None


def test_a_report_takes_numbers(training, tmp_path):
    X, y = training
    model = featx.train(X, "knn", labels=5 * y, validation=True, progress=False)
    training = model.training
    featx.write_report(
        tmp_path / "report.html",
        title="x",
        features=training.features,
        evaluation=training.validation,
    )
    assert "photographs of 3 classes" in (tmp_path / "report.html").read_text()


def test_files_and_arrays_may_be_mixed_between_training_and_use(model, photos, testing):
    expected = {"red": 0, "green": 1, "blue": 2}
    paths = sorted(photos.glob("*/*"))
    assert model.predict(paths).tolist() == [expected[path.parent.name] for path in paths]
    trained = featx.train(photos, "knn")
    assert trained.predict(testing[0][:3]).tolist() == ["red", "green", "blue"]


@pytest.mark.parametrize("one_hot", [False, True])
def test_an_evaluation_knows_truth_and_mistakes_with_their_pictures(model, testing, one_hot):
    X, y = testing
    wrong = y.copy()
    wrong[4] = (y[4] + 1) % 3
    evaluation = model.evaluate(X, np.eye(3)[wrong] if one_hot else wrong)
    assert evaluation.accuracy == 8 / 9
    (mistake,) = evaluation.mistakes.path
    assert mistake == "array[4]"
    assert np.array_equal(mistake.pixels, X[4])
    assert model.predict(evaluation.mistakes.path).tolist() == [y[4]]
    assert "array[4]" in str(evaluation.mistakes)
    assert len(evaluation.without({mistake}).paths) == 8


def test_galleries_show_the_pictures_and_grey_squares_where_only_names_are_left(
    model, testing, tmp_path
):
    X, y = testing
    features = model.features(X)
    figure = model.evaluate(X, y).gallery()
    shown = [ax.images[0].get_array().mean(axis=(0, 1)).argmax() for ax in figure.axes]
    assert sorted(shown) == sorted(y.tolist())  # the strongest colour is the class
    direct = featx.plot_gallery(X, model.predict(X))
    shown = [ax.images[0].get_array().mean(axis=(0, 1)).argmax() for ax in direct.axes]
    assert shown == y.tolist()
    features.save(tmp_path / "x.npz")
    loaded = featx.Features.load(tmp_path / "x.npz")
    figure = featx.plot_gallery(loaded.paths, model.predict(loaded))
    assert all((ax.images[0].get_array() == 208).all() for ax in figure.axes)


def test_leaks_name_the_rows_of_both_arrays(training, testing):
    copied = testing[0].copy()
    copied[2] = training[0][7]
    leaks = featx.find_leaks(featx.embed(training[0]), featx.embed(copied))
    assert leaks == {"array[2]": "array[7]"}
    ((of_test, of_training),) = leaks.items()
    assert of_test.pixels.tobytes() == of_training.pixels.tobytes()


def test_features_of_one_array_are_compared_and_those_of_two_are_not(training, testing):
    X, y = training
    options = {"labels": y, "progress": False}
    same = [featx.embed(X.copy(), pooling=each, **options) for each in ("avg", "max")]
    made = featx.compare(same, classifiers="knn", progress=False)
    assert [len(each.features) for each in made.candidates] == [18, 18]
    other = featx.embed(fakes.draw_array(start=9)[0], **options)
    with pytest.raises(ImageSourceError, match="the features are of different images"):
        featx.compare([same[0], other], classifiers="knn", progress=False)


def test_a_comparison_runs_on_an_array(training):
    X, y = training
    made = featx.compare(X, "efficientnet_lite0", ["avg", "max"], "knn", labels=y, progress=False)
    assert made.to_frame().accuracy.tolist() == [1.0, 1.0]
    assert isinstance(made.best.features.paths[0], ArrayImage)
    assert made.best.features.classes == (0, 1, 2)


def test_lists_of_paths_take_labels(photos):
    paths = sorted(map(str, photos.glob("*/*")))
    labels = ["warm" if "red" in path else "cold" for path in paths]
    model = featx.train(paths, "knn", labels=labels)
    assert model.evaluate(paths, labels=labels).accuracy == 1.0


def test_labels_that_are_missing_or_too_many_are_told(model, training, photos):
    X, y = training
    with pytest.raises(ImageSourceError, match=r"the images have no classes: .* or labels="):
        featx.train(X)
    with pytest.raises(
        ImageSourceError, match=r"^no class for 18 of 18 images, such as array\[0\]: .* labels="
    ):
        model.evaluate(X)
    with pytest.raises(ImageSourceError, match="the model knows none of the classes 10, 11, 12"):
        model.evaluate(X, y + 10)
    features = featx.embed(X, labels=y)
    for call in (
        lambda: featx.train(features, labels=y),
        lambda: featx.compare(features, labels=y),
        lambda: featx.compare([features], labels=y),
        lambda: model.evaluate(features, y),
    ):
        with pytest.raises(OptionError, match="features carry their labels: give labels= to embed"):
            call()
    with pytest.raises(OptionError, match="the images have labels already"):
        featx.train(photos, labels=y)


# -- scikit-learn --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["RGB", "grey", "one channel", "floats"])
def test_the_transformer_takes_arrays(training, shape):
    X = training[0]
    X = {"RGB": X, "grey": X[..., 0], "one channel": X[..., :1], "floats": X / 255}[shape]
    matrix = ImageEmbedder().fit_transform(X)
    assert np.array_equal(matrix, featx.embed(X).matrix)
    frame = ImageEmbedder().set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert np.array_equal(frame.to_numpy(), matrix)


def test_a_grid_search_splits_an_array(training, testing, fake_engine):
    X, y = training
    pipeline = make_pipeline(ImageEmbedder(), LogisticRegression())
    grid = {"imageembedder__pooling": ["avg", "max"]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_score_ == 1.0
    assert search.predict(testing[0]).tolist() == testing[1].tolist()
    assert fake_engine.embedded == 2 * len(X) + len(testing[0])


def test_a_single_picture_by_mistake_is_told(training):
    embedder = ImageEmbedder().fit(training[0])
    with pytest.raises(ImageSourceError, match="looks like one picture"):
        embedder.transform(training[0][0])
    with pytest.raises(OptionError, match=r"\(18, 2304\).*or an array of pictures"):
        embedder.transform(training[0].reshape(18, -1))
