"""A model that may be unsure: how right its answers are, and how honest its probabilities."""

import copy
import json
import pickle
import re
from dataclasses import asdict

import fakes
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import featx
from featx.errors import ModelFileError, OptionError
from featx.evaluation.splits import Splits
from featx.evaluation.validation import CrossValidation
from featx.learning.learner import Learner
from featx.models import model_file
from featx.models.familiarity import learn_familiarity
from featx.models.rejection import UNSURE, Rejection, choose_rejection

CLASSES = ("ant", "bee", "cat", "dog")


def nature(n, random, spread=0.2):
    """Draw the true probabilities of classes for n images, and a class of each."""
    truth = random.dirichlet(np.full(len(CLASSES), spread), n).clip(1e-5)
    truth /= truth.sum(axis=1, keepdims=True)
    y = (truth.cumsum(axis=1) > random.random(n)[:, None]).argmax(axis=1)
    return truth, y


def rash(truth, times=3.0):
    """Make probabilities too sure: a temperature of `times` makes them true again."""
    powers = truth**times
    return powers / powers.sum(axis=1, keepdims=True)


def validation(probabilities, y, groups=None, repeats=1) -> CrossValidation:
    """Pretend that cross-validation gave these probabilities."""
    classes, n = np.array(CLASSES), len(y)
    groups = np.arange(n) if groups is None else groups
    predicted = classes[probabilities.argmax(axis=1)]
    return CrossValidation(
        paths=np.array([f"{i}.jpg" for i in range(n)], dtype=object),
        y_true=classes[y],
        y_pred=predicted,
        classes=CLASSES,
        probabilities=probabilities,
        all_predictions=np.tile(predicted, (repeats, 1)),
        all_probabilities=np.tile(probabilities, (repeats, 1, 1)),
        splits=Splits((), 5, repeats, groups),
        fit_seconds=0.0,
        predict_seconds=0.0,
    )


# ---------------------------------------------------------------- what is known to be true


@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_answers_to_new_images_are_as_precise_as_was_asked(n, target):
    random = np.random.default_rng(0)
    new, y_new = nature(20_000, random)
    precisions = []
    for _ in range(60):
        truth, y = nature(n, random)
        try:
            rejection = choose_rejection(validation(rash(truth), y), target)
        except OptionError:
            continue
        shares = rejection.calibrate(rash(new))
        answered = rejection.answers(shares.max(axis=1))
        precisions.append(np.mean(shares.argmax(axis=1)[answered] == y_new[answered]))
    assert len(precisions) > 20
    assert target <= np.mean(precisions) < target + 0.06
    assert np.sum(np.array(precisions) < target) / 60 < 0.22, "one standard error: some 16 %"


def test_calibration_finds_the_temperature_that_makes_probabilities_true():
    truth, y = nature(3000, np.random.default_rng(1))
    rejection = choose_rejection(validation(rash(truth), y), 0.8)
    assert rejection.temperature == pytest.approx(3, rel=0.15)
    assert np.abs(rejection.calibrate(rash(truth)) - truth).max() < 0.05


def test_the_votes_of_neighbours_are_calibrated_though_some_are_zero():
    random = np.random.default_rng(2)
    truth, y = nature(400, random)
    votes = np.stack([random.multinomial(5, each) for each in truth]) / 5
    rejection = choose_rejection(validation(votes, y), 0.8)
    right = np.mean(votes.argmax(axis=1) == y)
    calibrated = rejection.calibrate(votes).max(axis=1).mean()
    assert abs(calibrated - right) < 0.08 < abs(votes.max(axis=1).mean() - right)


def test_equal_certainties_are_answered_or_rejected_together():
    probabilities = np.array([[0.97, 0.01, 0.01, 0.01]] * 50 + [[0.4, 0.2, 0.2, 0.2]] * 50)
    y = np.array([0] * 48 + [1] * 2 + [0] * 20 + [2] * 30)
    rejection = choose_rejection(validation(probabilities, y), 0.9)
    assert rejection.coverage.value == 0.5
    assert rejection.precision.value == 0.96
    again = rejection.calibrate(probabilities[::-1].copy()).max(axis=1)
    assert rejection.answers(again).sum() == 50
    assert rejection.answers(again - 1e-7).sum() == 50, "a rounding error has rejected images"


