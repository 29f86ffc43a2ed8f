"""Cross-validation is fair: every image is judged by classifiers that saw neither it nor a copy."""

import dataclasses
import json
import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from fakes import as_features
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import featx
from featx.errors import ImageSourceError, OptionError, UnknownClassifierError
from featx.evaluation import fits
from featx.evaluation.validation import cross_validate


class Recorder(ClassifierMixin, BaseEstimator):
    """Note what it is trained on and asked for, and answer with the first class."""

    def __init__(self, log=None):
        self.log = log

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        LOG.append((X[:, 0].tolist(), []))
        return self

    def predict(self, X):
        LOG[-1][1].extend(X[:, 0].tolist())
        return np.full(len(X), self.classes_[0])


LOG: list[tuple[list[float], list[float]]] = []


@pytest.mark.parametrize(("each", "folds"), [(10, 5), (3, 3), ([9, 2, 7], 5)])
def test_each_image_is_held_out_once_a_repeat_by_a_classifier_that_never_saw_it(cloud, each, folds):
    features = cloud(each)
    features = dataclasses.replace(
        features, X=np.arange(len(features), dtype=np.float32)[:, None].repeat(2, axis=1)
    )
    LOG.clear()
    result = cross_validate(features, Recorder(), repeats=3)
    held_out = Counter(row for _, asked in LOG for row in asked)
    assert held_out == dict.fromkeys(range(len(features)), 3)
    assert all(not set(trained) & set(asked) for trained, asked in LOG)
    assert len(result.scores) == len(LOG) == 3 * folds
    assert len({tuple(asked) for _, asked in LOG}) > folds, "the repeats are all alike"
    shares = [Counter(features.y[[int(row) for row in asked]].tolist()) for _, asked in LOG]
    for name in features.classes:
        counts = [share[name] for share in shares]
        assert max(counts) - min(counts) <= 1, f"{name} is spread over the folds as {counts}"


@pytest.mark.parametrize("classifier", ["logistic", "knn", LogisticRegression()])
def test_cross_validation_gives_the_same_numbers_twice(cloud, classifier):
    features = cloud(each=4, width=10, distance=0.3)
    first, second = (cross_validate(features, classifier) for _ in range(2))
    assert first.predictions.tolist() == second.predictions.tolist()
    assert first.probabilities.tolist() == second.probabilities.tolist()


def test_processes_give_the_numbers_that_one_gives(cloud, monkeypatch):
    features = cloud(each=6, distance=0.3)
    alone = cross_validate(features, "mlp", n_jobs=1)
    monkeypatch.setattr(fits, "WORTH_PROCESSES", 0.0)
    together = cross_validate(features, "mlp", n_jobs=2)
    assert together.predictions.tolist() == alone.predictions.tolist()
    assert together.probabilities.tolist() == alone.probabilities.tolist()


class Dying(ClassifierMixin, BaseEstimator):
    """Says the first class, and is killed in the first other process that fits it."""

    def __init__(self, folder="", moment="before the answer", home=0):
        self.folder, self.moment, self.home = folder, moment, home

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if os.getpid() != self.home:
            with suppress(FileExistsError):
                Path(self.folder, "dying").touch(exist_ok=False)
                self._die()
        return self

    def _die(self):
        if self.moment == "before the answer":
            os.kill(os.getpid(), signal.SIGKILL)

        def half(file, data, write=os.write):
            if len(data) <= 1 << 16:
                return write(file, data)
            write(file, bytes(data[: 1 << 10]))
            os.kill(os.getpid(), signal.SIGKILL)

        vars(Connection)["_send"].__defaults__ = (half,)

    def predict_proba(self, X):
        return np.eye(len(self.classes_))[np.zeros(len(X), int)]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing is killed here")
@pytest.mark.parametrize("moment", ["before the answer", "in the middle of the answer"])
def test_a_process_that_is_killed_ends_no_validation(cloud, monkeypatch, tmp_path, moment):
    features = cloud(each=10, classes=[f"class {number}" for number in range(100)])
    dying = Dying(str(tmp_path), moment, os.getpid())
    alone = cross_validate(features, dying, n_jobs=1)
    monkeypatch.setattr(fits, "WORTH_PROCESSES", 0.0)
    done = []
    thread = threading.Thread(
        target=lambda: done.append(cross_validate(features, dying, n_jobs=2)), daemon=True
    )
    thread.start()
    thread.join(60)
    assert done, "it waits for the process"
    assert (tmp_path / "dying").exists()
    assert done[0].predictions.tolist() == alone.predictions.tolist()
    assert done[0].probabilities.tolist() == alone.probabilities.tolist()


