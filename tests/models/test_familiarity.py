"""A model tells pictures that are unlike its training pictures."""

import io
import json
import zipfile
from dataclasses import replace

import fakes
import numpy as np
import pytest

import featx
from featx.errors import ModelFileError
from featx.models import familiarity
from featx.models.familiarity import Familiarity, learn_familiarity
from featx.models.model_file import PROTOTYPES

ELSEWHERE = ("dog", "eel", "fox")


def vectors(n, seed, classes=("ant", "bee", "cat"), width=64, spread=0.8):
    """Draw features as networks give them, none below 0: each class has columns of its own."""
    random = np.random.default_rng(seed)
    labels = [name for name in classes for _ in range(n)]
    centres = {
        name: np.random.default_rng(sum(name.encode())).gamma(0.4, size=width) for name in classes
    }
    X = [centres[name] * random.lognormal(0, spread, width) for name in labels]
    return fakes.as_features(np.array(X), labels)


def strangers(n=40, **known):
    return vectors(n, 9, classes=ELSEWHERE, **known).X


# ---------------------------------------------------------------- what is told


@pytest.mark.parametrize("each", [4, 12, 60])
def test_one_in_twenty_familiar_pictures_is_refused_and_most_strangers_are(each):
    refused, caught = [], []
    for seed in range(8):
        familiarity, _ = learn_familiarity(vectors(each, seed))
        refused.append(np.mean(familiarity.unfamiliarity(vectors(50, 100 + seed).X) > 1))
        caught.append(np.mean(familiarity.unfamiliarity(strangers()) > 1))
    assert 0.01 < np.mean(refused) < 0.09
    assert np.mean(caught) > 0.95


def test_training_pictures_are_judged_without_themselves():
    features = vectors(60, 0)
    _, familiar = learn_familiarity(features)
    assert np.mean(~familiar) == pytest.approx(0.05, abs=0.01)


def test_two_pictures_of_each_class_are_enough():
    familiarity, familiar = learn_familiarity(vectors(2, 0))
    assert len(familiarity.prototypes) == 3
    assert familiar.all()
    assert np.mean(familiarity.unfamiliarity(strangers()) > 1) > 0.5


def test_copies_count_once():
    features = vectors(8, 0)
    copied = features.select([*range(24), *[0] * 30])
    once, _ = learn_familiarity(features)
    again, familiar = learn_familiarity(copied)
    assert np.array_equal(once.prototypes, again.prototypes)
    assert once.threshold == again.threshold
    assert familiar.shape == (54,)


def test_pictures_of_one_group_do_not_make_each_other_familiar():
    """Each of six objects of a class is on five pictures, which differ little."""
    objects = vectors(6, 0)
    random = np.random.default_rng(1)
    X = np.repeat(objects.X, 5, axis=0) * random.lognormal(0, 0.3, (90, 64))
    features = fakes.as_features(X, np.repeat(objects.y, 5).tolist())
    new = vectors(50, 100).X
    alone, _ = learn_familiarity(features)
    grouped, _ = learn_familiarity(features, np.repeat(np.arange(18), 5))
    assert np.mean(grouped.unfamiliarity(new) > 1) < 0.15
    assert np.mean(alone.unfamiliarity(new) > 1) > 0.3


def test_pictures_are_judged_in_chunks_as_all_at_once(monkeypatch):
    features, groups = vectors(40, 0), np.arange(120) % 17
    whole, familiar = learn_familiarity(features, groups)
    monkeypatch.setattr(familiarity, "CHUNK", 7)
    found, the_same = learn_familiarity(features, groups)
    assert np.array_equal(found.prototypes, whole.prototypes)
    assert found.threshold == pytest.approx(whole.threshold, rel=1e-5)
    assert the_same.tolist() == familiar.tolist()


def test_with_little_room_fewer_pictures_of_each_class_are_looked_at():
    features = vectors(60, 0)
    whole, _ = learn_familiarity(features)
    ample, _ = learn_familiarity(features, room=10**6)
    little, _ = learn_familiarity(features, room=3 * 12 * 64 * 16)
    assert np.array_equal(ample.prototypes, whole.prototypes)
    assert (len(whole.prototypes), len(little.prototypes)) == (24, 12)
    new = vectors(50, 100).X
    assert np.mean(little.unfamiliarity(new) > 1) < 0.2
    assert np.mean(little.unfamiliarity(strangers()) > 1) > 0.9


def test_of_copies_of_one_picture_anything_else_is_unfamiliar():
    same = vectors(4, 0).select([*[0] * 4, *[5] * 4])
    familiarity, familiar = learn_familiarity(same)
    assert familiar.all()
    assert (familiarity.unfamiliarity(same.X) < 1).all()
    assert (familiarity.unfamiliarity(vectors(4, 1).X) > 1).all()


def test_the_scale_of_the_features_does_not_matter():
    features = vectors(8, 0)
    larger = replace(features, X=1000 * features.X)
    one, other = learn_familiarity(features)[0], learn_familiarity(larger)[0]
    new = strangers()
    assert one.unfamiliarity(new) == pytest.approx(other.unfamiliarity(1000 * new), rel=1e-3)