def test_repeats_and_copies_of_a_photograph_are_no_further_evidence():
    truth, y = nature(60, np.random.default_rng(3))
    once = choose_rejection(validation(truth, y), 0.8)
    assert choose_rejection(validation(truth, y, repeats=4), 0.8) == once
    copies = np.repeat(np.arange(15), 4)
    with pytest.raises(OptionError, match="out of reach with these 60 images"):
        choose_rejection(validation(truth, y, copies), 0.93)
    assert choose_rejection(validation(truth, y), 0.93).target == 0.93


# ---------------------------------------------------------------- what cannot be promised


def test_what_is_out_of_reach_is_told_with_what_can_be_reached():
    truth, y = nature(60, np.random.default_rng(4))
    with pytest.raises(OptionError) as caught:
        choose_rejection(validation(truth, y), 0.99)
    said = re.fullmatch(
        r"a precision of 0\.99 is out of reach with these 60 images: the surest answers, \d+ % of "
        r"the images, reach (0\.\d+); ask for no more, add images, or train without reject",
        str(caught.value),
    )
    best = float(said[1])
    assert choose_rejection(validation(truth, y), best).target == best
    with pytest.raises(OptionError):
        choose_rejection(validation(truth, y), best + 0.01)


def test_a_few_lucky_images_promise_nothing():
    _, y = nature(9, np.random.default_rng(5))
    with pytest.raises(OptionError, match=r"with these 9 images: too few answers are right"):
        choose_rejection(validation(np.eye(4)[y], y), 0.5)


@pytest.mark.parametrize("reject", [0, 1, 0.0, 1.0, 95, -0.5, "0.9", True, float("nan")], ids=repr)
def test_a_precision_that_cannot_be_is_told_before_images_are_embedded(photos, fake_engine, reject):
    with pytest.raises(OptionError, match=f"reject is {reject!r}: expected the precision"):
        featx.train(photos, "knn", reject=reject)
    assert fake_engine.embedded == 0


def test_a_classifier_without_probabilities_cannot_reject(photos, fake_engine, cloud):
    with pytest.raises(OptionError, match="to reject takes probabilities, which"):
        featx.train(photos, SVC(), reject=0.8)
    assert fake_engine.embedded == 0
    with pytest.raises(OptionError, match="to reject takes probabilities, which"):
        featx.train(cloud(each=2), "svm", reject=0.8)  # of some classes, folds have one image


# ---------------------------------------------------------------- a model that may be unsure


@pytest.fixture
def features(cloud):
    return cloud(each=40, distance=0.4)


@pytest.fixture
def model(features):
    return featx.train(features, LogisticRegression(C=0.01), reject=0.85)


def test_a_model_answers_what_it_is_sure_of_and_is_unsure_of_the_rest(model, cloud):
    new = cloud(each=60, distance=0.4, seed=1)
    labels = model.predict(new)
    unsure = labels == UNSURE
    assert 20 < unsure.sum() < 160
    guesses = model.predict(new, answer_all=True)
    assert set(guesses) == set(model.classes)
    assert labels[~unsure].tolist() == guesses[~unsure].tolist()
    certainty = model.predict_proba(new).max(axis=1)
    unsure &= ~model.predictions(new).unfamiliar
    assert certainty[labels != UNSURE].min() >= model.rejection.threshold > certainty[unsure].max()


def test_calibration_changes_no_class(model, features):
    raw = model.pipeline.predict_proba(features.X)
    probabilities = model.predict_proba(features)
    assert not np.allclose(probabilities, raw)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(raw)))
    assert probabilities.argmax(axis=1).tolist() == raw.argmax(axis=1).tolist()


