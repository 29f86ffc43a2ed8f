"""The learner is one door: names, estimators, pipelines and views go through it alike."""

from __future__ import annotations

import re
import signal
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from fakes import as_features, recipe
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import featx
from featx.backbones.pixels import PIXELS_SIZE
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import OptionError, UnknownClassifierError
from featx.learning.classifiers import CLASSIFIERS
from featx.learning.learner import (
    Learner,
    fit_estimator,
    learners_of,
    make_classifier,
    predict,
    probabilities_of,
)
from featx.learning.scratch import ScratchNetwork

ON_FEATURES = [name for name, spec in CLASSIFIERS.items() if not spec.pixels]
ON_PIXELS = [name for name, spec in CLASSIFIERS.items() if spec.pixels]
OWN = {
    "SVC": SVC(C=3),
    "standardscaler+svc": make_pipeline(StandardScaler(), SVC(C=3)),
    "GridSearchCV": GridSearchCV(SVC(), {"C": [3]}),
    "ScratchNetwork": ScratchNetwork(epochs=7),
}


# ---------------------------------------------------------------- what goes through the door


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_name_is_a_learner_of_that_name(name):
    learner = Learner.of(name)
    assert (learner.given, learner.name) == (name, name)
    assert learner.pixels == CLASSIFIERS[name].pixels


@pytest.mark.parametrize("name", OWN)
def test_an_estimator_is_named_by_its_class_and_a_pipeline_by_its_steps(name):
    learner = Learner.of(OWN[name])
    assert learner.name == name
    assert learner.given is OWN[name]
    assert learner.pixels == (name == "ScratchNetwork")


@pytest.mark.parametrize("given", ["knn", SVC()], ids=str)
def test_a_learner_stays_the_one_it_is(given):
    learner = Learner.of(given)
    assert Learner.of(learner) is learner


def without_seeds(estimator) -> str:
    """Write an estimator without the seeds that featx gives to its clones."""
    text = "".join(repr(estimator).split())
    return re.sub(r",?random_state=0|(?<=\()random_state=0,", "", text).replace("(,", "(")


def unseeded():
    """Return a classifier in which chance has several places."""
    network = MLPClassifier((4,), max_iter=20)
    search = GridSearchCV(network, {"alpha": [1e-4, 1.0]}, cv=KFold(2, shuffle=True))
    return make_pipeline(PCA(3, svd_solver="randomized"), search)


def test_a_classifier_of_ones_own_without_seeds_gives_the_same_results_each_time(cloud):
    features = cloud(each=12, width=200, distance=0.05)
    given = unseeded()
    before = repr(given.get_params())
    first, again = (
        featx.cross_validate(features, given, folds=2, repeats=1, n_jobs=1) for _ in range(2)
    )
    assert first.probabilities.tolist() == again.probabilities.tolist()
    assert repr(given.get_params()) == before, "what was given is left alone"
    built = make_classifier(given)
    assert built.get_params()["pca__random_state"] == 0
    assert built.get_params()["gridsearchcv__estimator__random_state"] == 0
    assert built.get_params()["gridsearchcv__cv"].random_state == 0


def test_a_seed_that_was_given_stays():
    built = make_classifier(make_pipeline(PCA(3, random_state=5), SVC(random_state=7)))
    assert built.get_params()["pca__random_state"] == 5
    assert built.get_params()["svc__random_state"] == 7


@pytest.mark.parametrize("name", OWN)
def test_what_is_built_of_ones_own_is_an_unfitted_clone(name):
    own = OWN[name]
    built = Learner.of(own).build()
    assert built is not own
    assert without_seeds(built) == without_seeds(own)
    assert without_seeds(make_classifier(own)) == without_seeds(own)


@pytest.mark.parametrize("name", ["SVC", "standardscaler+svc", "GridSearchCV"])
def test_an_estimator_of_ones_own_is_never_fitted_itself(cloud, name):
    featx.train(cloud(), OWN[name])
    assert not hasattr(OWN[name], "classes_")


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(UnknownClassifierError) as caught:
        make_classifier("svn")
    assert str(caught.value) == (
        f"unknown classifier 'svn': expected one of {', '.join(CLASSIFIERS)}, or a scikit-learn "
        "classifier"
    )
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (SVC, "the class SVC, not an object of it"),
        (StandardScaler(), "a StandardScaler"),
        (make_pipeline(StandardScaler()), "a Pipeline"),
        (7, "a int"),
        (None, "a NoneType"),
    ],
)
def test_what_is_no_classifier_is_named_by_its_type(wrong, named):
    with pytest.raises(OptionError) as caught:
        make_classifier(wrong)
    assert str(caught.value).startswith(f"classifier is {named}: expected one of logistic, ")


@pytest.mark.parametrize("given", ["knn", KNeighborsClassifier(1)], ids=str)
def test_a_learner_is_taken_wherever_a_classifier_is(cloud, given):
    features, learner = cloud(distance=0.5), Learner.of(given)
    expected = featx.cross_validate(features, given, repeats=1).predictions.tolist()
    assert featx.cross_validate(features, learner, repeats=1).predictions.tolist() == expected
    compared = featx.compare(features, classifiers=[learner], repeats=1)
    assert compared.best.learner is learner
    assert compared.best.validation.predictions.tolist() == expected
    assert featx.train(features, learner).training.classifier == learner.name


