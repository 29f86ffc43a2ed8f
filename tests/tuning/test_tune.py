"""The search ends with a model, in time, and embeds nothing twice."""

from __future__ import annotations

import json
import os
import re
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
    *("candidate", "backbone", "pooling", "classifier"),
    *("accuracy", "lead_low", "rounds", "images_per_second"),
]


@pytest.fixture
def quick(monkeypatch):
    """Let the race end after two rounds."""
    monkeypatch.setattr("featx.tuning.race.RUNGS", ((24, 2),))


def tune(photos, budget="2m", **options):
    given = {"backbones": ["resnet50", "vgg16"], "classifiers": ["centroid"], "progress": False}
    return featx.tune(photos, budget, weights="random", n_jobs=1, **given | options)


EVERY = [
    "resnet50+vgg16 avg centroid",
    *("resnet50 avg centroid", "resnet50 max centroid", "vgg16 avg centroid", "vgg16 max centroid"),
    "resnet50+vgg16 avg knn",
]


def test_the_search_ends_with_a_model_that_predicts(photos, new_photos, fake_engine, tmp_path):
    tuning = tune(photos, classifiers=["centroid", "knn"])
    frame = tuning.to_frame()
    assert list(frame.columns) == COLUMNS
    assert sorted(frame.candidate) == sorted(EVERY)
    assert tuning.best is tuning.trials[0]
    assert tuning.favourite.name == EVERY[0], "all networks joined, with the first classifier"
    assert set(frame.rounds) == {5}
    assert tuning.skipped == {}
    tuning.model.save(tmp_path / "m.featx")
    assert featx.load(tmp_path / "m.featx").evaluate(new_photos, progress=False).accuracy == 1.0
    assert repr(tuning).endswith(tuning.summary)
    assert tuning.summary.splitlines() == [
        tuning.verdict,
        f"expect {tuning.accuracy} on photographs like the training ones, 100.0 % on such as look "
        "like none of them",
        f"took {tuning.seconds:.0f} s of 120",
    ]
    html = tuning._repr_html_()
    assert html.count("<tr") == 1 + len(EVERY)
    assert "on such as look like none of them" in html
    assert len(tuning.finalists.candidates) == len(EVERY)
    assert tuning.finalists.chosen.name == tuning.best.name
    assert {each.validation.splits.repeats for each in tuning.finalists.candidates} == {5}
    assert tuning.validation.accuracy == frame.accuracy[0]


def test_the_estimate_is_no_better_than_what_the_best_scores(photos, fake_engine):
    labels = np.array(["a", "b", "c"] * 6)[np.random.default_rng(5).permutation(18)]
    paths = featx.ImageFolder.of(photos).paths
    tuning = tune(list(paths), labels=labels.tolist())
    row = tuning.to_frame().iloc[0]
    assert tuning.accuracy.value <= row.accuracy
    assert tuning.accuracy.low <= 1 / 3 <= tuning.accuracy.high, "labels are noise"


@pytest.mark.parametrize("cache", [None, True, False])
def test_no_network_sees_a_picture_twice(photos, fake_engine, quick, cache):
    tuning = tune(photos, cache=cache)
    assert sorted(tuning.to_frame().candidate) == sorted(
        each for each in EVERY if "knn" not in each
    )
    assert fake_engine.embedded == 2 * 18, "two networks"
    if cache is not False:
        tune(photos)
        assert fake_engine.embedded == 2 * 18


def test_with_everything_in_the_cache_no_network_runs_and_all_is_judged(photos, fake_engine):
    for pooling in ("avg", "max"):
        for name in ("resnet50", "vgg16"):
            featx.embed(photos, name, pooling=pooling, weights="random", progress=False)
    opened = len(fake_engine.opened)
    tuning = tune(photos, "30s")
    assert len(fake_engine.opened) == opened
    assert len(tuning.trials) == 5
    assert tuning.skipped == {}


def test_a_cached_network_is_tried_before_another_runs(photos, fake_engine):
    """However slow it is, and although a maximum of it is not in the cache."""
    featx.embed(photos, "vgg16", weights="random", progress=False)
    opened = len(fake_engine.opened)
    tuning = tune(photos, 1e-6)
    assert [each.name for each in tuning.trials] == ["vgg16 avg centroid"]
    assert list(tuning.skipped) == ["resnet50"]
    assert len(fake_engine.opened) == opened


def test_the_tiniest_budget_gives_a_model_of_one_network(photos, fake_engine):
    tuning = tune(photos, 1e-6)
    assert len(tuning.trials) == 1
    assert tuning.model.predict(photos, progress=False).shape == (18,)
    assert tuning.model.recipe.backbone == "resnet50", "the one that computes less"
    (line,) = (line for line in tuning.summary.splitlines() if line.startswith("no time for "))
    assert re.fullmatch(r"no time for vgg16: 0 s were left of the \d+ it needs", line)


def test_one_bar_shows_the_whole_time(photos, fake_engine, quick, monkeypatch, capsys):
    for name in ("LINE_SECONDS", "FIRST_SECONDS"):
        monkeypatch.setattr(f"featx.progress.{name}", 1.0)
    monkeypatch.setattr(fake_engine, "seconds_per_batch", 0.4)
    tune(photos, "2m", progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines, "nothing was shown"
    assert all(re.fullmatch(r"tune, [a-z0-9 ]+: \d+ of 120 s", line) for line in lines), lines


def test_the_fastest_of_those_that_are_surely_as_good_is_chosen(tmp_path, fake_engine, quick):
    folder = fakes.draw_folder(tmp_path / "many", each=150)
    tuning = tune(folder)
    assert len(tuning.best.features.recipe.parts) == 1
    assert tuning.verdict.startswith(f"{tuning.best.name} was chosen among 5 candidates: about as ")
    assert "and faster" in tuning.verdict


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
        "favourite": tuning.favourite.name,
        "backbone": recipe.backbone,
        "pooling": recipe.pooling,
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
        "dataset_shift": None,
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


def test_logistic_regression_is_tried_with_each_shrinkage_its_own_first():
    settings = dict(settings_of(["logistic", "knn"]))
    others = [f"logistic shrinkage={each:g}" for each in SHRINKAGES[1:]]
    assert list(settings) == ["logistic", "knn", *others]
    made = settings["logistic shrinkage=0.1"].build()
    assert made.get_params()["discriminants__shrinkage"] == 0.1
    assert settings["logistic"].given == "logistic"
    with pytest.raises(UnknownClassifierError, match="unknown classifier 'svn'"):
        list(settings_of(["svn"]))