def test_an_evaluation_counts_answers_beside_the_accuracy(model, cloud):
    new = cloud(each=60, distance=0.4, seed=1)
    result = model.evaluate(new)
    labels = model.predict(new)
    answered = labels != UNSURE
    assert result.answered.tolist() == answered.tolist()
    assert result.accuracy == np.mean(result.y_true == model.predict(new, answer_all=True))
    assert result.coverage.value == answered.mean()
    assert result.precision.value == np.mean(labels[answered] == new.y[answered])
    assert result.precision.value > result.accuracy
    assert result.precision.low < result.precision.value < result.precision.high
    assert result.coverage.low < result.coverage.value < result.coverage.high
    assert np.array_equal(result.certainty, model.predict_proba(new).max(axis=1))


def test_a_class_that_the_model_never_met_takes_no_share_of_its_certainty(model, features):
    renamed = fakes.as_features(features.X, ["aardvark" if y == "ant" else y for y in features.y])
    result = model.evaluate(renamed)
    assert result.classes == ("aardvark", "ant", "bee", "cat")
    assert np.array_equal(result.probabilities[:, 1:], model.predict_proba(features))
    assert result.answered.tolist() == (model.predict(features) != UNSURE).tolist()


@pytest.mark.usefixtures("fake_engine")
def test_unsure_is_neither_a_class_nor_an_unreadable_file(photos, new_photos):
    (photos / "red").rename(photos / "unsure")
    model = featx.train(photos, "logistic", reject=0.9)
    (new_photos / "blue" / "0.jpg").write_text("no picture")
    purple = fakes.draw(new_photos / "purple.png", (110, 60, 120))
    labels = dict(
        zip(featx.ImageFolder.of(new_photos).paths, model.predict(new_photos), strict=True)
    )
    assert labels[str(purple)] is featx.UNSURE
    assert labels[str(new_photos / "blue" / "0.jpg")] is None
    assert labels[str(new_photos / "red" / "100.png")] == "unsure" != featx.UNSURE
    assert model.predict(purple, answer_all=True).tolist() != [featx.UNSURE]


def test_unsure_stays_itself_when_it_is_copied():
    assert pickle.loads(pickle.dumps(UNSURE)) is copy.deepcopy(UNSURE) is UNSURE
    assert str(UNSURE) == "unsure"


# ---------------------------------------------------------------- one cross-validation is enough


def test_a_validation_that_is_there_is_not_computed_again(features, monkeypatch):
    given = featx.cross_validate(features, "knn")
    expected = featx.train(features, "knn", reject=0.7).rejection
    fits = []
    fit = KNeighborsClassifier.fit
    monkeypatch.setattr(
        KNeighborsClassifier, "fit", lambda self, X, y: fits.append(len(X)) or fit(self, X, y)
    )
    model = featx.train(features, "knn", reject=0.7, validation=given)
    assert model.rejection == expected
    assert fits == [len(features)], "the final one"
    assert model.training.validation is given
    both = featx.train(features, "knn", reject=0.7, validation=True)
    assert both.rejection == expected
    assert len(fits) == 1 + len(given.splits.parts) + 1, "one cross-validation serves both"


def test_a_validation_of_other_images_is_told(features, cloud):
    with pytest.raises(OptionError, match="the validation is of other images"):
        featx.train(features, "knn", reject=0.7, validation=featx.cross_validate(cloud(), "knn"))


def test_a_search_is_settled_before_its_classifier_is_judged(features):
    search = GridSearchCV(LogisticRegression(), {"C": [1e-3, 1.0]}, cv=2)
    own = make_pipeline(StandardScaler(), search)
    fitted = clone(own).fit(features.X, features.y)
    final = Learner.of(own).without_search(fitted)
    assert isinstance(final.given[-1], LogisticRegression)
    assert final.given[-1].get_params()["C"] == fitted[-1].best_params_["C"]
    search = GridSearchCV(SVC(), {"C": [1.0]}).fit(features.X, features.y)
    assert isinstance(Learner.of(search).without_search(search).given, SVC)
    knn = Learner.of("knn")
    assert knn.without_search(knn.build().fit(features.X, features.y)) is knn
    given = featx.cross_validate(features, own)  # with a search in every fold
    _, familiar = learn_familiarity(features)
    expected = choose_rejection(featx.cross_validate(features, final), 0.8, familiar)
    for each in (None, given):
        assert featx.train(features, own, reject=0.8, validation=each).rejection == expected


