"""Views are learned from and predicted by, and never give away what they are views of."""

from __future__ import annotations

from dataclasses import replace

import fakes
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import featx
from featx.errors import ModelFileError, RecipeMismatchError
from featx.learning.views import classifier_for, fit, predict

OPTIONS = {"weights": "random", "progress": False}


@pytest.fixture
def with_views(cloud):
    """Return a function that adds views to a cloud: the same vectors, a little moved."""

    def draw(views=3, noise=0.05, **options):
        features = cloud(**options)
        random = np.random.default_rng(1)
        moved = [
            (features.X + noise * random.normal(size=features.X.shape)).astype(np.float32)
            for _ in range(views)
        ]
        return replace(features, views=tuple(moved))

    return draw


@pytest.mark.parametrize("classifier", ["knn", "logistic", "svm"])
def test_labels_that_only_views_of_the_same_photograph_could_tell_score_at_chance(
    with_views, classifier
):
    features = with_views(each=40, distance=0.0, classes=("ant", "bee"))
    validation = featx.cross_validate(features, classifier)
    assert 0.35 < validation.accuracy < 0.65, validation
    curve = featx.learning_curve(features, classifier, repeats=1)
    assert curve.estimates[-1].value < 0.65, curve


def test_the_search_inside_a_classifier_has_all_views_of_a_photograph_on_one_side():
    y = np.repeat(["ant", "bee"], 10)
    search = classifier_for("logistic", y, 30, views=2).named_steps["logistic"]
    assert len(search.cv) == 5
    for train, test in search.cv:
        assert set(train % 20).isdisjoint(test % 20)
        assert sorted([*train, *test]) == list(range(60))


def test_a_search_of_ones_own_has_all_views_of_a_photograph_on_one_side():
    y = np.repeat(["ant", "bee"], 10)
    inner = CalibratedClassifierCV(LogisticRegression(), cv=2)
    search = GridSearchCV(inner, {"estimator__C": [1, 2]}, cv=KFold(4, shuffle=True))
    made = classifier_for(make_pipeline(StandardScaler(), search), y, 30, views=2)
    splits = made.named_steps["gridsearchcv"].cv
    assert len(splits) == 4
    for train, test in splits:
        assert set(train % 20).isdisjoint(test % 20)
        assert sorted([*train, *test]) == list(range(60))
    assert made.named_steps["gridsearchcv"].estimator.cv == 2, "of the rows that the search gives"
    assert isinstance(search.cv, KFold), "the user's own is left as it was"


def test_a_classifier_learns_from_the_views_too():
    y = np.array(["ant", "ant", "bee", "bee"])
    X = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32)
    views = [np.array([[-1, 0], [-1, 0.1], [0, -1], [0.1, -1]], np.float32)]
    classifier = fit(classifier_for("knn", y, 2, 1), X, y, views)
    predicted, _ = predict(classifier, np.array([[-1, 0.05], [0.05, -1]], np.float32), (), y[::2])
    assert predicted.tolist() == ["ant", "bee"]


def test_a_prediction_is_the_mean_over_the_image_and_its_views(with_views):
    features = with_views(noise=2.0, distance=0.5)
    classifier = fit(
        classifier_for("logistic", features.y, 30, 3), features.X, features.y, features.views
    )
    predicted, probabilities = predict(
        classifier, features.X, features.views, ["ant", "bee", "cat", "dog"]
    )
    each = [classifier.predict_proba(X) for X in (features.X, *features.views)]
    assert np.allclose(probabilities[:, :3], np.mean(each, axis=0))
    assert not probabilities[:, 3].any()
    assert predicted.tolist() == classifier.classes_[np.mean(each, axis=0).argmax(axis=1)].tolist()


def test_without_probabilities_the_most_frequent_prediction_counts_and_the_image_breaks_ties():
    class Sign:
        def predict(self, X):
            return np.where(X[:, 0] > 0, "plus", "minus")

    X = np.array([[1.0], [1.0], [-1.0]], np.float32)
    one, two = np.array([[-1.0]] * 3, np.float32), np.array([[-1.0], [1.0], [1.0]], np.float32)
    classes = ["minus", "plus"]
    assert predict(Sign(), X, [one], classes)[0].tolist() == ["plus", "plus", "minus"]
    assert predict(Sign(), X, [one, two], classes)[0].tolist() == ["minus", "plus", "minus"]


@pytest.fixture
def trained(photos, fake_engine):
    return featx.train(photos, "knn", backbone="resnet50+xception", views=2, **OPTIONS)


def test_a_model_embeds_the_views_it_was_trained_with_and_survives_its_file(
    trained, new_photos, fake_engine, tmp_path
):
    before = fake_engine.embedded
    expected = trained.predict_proba(new_photos, progress=False)
    assert fake_engine.embedded - before == 6 * 3 * 2, "images x views x networks"
    trained.save(tmp_path / "m.featx")
    loaded = featx.load(tmp_path / "m.featx")
    assert loaded.views == 2
    assert loaded.recipe == trained.recipe
    assert np.array_equal(loaded.predict_proba(new_photos, progress=False), expected)
    assert loaded.evaluate(new_photos, progress=False).accuracy == 1


@pytest.mark.parametrize("classifier", [name for name in featx.CLASSIFIERS if name != "cnn"])
def test_every_named_classifier_that_learned_from_views_survives_its_file(
    with_views, classifier, tmp_path
):
    features = with_views(views=2)
    model = featx.train(features, classifier)
    model.save(tmp_path / "m.featx")
    loaded = featx.load(tmp_path / "m.featx")
    assert loaded.views == 2
    assert loaded.predict(features).tolist() == model.predict(features).tolist()


def test_features_with_fewer_views_than_the_model_predicts_by_are_told(trained, new_photos):
    embed = {"backbone": "resnet50+xception", "progress": False, "weights": "random"}
    with pytest.raises(RecipeMismatchError, match="0 views, but the model predicts by 2: embed"):
        trained.predict(featx.embed(new_photos, **embed))
    expected = trained.predict_proba(featx.embed(new_photos, views=2, **embed))
    further = trained.predict_proba(featx.embed(new_photos, views=3, **embed))
    assert np.array_equal(further, expected)


@pytest.mark.parametrize("views", [-1, 65, "2", 1.5, None])
def test_a_file_with_a_number_of_views_that_cannot_be_is_damaged(trained, tmp_path, views):
    path = tmp_path / "m.featx"
    trained.save(path)
    document = fakes.about(path)
    fakes.rewrite(path, document | {"views": views})
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)


def test_views_and_joined_networks_are_compared(photos, fake_engine):
    comparison = featx.compare(
        photos, ["resnet50", "resnet50+xception"], "max", "knn", views=1, **OPTIONS
    )
    assert sorted(each.name for each in comparison.candidates) == ["resnet50", "resnet50+xception"]
    assert all(len(each.features.views) == 1 for each in comparison.candidates)
    assert comparison.frame.n_features.max() == 18


def test_an_embedder_joins_networks_too(photos, fake_engine):
    paths = sorted(map(str, photos.glob("*/*.png")))
    embedder = featx.ImageEmbedder("resnet50+xception", weights="random").fit(paths)
    expected = featx.embed(paths, "resnet50+xception", **OPTIONS).X
    assert np.array_equal(embedder.transform(paths), expected)