def test_another_seed_makes_other_folds(cloud):
    features = cloud(each=6, width=10, distance=0.3)
    one, other = (cross_validate(features, "knn", seed=seed) for seed in (0, 10))
    assert one.splits.parts[0][1].tolist() != other.splits.parts[0][1].tolist()


def test_the_accuracy_is_the_mean_over_images_and_repeats_with_its_interval(cloud):
    result = cross_validate(cloud(each=8, distance=0.3), "centroid", repeats=3)
    right = [prediction == result.y_true for prediction in result.predictions]
    assert result.predictions.shape == (3, 24)
    assert result.accuracy == pytest.approx(np.mean(right))
    assert result.std == pytest.approx(np.std(result.scores))
    assert result.interval.low < result.accuracy < result.interval.high
    assert repr(result) == f"CrossValidation(accuracy {result.interval}, 3 x 5 folds)"
    assert result.confusion.to_numpy().sum() == pytest.approx(24)
    assert result.by_class.support.tolist() == [8, 8, 8]


def test_an_image_is_said_to_be_what_it_was_predicted_to_be_most_often(cloud):
    result = cross_validate(cloud(each=8, distance=0.2), "knn", repeats=5)
    for row, label in enumerate(result.y_pred):
        counts = Counter(result.predictions[:, row].tolist())
        assert counts[label] == max(counts.values())
    wrong = result.mistakes
    assert set(wrong.path) == set(result.paths[result.y_pred != result.y_true])
    assert wrong.wrong.between(0, 1).all()
    assert wrong.wrong.is_monotonic_decreasing


def test_a_class_of_few_images_does_not_make_the_folds_fewer(cloud):
    result = cross_validate(cloud(each=[10, 2, 10]), "centroid")
    assert result.splits.folds == 5
    assert result.splits.notes == (
        "classes with fewer different images than the 5 folds: bee (2); some folds test none of "
        "theirs, and every image is still predicted once a repeat",
    )


class TestTwins:
    """Copies of a photograph stay on one side, or a classifier only has to remember them."""

    @pytest.fixture
    def noise(self):
        """Features without any meaning, half of them resized copies of the others."""

        def draw(seed):
            random = np.random.default_rng(seed)
            X = random.normal(size=(60, 40))
            X = np.concatenate([X, X + 0.02 * random.normal(size=X.shape)])
            return as_features(X, ["ant", "bee"] * 60)

        return draw

    def test_meaningless_features_with_copies_score_at_chance(self, noise):
        accuracies = [cross_validate(noise(seed), "knn").accuracy for seed in range(6)]
        assert abs(np.mean(accuracies) - 0.5) < 0.09, accuracies
        random = noise(0)
        leaking = KNeighborsClassifier(1).fit(random.X[:60], random.y[:60])
        assert leaking.score(random.X[60:], random.y[60:]) == 1.0, "the copies are too different"

    def test_copies_are_named_and_on_one_side(self, noise):
        features = noise(0)
        result = cross_validate(features, "knn")
        paths = features.paths
        assert sorted(result.twins) == sorted((paths[i], paths[i + 60]) for i in range(60))
        for train, test in result.splits.parts:
            assert not set(train % 60) & set(test % 60)
        assert "copies of a photograph kept together" in result.method

    def test_a_photograph_with_its_copy_counts_once(self, noise):
        features = noise(0)
        twice = cross_validate(features, "knn")
        once = cross_validate(features.select(range(60)), "knn")
        assert twice.size == pytest.approx(once.size)

    def test_a_class_of_copies_of_one_photograph_is_told(self, cloud):
        features = cloud(each=8)
        X = features.X.copy()
        X[:8] = X[0]
        notes = cross_validate(dataclasses.replace(features, X=X), "centroid").splits.notes
        assert notes[-1].startswith("all images of ant are copies of one photograph")

    def test_nothing_but_copies_cannot_be_cross_validated(self, cloud):
        features = cloud(each=4)
        X = np.repeat(features.X[::4], 4, axis=0)
        with pytest.raises(ImageSourceError, match="copies of a single photograph"):
            cross_validate(dataclasses.replace(features, X=X))