# ---------------------------------------------------------------- saved and loaded


def test_a_loaded_model_rejects_as_the_saved_one_did(model, cloud, tmp_path):
    new = cloud(each=60, distance=0.4, seed=1)
    model.save(tmp_path / "m.featx")
    loaded = featx.load(tmp_path / "m.featx")
    assert loaded.rejection == model.rejection
    assert loaded.predict(new).tolist() == model.predict(new).tolist()
    assert np.array_equal(loaded.predict_proba(new), model.predict_proba(new))


def test_a_file_that_older_versions_would_misread_has_a_format_of_its_own(model, cloud, tmp_path):
    plain = featx.train(cloud(), "centroid")
    for trained, expected in ((model, 2), (plain, 1)):
        known = {"rejection": trained.rejection, "familiarity": trained.familiarity}
        each = featx.ImageClassifier(trained.pipeline, trained.recipe, **known)
        each.save(tmp_path / "m.featx")
        assert fakes.about(tmp_path / "m.featx")["format"] == 3
        each.familiarity = None
        each.save(tmp_path / "m.featx")
        assert fakes.about(tmp_path / "m.featx")["format"] == expected
        trained.save(tmp_path / "m.featx")
        assert fakes.about(tmp_path / "m.featx")["format"] == 5


def test_a_file_of_format_1_is_a_model_that_answers_all(cloud, tmp_path):
    features = cloud()
    path = tmp_path / "old.featx"
    featx.train(features, "centroid").save(path)
    old = {
        "format": 1,
        "recipe": features.recipe.to_dict(),
        "weights": "imagenet",
        "classes": ["ant", "bee", "cat"],
        "scikit-learn": "1.7.0",
    }
    fakes.rewrite(path, old)
    loaded = featx.load(path)
    assert loaded.rejection is None
    assert set(loaded.predict(features)) == set(loaded.classes)
    assert loaded.evaluate(features).coverage.value == 1


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"temperature": "1"},
        {"temperature": 1e300},
        {"threshold": float("nan")},
        {"threshold": 1.5},
        {"threshold": True},
        {"threshold": None},
        {"target": -0.1},
        {"precision": 0.9},
        {"precision": {"value": 0.9, "low": 0.8}},
        {"coverage": {"value": 0.9, "low": 0.8, "high": 7}},
    ],
    ids=str,
)
def test_a_rejection_that_cannot_be_is_a_damaged_file(model, tmp_path, change):
    path = tmp_path / "m.featx"
    model.save(path)
    document = fakes.about(path)
    fakes.rewrite(path, document | {"rejection": document["rejection"] | change})
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)
    nothing = {name: document[name] for name in ("recipe", "weights", "classes")}
    fakes.rewrite(path, nothing | {"format": 2})
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)


def test_a_file_that_rejects_without_probabilities_is_damaged(features, model, tmp_path):
    path = tmp_path / "m.featx"
    pipeline = SVC().fit(features.X, features.y)
    stored = model_file.StoredModel(pipeline, model.recipe, "imagenet", 0, model.rejection)
    model_file.write(path, stored)
    with pytest.raises(ModelFileError, match="it rejects, but gives no probabilities"):
        featx.load(path)


def test_a_rejection_says_what_to_expect(model):
    rejection = model.rejection
    assert Rejection.from_file(json.loads(json.dumps(asdict(rejection)))) == rejection
    assert str(rejection) == (
        "answers where a precision of 0.85 is to be expected, from a certainty of "
        f"{100 * rejection.threshold:.1f} % up: cross-validated precision {rejection.precision}, "
        f"coverage {rejection.coverage}"
    )