def test_wide_features_are_kept_in_few_columns():
    familiarity, _ = learn_familiarity(vectors(8, 0, width=10_000))
    assert familiarity.prototypes.shape[1] == 4096
    assert familiarity.n_columns == 10_000
    assert np.mean(familiarity.unfamiliarity(strangers(width=10_000)) > 1) > 0.95


def test_large_classes_are_kept_in_few_prototypes():
    familiarity, familiar = learn_familiarity(vectors(4000, 0, width=16))
    assert len(familiarity.prototypes) <= 24
    assert np.mean(~familiar) == pytest.approx(0.05, abs=0.03)


def test_features_of_zeros_are_no_obstacle():
    features = vectors(6, 0)
    features.X[0] = 0
    familiarity, _ = learn_familiarity(features)
    assert np.isfinite(familiarity.unfamiliarity(np.zeros((2, 64)))).all()
    again = Familiarity.from_file(familiarity.to_dict(), familiarity.prototypes)
    assert again.threshold == familiarity.threshold


# ---------------------------------------------------------------- in a model


@pytest.fixture
def model():
    return featx.train(vectors(20, 0), "logistic")


@pytest.fixture
def new():
    """Ten familiar pictures of each class, and as many of other things under the same labels."""
    familiar, strange = vectors(10, 1), strangers(10)
    return fakes.as_features(np.concatenate([familiar.X, strange]), [*familiar.y] * 2)


def test_labels_stay_and_strangers_are_marked(model, new):
    predictions = model.predictions(new)
    assert predictions.best_guess.tolist() == model.predict(new).tolist()
    assert predictions.unfamiliar.tolist() == (predictions.unfamiliarity > 1).tolist()
    assert predictions.unfamiliar[:30].sum() <= 5
    assert predictions.unfamiliar[30:].sum() >= 28
    row = predictions.rows[-1]
    assert row["label"] == predictions.best_guess[-1]
    assert (row["unfamiliar"], row["unfamiliarity"]) == (True, predictions.unfamiliarity[-1])
    assert predictions.cells[-1][1] == f"{row['label']} (unfamiliar)"
    strange = predictions.n_unfamiliar
    assert predictions.summary.endswith(
        f"; {strange} of these unfamiliar, unlike the training pictures"
    )
    assert predictions.to_dict()["n_unfamiliar"] == strange


def test_a_model_that_rejects_does_not_answer_strangers(new):
    model = featx.train(vectors(20, 0), "logistic", reject=0.9)
    predictions = model.predictions(new)
    strange = predictions.unfamiliar
    assert not (predictions.answered & strange).any()
    assert (model.predict(new)[strange] == featx.UNSURE).all()
    assert predictions.rows[-1]["label"] is None
    guess = predictions.rows[-1]["best_guess"]
    assert predictions.cells[-1][1] == f"unfamiliar ({guess}?)"
    assert f"{strange.sum()} unfamiliar" in predictions.summary
    assert predictions.n_unsure + strange.sum() + sum(predictions.counts.values()) == 60
    every = model.predictions(new, answer_all=True)
    assert every.answered.all()
    assert every.unfamiliar.tolist() == strange.tolist()
    assert set(model.predict(new, answer_all=True)) <= set(model.classes)


def test_what_a_model_promises_counts_the_pictures_that_it_finds_unfamiliar():
    features = vectors(60, 0)
    model = featx.train(features, "logistic", reject=0.9)
    _, familiar = learn_familiarity(features)
    assert model.rejection.coverage.value <= familiar.mean()
    new = vectors(200, 5)
    assert model.evaluate(new).coverage.value == pytest.approx(
        model.rejection.coverage.value, abs=0.05
    )


def test_an_evaluation_counts_them_and_judges_the_others(model, new):
    result = model.evaluate(new)
    strange = model.predictions(new).unfamiliar
    assert result.unfamiliar.tolist() == strange.tolist()
    assert result.n_unfamiliar == result.to_dict()["n_unfamiliar"] == strange.sum()
    [note] = [note for note in result.notes if note.startswith("unfamiliar")]
    others = result.without(result.paths[strange].tolist())
    assert note == (
        f"unfamiliar, unlike the training images: {strange.sum()} of 60 images "
        f"({round(100 * strange.mean())} %, where of images like those 5 % are); accuracy of the "
        f"others: {others.interval}"
    )
    told = result.summary.split("\n")[0]
    assert told.endswith(f"right, {strange.sum()} unfamiliar")
    familiar = model.evaluate(vectors(10, 1))
    assert familiar.n_unfamiliar <= 3
    assert not [note for note in familiar.notes if note.startswith("unfamiliar")], "it is chance"
    assert len(others.unfamiliar) == 60 - strange.sum()


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.filterwarnings("ignore:the weights of")
@pytest.mark.parametrize(
    "options", [{"views": 2}, {"backbone": "resnet50+xception", "weights": "random"}], ids=str
)
def test_views_and_joined_networks_are_no_obstacle(photos, new_photos, tmp_path, options):
    model = featx.train(photos, "knn", **options)
    black = fakes.draw(new_photos / "zebra.png", (5, 5, 5))
    model.save(tmp_path / "m.featx")
    loaded = featx.load(tmp_path / "m.featx")
    assert loaded.predictions(black).unfamiliar.tolist() == [True]
    expected = model.predictions(new_photos).unfamiliarity
    assert loaded.predictions(new_photos).unfamiliarity.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("fake_engine")