# ---------------------------------------------------------------- names of several


@pytest.mark.parametrize(
    ("several", "names"),
    [
        ("knn", ["knn"]),
        (SVC(), ["SVC"]),
        (["svm", "knn"], ["svm", "knn"]),
        (("knn", "knn", "knn"), ["knn", "knn #2", "knn #3"]),
        ([SVC(C=1), "svm", SVC(C=2), SVC(C=3)], ["SVC", "svm", "SVC #2", "SVC #3"]),
        ({"mine": SVC(), "near": "knn"}, ["mine", "near"]),
        ({"a": "knn", "b": "knn"}, ["a", "b"]),
        (Learner.of("knn"), ["knn"]),
    ],
    ids=str,
)
def test_each_of_several_has_a_name_of_its_own(several, names):
    assert list(learners_of(several)) == names


def test_the_names_are_those_of_the_classifiers_that_were_given():
    first, second = KNeighborsClassifier(1), KNeighborsClassifier(3)
    learners = learners_of(["knn", first, second])
    assert [each.given for each in learners.values()] == ["knn", first, second]
    named = learners_of({"near": second})["near"]
    assert (named.given, named.name) == (second, "KNeighborsClassifier")


@pytest.mark.parametrize("several", [[], (), {}], ids=str)
def test_no_classifier_at_all_is_told(several):
    with pytest.raises(OptionError, match="classifiers is empty: expected names, such as 'logis"):
        learners_of(several)


@pytest.mark.parametrize("several", [["knn", "svn"], {"mine": "svn"}], ids=str)
def test_a_wrong_one_among_several_is_told(several):
    with pytest.raises(UnknownClassifierError, match="unknown classifier 'svn'"):
        learners_of(several)


# ---------------------------------------------------------------- features or pixels


@pytest.mark.parametrize("name", ON_FEATURES)
def test_who_learns_from_features_takes_those_of_any_network(name):
    learner = Learner.of(name)
    assert learner.input_size is None
    for backbone in ("resnet50", "pixels", None):
        learner.require(backbone, 3)
    options = {"pooling": "max", "weights": "random"}
    assert learner.embedding("vgg16", options) == ("vgg16", options)


@pytest.mark.parametrize("classifier", [*ON_PIXELS, ScratchNetwork()], ids=str)
def test_who_learns_from_pixels_says_what_to_embed_with(classifier):
    learner = Learner.of(classifier)
    assert learner.input_size == PIXELS_SIZE
    assert learner.embedding(None, {}) == ("pixels", {"input_size": PIXELS_SIZE})
    options = {"input_size": 16, "views": 2}
    assert learner.embedding(None, options) == ("pixels", options)
    for name in ("vgg16", DEFAULT_BACKBONE):
        assert learner.embedding(name, {})[0] == name, "what is named is not replaced"


@pytest.mark.parametrize("option", ["weights", "pooling", "layer"])
def test_an_option_of_networks_is_none_of_pixels(option):
    with pytest.raises(OptionError) as caught:
        Learner.of("cnn").embedding(DEFAULT_BACKBONE, {option: "x"})
    assert str(caught.value) == (
        f"cnn learns from pixels, not from the features of a network: leave {option} out"
    )


def test_who_learns_from_pixels_takes_no_features(cloud):
    learner = Learner.of("cnn")
    learner.require("pixels", 3)
    learner.require(None, 3)
    told = "learns from pixels: got the features of vgg16; use the backbone 'pixels'"
    with pytest.raises(OptionError, match=told):
        learner.require("vgg16", 3)
    with pytest.raises(OptionError, match="got the features of resnet50"):
        learner.require_features(cloud())
    learner.require_features(as_features(np.zeros((2, 12)), ["a", "b"], recipe("pixels")))


@pytest.mark.parametrize(
    ("classifier", "gives"),
    [*((name, True) for name in CLASSIFIERS), (SVC(), False), (LogisticRegression(), True)],
    ids=str,
)
def test_it_knows_whether_it_gives_probabilities(classifier, gives):
    assert Learner.of(classifier).gives_probabilities == gives


class Pupil(ClassifierMixin, BaseEstimator):
    """Note what it is given to learn."""

    def fit(self, X, y, groups=None):
        self.given = X, y, groups
        return self


def test_a_picture_its_copies_and_its_views_are_one_group_for_who_judges_itself():
    random = np.random.default_rng(0)
    X = random.integers(0, 256, (12, 48)).astype(np.float32)
    X[1] = X[0]  # a copy
    y = np.repeat(["ant", "bee"], 6)
    learner = Learner("cnn", "cnn", pixels=True)
    rows, labels, groups = learner.fit(Pupil(), X, y, [X + 1, X + 2]).given
    assert np.array_equal(rows, np.concatenate([X, X + 1, X + 2]))
    assert labels.tolist() == [*y, *y, *y]
    assert groups.reshape(3, 12).tolist() == [[0, 0, *range(1, 11)]] * 3
    on_features = Learner("knn", "knn")
    assert on_features.fit(Pupil(), X, y).given[2] is None