@pytest.mark.parametrize("options", [{"folds": 1}, {"repeats": 0}, {"folds": 2.5}])
def test_folds_and_repeats_that_cannot_be_are_refused(cloud, options):
    with pytest.raises(OptionError, match="expected a whole number"):
        cross_validate(cloud(), **options)


def test_easy_classes_score_near_one_and_random_labels_near_chance(cloud):
    features = cloud(each=40, distance=2.0)
    assert cross_validate(features, "centroid").accuracy > 0.99
    shuffled = np.random.default_rng(3).permutation(features.y)
    chance = cross_validate(dataclasses.replace(features, y=shuffled), "centroid").accuracy
    assert abs(chance - 1 / 3) < 0.13, f"random labels of three classes score {chance:.2f}"


def test_two_images_a_class_can_be_cross_validated(cloud):
    result = cross_validate(cloud(each=2, distance=3.0), "logistic", repeats=1)
    assert len(result.scores) == 2
    assert result.accuracy > 0.6, result


def test_a_cross_validation_is_plain_values(cloud):
    features = cloud(each=8, distance=0.3)
    X = features.X.copy()
    X[1] = X[0]  # a copy
    features = dataclasses.replace(features, X=X)
    result = cross_validate(features, "centroid", repeats=3)
    written = result.to_dict()
    assert json.loads(json.dumps(written)) == written
    interval = result.interval
    assert written == {
        "accuracy": result.accuracy,
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        **result.balance.to_dict(),
        "n_unfamiliar": None,
        "n_images": 24,
        "n_failed": 0,
        "failed": [],
        "contradictions": [],
        "notes": ["copies of one photograph, kept together: ant/0.jpg = ant/1.jpg"],
        "classes": [
            {"class": name, **result.by_class.loc[name].to_dict()} for name in features.classes
        ],
        "method": result.method,
        "folds": 5,
        "repeats": 3,
        "n_groups": None,
        "std": result.std,
        "twins": [["photos/ant/0.jpg", "photos/ant/1.jpg"]],
    }


def test_the_summary_has_the_accuracy_and_every_note(cloud):
    result = cross_validate(cloud(each=3, distance=0.3), "centroid", repeats=1)
    assert result.summary.splitlines() == [
        f"cross-validated accuracy {result.interval}, 3 folds, 1 time",
        "3 folds instead of 5: no class has more than 3 different images",
    ]
    assert result.notes == tuple(result.summary.splitlines()[1:])


def test_the_files_that_were_lost_are_counted(photos, fake_engine):
    (photos / "red" / "broken.jpg").write_bytes(b"no picture")
    result = cross_validate(featx.embed(photos, progress=False), "centroid")
    assert (result.n_failed, len(result.paths)) == (1, 18)
    assert result.to_dict()["n_failed"] == 1


def test_its_frame_has_the_share_of_the_repeats_in_which_an_image_was_wrong(cloud):
    result = cross_validate(cloud(each=8, distance=0.2), "knn", repeats=4)
    frame = result.to_frame()
    assert frame.path.tolist() == result.paths.tolist()
    assert frame.wrong.tolist() == (1 - result.hits.mean(axis=0)).tolist()
    assert set(frame.wrong) <= {0, 0.25, 0.5, 0.75, 1}
    assert frame.wrong.mean() == pytest.approx(1 - result.accuracy)


def test_features_without_labels_cannot_be_cross_validated(cloud):
    with pytest.raises(ImageSourceError, match="have no classes"):
        cross_validate(dataclasses.replace(cloud(), y=None))
    with pytest.raises(UnknownClassifierError, match="svn"):
        cross_validate(cloud(), "svn")


@pytest.mark.parametrize(
    ("repeats", "told"), [(1, "validation;"), (3, "validation, repeated 3 times;")]
)
def test_the_method_says_how_often_it_was_repeated(cloud, repeats, told):
    assert told in cross_validate(cloud(), "centroid", repeats=repeats).method