def test_pixels_alone_tell_nothing(photos, tmp_path):
    model = featx.train(photos, "knn", backbone="pixels", input_size=8)
    assert model.familiarity is None
    predictions = model.predictions(photos)
    assert predictions.unfamiliar is None
    assert "unfamiliar" not in predictions.columns
    model.save(tmp_path / "m.featx")
    assert "familiarity" not in fakes.about(tmp_path / "m.featx")


# ---------------------------------------------------------------- in a file


def test_a_loaded_model_tells_the_same_to_the_bit(model, new, tmp_path):
    model.save(tmp_path / "m.featx")
    loaded = featx.load(tmp_path / "m.featx")
    assert loaded.familiarity.threshold == model.familiarity.threshold
    assert loaded.familiarity.prototypes.tobytes() == model.familiarity.prototypes.tobytes()
    expected = model.predictions(new).unfamiliarity
    assert loaded.predictions(new).unfamiliarity.tobytes() == expected.tobytes()
    loaded.save(tmp_path / "again.featx")
    again = featx.load(tmp_path / "again.featx").predictions(new)
    assert again.unfamiliarity.tobytes() == expected.tobytes()


def test_a_file_of_an_older_format_never_says_unfamiliar(model, new, tmp_path):
    model.save(tmp_path / "m.featx")
    about = fakes.about(tmp_path / "m.featx")
    del about["familiarity"], about["card"]
    with zipfile.ZipFile(tmp_path / "m.featx") as archive:
        pipeline = archive.read("pipeline.skops")
    with zipfile.ZipFile(tmp_path / "m.featx", "w") as archive:
        archive.writestr("model.json", json.dumps(about | {"format": 1}))
        archive.writestr("pipeline.skops", pipeline)
    loaded = featx.load(tmp_path / "m.featx")
    assert loaded.familiarity is None
    predictions = loaded.predictions(new)
    assert predictions.unfamiliarity is predictions.unfamiliar is None
    assert predictions.columns == ["path", "label", "probability", "outcome", "reason"]
    assert predictions.best_guess.tolist() == model.predict(new).tolist()
    assert loaded.evaluate(new).unfamiliar is None


def saved_array(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0},
        {"threshold": 0.0},
        {"threshold": float("nan")},
        {"threshold": float("inf")},
        {"threshold": "0.2"},
        {"threshold": True},
        {"n_columns": 63},
        {"n_columns": 10**30},
        {"n_columns": 64.0},
        {"n_columns": None},
        {"n_prototypes": 1},
    ],
    ids=str,
)
def test_numbers_that_cannot_be_are_a_damaged_file(model, tmp_path, change):
    path = tmp_path / "m.featx"
    model.save(path)
    about = fakes.about(path)
    fakes.rewrite(path, about | {"familiarity": about["familiarity"] | change})
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)


PROTOTYPE = np.eye(6, 64, dtype=np.float16)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        saved_array(PROTOTYPE.astype(float)),
        saved_array(PROTOTYPE[:, :63]),
        saved_array(PROTOTYPE[0]),
        saved_array(PROTOTYPE[:0]),
        saved_array(2 * PROTOTYPE),
        saved_array(np.full_like(PROTOTYPE, np.nan)),
        saved_array(np.full_like(PROTOTYPE, np.inf)),
        saved_array(PROTOTYPE)[:-1],
        saved_array(PROTOTYPE).replace(b"(6, 64)", b"(6, 10**9)"),
        saved_array(PROTOTYPE).replace(b"<f2", b"|O2"),
    ],
)
def test_prototypes_that_cannot_be_are_a_damaged_file(model, tmp_path, content):
    path = tmp_path / "m.featx"
    model.save(path)
    about = fakes.about(path)
    assert about["familiarity"]["n_prototypes"] == 18
    known = about["familiarity"] | {"n_prototypes": 6}
    fakes.rewrite(path, about | {"familiarity": known}, **{PROTOTYPES: saved_array(PROTOTYPE)})
    assert featx.load(path).familiarity.prototypes.shape == (6, 64)
    fakes.rewrite(path, about | {"familiarity": known}, **{PROTOTYPES: content})
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)


def test_a_part_that_is_missing_is_a_damaged_file(model, tmp_path):
    path = tmp_path / "m.featx"
    model.save(path)
    about = fakes.about(path)
    older = {key: each for key, each in about.items() if key not in ("familiarity", "card")}
    fakes.rewrite(path, older | {"format": 3})
    with pytest.raises(ModelFileError, match="a damaged one"):
        featx.load(path)
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        pipeline = archive.read("pipeline.skops")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(about))
        archive.writestr("pipeline.skops", pipeline)
    with pytest.raises(ModelFileError, match=r"it has no prototypes\.npy"):
        featx.load(path)