# ---------------------------------------------------------------- searches


def test_the_folds_of_a_search_are_no_more_than_the_smallest_class_has_images():
    y = np.repeat(["ant", "bee"], [3, 9])
    assert Learner.of("svm").build_for(y, 30).named_steps["svm"].cv == 3
    assert Learner.of("svm").build_for(y[3:], 30).named_steps["svm"].cv == 5
    alone = Learner.of("svm").build_for(y[2:], 30).named_steps["svm"]
    assert isinstance(alone, SVC), "there is nothing to hold out"


@pytest.mark.parametrize(
    "own",
    [
        GridSearchCV(LogisticRegression(), {"C": [1e-3, 1.0]}, cv=2),
        make_pipeline(
            StandardScaler(), GridSearchCV(LogisticRegression(), {"C": [1e-3, 1.0]}, cv=2)
        ),
    ],
    ids=["search", "search in a pipeline"],
)
def test_a_settled_learner_has_what_its_search_found_in_place_of_the_search(cloud, own):
    features = cloud(each=6, distance=0.5)
    learner = Learner.of(own)
    fitted = learner.fit(learner.build_for(features.y, 30), features.X, features.y)
    final = learner.without_search(fitted).build()
    pairs = zip(
        getattr(final, "steps", [(0, final)]), getattr(fitted, "steps", [(0, fitted)]), strict=True
    )
    for (_, step), (_, searched) in pairs:
        best = getattr(searched, "best_estimator_", searched)
        assert without_seeds(step) == without_seeds(best)
        assert not hasattr(step, "classes_"), "it is fitted"


@pytest.mark.parametrize("given", ["knn", SVC(), make_pipeline(StandardScaler(), SVC())], ids=str)
def test_a_learner_without_a_search_is_settled_as_it_is(cloud, given):
    features = cloud()
    learner = Learner.of(given)
    fitted = learner.fit(learner.build_for(features.y, 30), features.X, features.y)
    assert learner.without_search(fitted) is learner


# ---------------------------------------------------------------- views


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
    search = Learner.of("svm").build_for(y, 30, views=2).named_steps["svm"]
    assert len(search.cv) == 5
    for train, test in search.cv:
        assert set(train % 20).isdisjoint(test % 20)
        assert sorted([*train, *test]) == list(range(60))


def test_a_search_of_ones_own_has_all_views_of_a_photograph_on_one_side():
    y = np.repeat(["ant", "bee"], 10)
    inner = CalibratedClassifierCV(LogisticRegression(), cv=2)
    search = GridSearchCV(inner, {"estimator__C": [1, 2]}, cv=KFold(4, shuffle=True))
    learner = Learner.of(make_pipeline(StandardScaler(), search))
    made = learner.build_for(y, 30, views=2)
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
    learner = Learner.of("knn")
    classifier = learner.fit(learner.build_for(y, 2, 1), X, y, views)
    predicted, _ = predict(classifier, np.array([[-1, 0.05], [0.05, -1]], np.float32), (), y[::2])
    assert predicted.tolist() == ["ant", "bee"]


# ---------------------------------------------------------------- predictions


def test_a_prediction_is_the_mean_over_the_image_and_its_views(with_views):
    features = with_views(noise=2.0, distance=0.5)
    learner = Learner.of("logistic")
    classifier = learner.fit(
        learner.build_for(features.y, 30, 3), features.X, features.y, features.views
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


def test_a_class_that_a_classifier_never_met_has_the_probability_0(cloud):
    features = cloud(classes=("ant", "cat"), distance=0.3)
    fitted = LogisticRegression().fit(features.X, features.y)
    shares = probabilities_of(fitted, features.X, ["ant", "bee", "cat", "dog"])
    assert np.array_equal(shares[:, [0, 2]], fitted.predict_proba(features.X))
    assert not shares[:, [1, 3]].any()


def test_where_there_are_no_probabilities_there_are_none_to_spread(cloud):
    features = cloud(each=1, classes=("ant", "bee"))
    assert probabilities_of(SVC().fit(features.X, features.y), features.X, ["ant", "bee"]) is None
    centroid = make_classifier("centroid")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # single images have no spread
        centroid.fit(features.X, features.y)
        assert probabilities_of(centroid, features.X, ["ant", "bee"]) is None
    assert hasattr(centroid, "predict_proba")


def test_an_interrupt_ends_a_perceptron_as_it_ends_other_fits():
    """scikit-learn's own would be what it has learned until then."""
    endless = MLPClassifier(max_iter=10**7, tol=0, n_iter_no_change=10**7)
    X, y = np.eye(8, dtype=np.float32), np.repeat(["a", "b"], 4)
    interrupt = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        fit_estimator(endless, X, y)
    interrupt.join()
