"""Training within some memory measures and saves what it does without a limit."""

import dataclasses

import fakes
import numpy as np
import pytest

import featx
from featx.errors import ImageSourceError, ImageSourceWarning, OptionError
from featx.evaluation import fits, validation
from featx.features import blocks, matrix
from featx.learning import memory, out_of_core
from featx.models import inference

CLASSES = 4
OF_CLASS = 100
COLUMNS = 24
MEMORY = "250kB"  # all at once would take 500


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
    """Let what is taken beside the features be small, so that small features are large ones."""
    monkeypatch.setattr(memory, "BASE_BYTES", 0)
    monkeypatch.setattr(memory, "FILE_BYTES", 10)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4 * COLUMNS * 40)
    monkeypatch.setattr(out_of_core, "BLOCK_BYTES", 4 * COLUMNS * 40)


def features(seed=0, folder="photos", views=0):
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(5).gamma(2, size=(CLASSES, COLUMNS))
    y = np.repeat([f"class {number}" for number in range(CLASSES)], OF_CLASS)
    X, *others = (
        (np.repeat(centres, OF_CLASS, axis=0) * random.lognormal(0, 0.4, (len(y), COLUMNS)))
        for _ in range(1 + views)
    )
    made = fakes.as_features(X, y.tolist())
    paths = [f"{folder}/{name}/{chr(97 + row % 26)}{row}.jpg" for row, name in enumerate(y)]
    return dataclasses.replace(
        made, paths=np.array(paths, object), views=tuple(each.astype("f4") for each in others)
    )


@pytest.fixture
def mapped(tmp_path):
    """Return features as a file of them gives them: a memory map."""
    features().save(tmp_path / "learned.npy")
    return featx.Features.load(tmp_path / "learned.npy")


def test_training_by_blocks_is_training(mapped):
    whole = featx.train(features(), validation=True, test=features(1, "new"))
    model = featx.train(mapped, validation=True, test=features(1, "new"), memory=MEMORY)
    fit = model.training.fit
    assert fit.endswith("discriminants from 400 images, regression from all of them")
    assert f"learned {fit}" in model.training.summary
    assert model.training.to_dict()["fit"] == fit
    new = features(2)
    assert model.predict_proba(new) == pytest.approx(whole.predict_proba(new), abs=1e-4)
    validation = model.training.validation
    assert (validation.splits.folds, validation.splits.repeats) == (5, 1)
    assert validation.accuracy == pytest.approx(whole.training.validation.accuracy, abs=0.02)
    assert model.training.test.accuracy == whole.training.test.accuracy
    assert model.training.next_steps is not None
    assert model.familiarity.threshold == pytest.approx(whole.familiarity.threshold, rel=1e-3)
    assert whole.training.fit is None
    assert "fit" not in whole.training.to_dict()


def test_folds_by_blocks_are_the_ordinary_folds(mapped):
    expected = featx.cross_validate(features(), repeats=2, groups=False)
    found = featx.cross_validate(mapped, repeats=2, groups=False, memory=MEMORY)
    assert found.all_probabilities == pytest.approx(expected.all_probabilities, abs=1e-4)
    assert found.y_pred.tolist() == expected.y_pred.tolist()
    assert found.suspects.path.tolist() == expected.suspects.path.tolist()


def test_a_model_that_rejects_is_calibrated_by_blocks(mapped):
    whole = featx.train(features(), reject=0.9, validation=False)
    model = featx.train(mapped, reject=0.9, memory=MEMORY)
    assert model.rejection.temperature == pytest.approx(whole.rejection.temperature, rel=0.3)
    assert model.rejection.coverage.value == pytest.approx(whole.rejection.coverage.value, abs=0.1)


def test_views_are_learned_from_and_predicted_with_by_blocks():
    given = features(views=1)
    whole = featx.train(given)
    model = featx.train(given, memory=MEMORY)
    assert "discriminants" in model.training.fit
    assert model.views == 1
    new = features(2, views=1)
    assert model.predict_proba(new) == pytest.approx(whole.predict_proba(new), abs=1e-4)


def test_a_model_learned_by_blocks_is_saved_and_loaded(mapped, tmp_path):
    for name in ("logistic", "centroid", "pca-mlp"):
        model = featx.train(mapped, name, memory=MEMORY)
        assert model.training.fit.startswith("within"), name
        model.save(tmp_path / "m.featx")
        loaded = featx.load(tmp_path / "m.featx")
        assert np.array_equal(loaded.predict_proba(features(2)), model.predict_proba(features(2)))


def test_a_classifier_that_needs_all_rows_learns_from_a_sample(mapped):
    model = featx.train(mapped, "knn", validation=True, memory="150kB")
    training = model.training
    n = len(training.features)
    assert training.fit == f"within 150.0 kB: from a sample of {n} of 400 images"
    assert 100 < n < 400
    assert len(training.validation.paths) == n
    assert set(training.features.paths) < set(mapped.paths)


