"""The search ends with a model, in time, and embeds nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import fakes
import numpy as np
import pytest

import featx
from featx.errors import (
    ImageSourceError,
    ImageSourceWarning,
    OptionError,
    UnknownBackboneError,
    UnknownClassifierError,
)
from featx.learning.classifiers import SHRINKAGES
from featx.tuning.tune import settings_of

pytestmark = pytest.mark.filterwarnings("ignore:the weights of")
COLUMNS = [
    *("candidate", "backbone", "pooling", "views", "classifier", "score"),
    *("accuracy", "accuracy_elsewhere", "rounds", "images_per_second"),
]


@pytest.fixture
def quick(monkeypatch):
    """Let the race end after two rounds."""
    monkeypatch.setattr("featx.tuning.race.RUNGS", ((24, 2),))


def tune(photos, budget="2m", **options):
    given = {"backbones": ["resnet50", "vgg16"], "classifiers": ["centroid"]} | options
    return featx.tune(photos, budget, weights="random", n_jobs=1, progress=False, **given)


EVERY = [
    *("resnet50 avg centroid", "resnet50 max centroid", "vgg16 avg centroid", "vgg16 max centroid"),
    *("resnet50 avg knn", "resnet50 max knn"),  # the better half
    *("resnet50+vgg16 avg centroid", "resnet50+vgg16 avg knn"),
    *("resnet50 avg 2 views centroid", "resnet50 avg 2 views knn"),
    *("resnet50+vgg16 avg 2 views centroid", "resnet50+vgg16 avg 2 views knn"),
]


def test_the_search_ends_with_a_model_that_predicts(photos, new_photos, fake_engine, tmp_path):
    tuning = tune(photos, classifiers=["centroid", "knn"])
    frame = tuning.to_frame()
    assert list(frame.columns) == COLUMNS
    assert sorted(frame.candidate) == sorted(EVERY), "both networks give the same here"
    assert frame.set_index("candidate").views.to_dict() == {
        name: 2 if "2 views" in name else 0 for name in EVERY
    }
    assert tuning.best is tuning.trials[0]
    assert frame.rounds.value_counts().to_dict() == {8: 6, 4: 6}
    assert tuning.skipped == {}
    tuning.model.save(tmp_path / "m.featx")
    assert featx.load(tmp_path / "m.featx").evaluate(new_photos, progress=False).accuracy == 1.0
    shown = repr(tuning)
    assert "\nand 2 more, see to_frame()\n" in shown
    assert shown.endswith(tuning.summary)
    assert tuning.summary.splitlines() == [
        f"{tuning.best.name} was chosen as the best of 12",
        f"expect {tuning.accuracy} on photographs like these, {tuning.accuracy_elsewhere} on those "
        "of other scenes",
        f"took {tuning.seconds:.0f} s of 120",
    ]
    html = tuning._repr_html_()
    assert html.count("<tr") == 1 + 10
    assert "on those of other scenes" in html
    assert len(tuning.finalists.candidates) == 6
    assert {each.validation.splits.repeats for each in tuning.finalists.candidates} == {8}
    assert tuning.validation.accuracy == frame.accuracy[0]


def test_the_estimate_is_no_better_than_what_the_best_scores(photos, fake_engine):
    labels = np.array(["a", "b", "c"] * 6)[np.random.default_rng(5).permutation(18)]
    paths = featx.ImageFolder.of(photos).paths
    tuning = tune(list(paths), labels=labels.tolist())
    row = tuning.to_frame().iloc[0]
    assert tuning.accuracy.value <= row.accuracy
    assert tuning.accuracy_elsewhere.value <= row.accuracy_elsewhere
    assert tuning.accuracy.low <= 1 / 3 <= tuning.accuracy.high, "labels are noise"


@pytest.mark.parametrize("cache", [None, True, False])
def test_no_network_sees_a_picture_twice(photos, fake_engine, quick, cache):
    tuning = tune(photos, cache=cache)
    assert sorted(tuning.to_frame().candidate) == sorted(
        each for each in EVERY if "knn" not in each
    )
    assert fake_engine.embedded == 2 * 18 * 3, "two networks, each picture and two views of it"
    if cache is not False:
        tune(photos)
        assert fake_engine.embedded == 2 * 18 * 3


def test_the_tiniest_budget_gives_a_model_of_one_network(photos, fake_engine):
    tuning = tune(photos, 1e-6)
    assert len(tuning.trials) == 1
    assert tuning.model.predict(photos, progress=False).shape == (18,)
    assert tuning.model.recipe.backbone == "vgg16", "the smaller one"
    assert tuning.skipped == {
        "resnet50": "0 s were left, too few to start it",
        "vgg16 views": "0 s were left, too few to start it",
    }
    assert [line for line in tuning.summary.splitlines() if line.startswith("no time for ")] == [
        "no time for resnet50: 0 s were left, too few to start it",
        "no time for vgg16 views: 0 s were left, too few to start it",
    ]


def test_a_network_of_unknown_speed_is_not_the_fastest(photos, fake_engine, quick):
    for option in ({"pooling": "avg"}, {"pooling": "max"}):
        featx.embed(photos, "vgg16", weights="random", progress=False, **option)
    for file in Path(os.environ["FEATX_CACHE"]).rglob("speed.json"):
        file.unlink()
    tuning = tune(photos)
    speeds = tuning.to_frame().set_index("candidate").images_per_second
    assert np.isnan(speeds["vgg16 avg centroid"])
    assert np.isnan(speeds[[name for name in speeds.index if "+" in name]]).all()
    assert (speeds[[name for name in speeds.index if name.startswith("resnet50 ")]] > 0).all()
    assert tuning.best.features.recipe.backbone == "resnet50", "all are equally good"
    assert "inf" not in repr(tuning)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"budget": "soon"}, OptionError, "budget 'soon': expected a time"),
        ({"backbones": ["resnet5"]}, UnknownBackboneError, "unknown backbone 'resnet5'"),
        ({"backbones": []}, OptionError, "backbones is empty"),
        ({"backbones": "resnet50+vgg16"}, OptionError, "tune joins them itself"),
        ({"classifiers": "cnn"}, OptionError, "'cnn' learns from pixels"),
        ({"classifiers": "svn"}, UnknownClassifierError, "unknown classifier 'svn'"),
        ({"classifiers": []}, OptionError, "expected names of featx.CLASSIFIERS"),
        ({"classifiers": None}, OptionError, "expected names of featx.CLASSIFIERS"),
        ({"seed": -1}, OptionError, "seed -1: expected a whole number from 0 up"),
        (
            {"pooling": "avg"},
            TypeError,
            r"tune\(\) got an unexpected keyword argument 'pooling'; it is an option of embed, not "
            "of tune",
        ),
        (
            {"seeds": 1},
            TypeError,
            r"tune\(\) got an unexpected keyword argument 'seeds'; did you mean 'seed'\?$",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_embedded(
    photos, fake_engine, options, error, message
):
    with pytest.raises(error, match=message.replace("+", r"\+")):
        tune(photos, **options)
    assert fake_engine.embedded == 0


def test_a_folder_without_classes_is_told(tmp_path, fake_engine):
    fakes.draw(tmp_path / "a.png", (1, 2, 3))
    with pytest.raises(ImageSourceError, match="no classes"):
        tune(tmp_path)


def test_test_images_are_evaluated_and_their_leaks_named(photos, new_photos, fake_engine, quick):
    shutil.copy(photos / "red" / "000.png", new_photos / "red" / "000.png")
    (new_photos / "red" / "x.jpg").touch()
    tuning = tune(photos, backbones=["vgg16"], test=new_photos)
    test = tuning.test
    again = tuning.model.evaluate(new_photos, training=tuning.best.features)
    assert test.to_dict() == again.to_dict()
    copy, original = (folder / "red" / "000.png" for folder in (new_photos, photos))
    assert test.leaks == {str(copy): str(original)}
    assert (test.accuracy, test.n_failed) == (1.0, 1)
    written = tuning.to_dict()
    assert written["test"] == test.to_dict()
    assert json.loads(json.dumps(written)) == written


def test_test_images_that_cannot_judge_a_model_are_told_before_anything_is_embedded(
    photos, fake_engine, tmp_path
):
    strangers = fakes.draw(tmp_path / "strangers" / "tiger" / "1.png", (1, 2, 3)).parents[1]
    with pytest.raises(ImageSourceError, match="none of the classes tiger: expected blue, green"):
        tune(photos, test=strangers)
    assert fake_engine.embedded == 0


def test_a_tuning_is_plain_values(photos, fake_engine, quick):
    (photos / "red" / "broken.jpg").write_bytes(b"no picture")
    tuning = tune(photos)
    written = tuning.to_dict()
    assert json.loads(json.dumps(written)) == written
    candidates = written.pop("candidates")
    assert [list(each) for each in candidates] == [COLUMNS] * len(tuning.trials)
    assert [each["candidate"] for each in candidates] == [each.name for each in tuning.trials]
    recipe = tuning.model.recipe
    (lost,) = (each.failure for each in tuning.best.features.failed)
    assert written == {
        "best": tuning.best.name,
        "backbone": recipe.backbone,
        "pooling": recipe.pooling,
        "views": tuning.model.views,
        "classifier": "centroid",
        "verdict": tuning.verdict,
        **tuning.accuracy.to_dict("accuracy"),
        **tuning.accuracy_elsewhere.to_dict("accuracy_elsewhere"),
        "classes": ["blue", "green", "red"],
        "n_images": 18,
        "n_failed": 1,
        "skipped": {},
        "notes": [lost],
        "test": None,
        "budget": 120.0,
        "seconds": round(tuning.seconds, 3),
    }
    assert tuning.notes == (lost,)


def test_a_class_of_which_nothing_can_be_read_is_named(photos, fake_engine):
    for path in (photos / "red").iterdir():
        path.write_text("no picture")
    with pytest.raises(ImageSourceError, match="class red has no readable image"):
        tune(photos)


def test_a_picture_in_two_classes_is_warned_of_once(photos, fake_engine, quick, monkeypatch):
    """Training warns of exact copies, and the search of those with the near copies beside them."""
    shutil.copy(photos / "red" / "000.png", photos / "blue" / "copy.png")
    module = sys.modules["featx.tuning.tune"]
    exact = (("blue/copy.png", "blue"), ("red/000.png", "red"))
    exact = tuple((str(photos / path), label) for path, label in exact)
    near = (*exact, (str(photos / "red" / "001.png"), "red"))
    monkeypatch.setattr(module, "find_contradictions", lambda *_: (near,))
    with pytest.warns(ImageSourceWarning) as said:
        tune(photos)
    assert sum("copy.png" in str(each.message) for each in said) == 1
    wider = (*near, (str(photos / "green" / "000.png"), "green"))
    monkeypatch.setattr(module, "find_contradictions", lambda *_: (wider,))
    with pytest.warns(ImageSourceWarning) as said:
        tune(photos)
    told = [str(each.message) for each in said if "copy.png" in str(each.message)]
    assert ["(green)" in each for each in told] == [False, True]


def test_logistic_regression_is_tried_with_each_shrinkage():
    settings = dict(settings_of(["logistic", "knn"]))
    assert list(settings) == [*(f"logistic shrinkage={each:g}" for each in SHRINKAGES), "knn"]
    made = settings["logistic shrinkage=0.1"].build()
    assert made.get_params()["discriminants__shrinkage"] == 0.1
    assert settings["knn"].given == "knn"
    with pytest.raises(UnknownClassifierError, match="unknown classifier 'svn'"):
        list(settings_of(["svn"]))