def test_folds_of_a_sample_are_not_fitted_side_by_side(mapped, monkeypatch):
    asked = []

    def fit_all(tasks, *, n_jobs=None, progress=None):
        asked.append(n_jobs)
        return fits.fit_all(tasks, n_jobs=1, progress=progress)

    monkeypatch.setattr(validation, "fit_all", fit_all)
    featx.cross_validate(mapped, "knn", memory="150kB", n_jobs=4)
    featx.train(mapped, "knn", memory="150kB", validation=True)
    featx.train(mapped, "knn", memory="150kB", reject=0.8)
    assert asked == [1, 1, 1]


def test_exact_copies_are_kept_together_and_told(mapped):
    given = features()
    given.X[7] = given.X[1]
    given.X[150] = given.X[3]
    test = features(1, "new")
    test.X[5] = given.X[20]
    with pytest.warns(ImageSourceWarning, match="a contradiction, 1 picture in several classes"):
        model = featx.train(given, validation=True, test=test, memory=MEMORY)
    validation = model.training.validation
    assert validation.twins == (
        (given.paths[1], given.paths[7]),
        (given.paths[3], given.paths[150]),
    )
    assert model.training.test.leaks == {test.paths[5]: given.paths[20]}


def test_a_test_that_does_not_fit_beside_a_sample_is_looked_at_for_exact_copies(mapped):
    test, sample = features(1, "new"), featx.train(mapped, "knn", memory="150kB").training.features
    exactly, nearly = 0, 1  # of class 0, as the first rows of the sample are
    test.X[exactly], test.X[nearly] = sample.X[3], sample.X[4] * (1 + 1e-5)
    found = {
        memory: set(featx.train(mapped, "knn", memory=memory, test=test).training.test.leaks)
        for memory in ("150kB", "2MB")
    }
    assert found["150kB"] == {test.paths[exactly]}
    assert found["2MB"] == {test.paths[exactly], test.paths[nearly]}


@pytest.mark.parametrize("name", ["logistic", "centroid", "pca-mlp"])
def test_folds_that_leave_one_class_to_learn_from_predict_it(name):
    some = features().select(np.arange(2 * OF_CLASS))
    groups = [*map(str, range(OF_CLASS)), *["one"] * OF_CLASS]
    whole = featx.cross_validate(some, name, groups=groups, repeats=1)
    found = featx.cross_validate(some, name, groups=groups, repeats=1, memory=MEMORY)
    assert found.y_pred.tolist() == whole.y_pred.tolist()
    assert not (found.y_pred == "class 1").any()


@pytest.mark.parametrize("memory", [None, MEMORY, "2MB"])
@pytest.mark.parametrize("name", ["logistic", "centroid"])
def test_values_that_are_no_numbers_are_told_with_their_image(memory, name):
    given = features()
    given.X[7, 3] = np.nan
    said = rf"^row 7 of the features \({given.paths[7]}\) has values that are no finite numbers"
    with pytest.raises(ImageSourceError, match=said):
        featx.train(given, name, memory=memory)
    with pytest.raises(ImageSourceError, match=said):
        featx.cross_validate(given, name, memory=memory, n_jobs=1)


def test_a_validation_of_all_images_is_refused_for_a_sample(mapped):
    validation = featx.cross_validate(mapped, "knn", repeats=1)
    with pytest.raises(OptionError, match=r"of other images, 400: expected one of the .* sample"):
        featx.train(mapped, "knn", memory="150kB", validation=validation, reject=0.9)


def test_declared_groups_are_kept_together_by_blocks(mapped):
    groups = [f"group {row // 4}" for row in range(len(mapped))]
    model = featx.train(mapped, groups=groups, validation=True, memory=MEMORY)
    splits = model.training.validation.splits
    assert splits.grouping.n_groups == 100
    for train, test in splits.parts:
        assert not set(train // 4) & set(test // 4)


@pytest.mark.parametrize("views", [0, 1])
def test_large_features_are_predicted_by_blocks(monkeypatch, views):
    model, new = featx.train(features(views=views), reject=0.9), features(2, views=views)
    expected = model.predictions(new).to_frame()
    monkeypatch.setattr(inference, "LARGE_BYTES", 0)
    found = model.predictions(new).to_frame()
    assert found.label.tolist() == expected.label.tolist()
    assert found.probability.tolist() == pytest.approx(expected.probability.tolist(), abs=1e-5)
    judged = model.evaluate(new)
    assert judged.y_pred.tolist() == model.predict(new, answer_all=True).tolist()


def test_a_folder_of_features_is_learned_from_part_by_part(tmp_path, monkeypatch):
    features().save(tmp_path / "learned.features")
    monkeypatch.setattr(matrix, "MEMORY_MAP_BYTES", 0)
    opened = featx.Features.load(tmp_path / "learned.features")
    assert not isinstance(opened.X, np.ndarray)
    whole = featx.train(features())
    model = featx.train(opened, validation=True, memory=MEMORY)
    assert "discriminants from 400 images" in model.training.fit
    new = features(2)
    assert model.predict_proba(new) == pytest.approx(whole.predict_proba(new), abs=1e-4)


def test_too_little_memory_is_told_before_any_work(mapped):
    with pytest.raises(OptionError, match=r"^memory of 5\.0 kB is too little to learn 4 classes"):
        featx.train(mapped, memory=5000)
    with pytest.raises(OptionError, match=r"^memory is 'all'"):
        featx.train("no folder", memory="all")
