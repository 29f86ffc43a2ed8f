"""The search ends with a model, in time, and embeds nothing twice."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.errors import ImageSourceError, OptionError, UnknownBackboneError
from featx.tuning.budget import seconds_of


def tune(photos, budget="2m", **options):
    given = {"backbones": ["resnet50", "vgg16"], "classifiers": ["centroid"]} | options
    return featx.tune(photos, budget, weights="random", n_jobs=1, progress=False, **given)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h", 3600), ("1.5 M", 90), ("45", 45), (45, 45), (0.5, 0.5)],
)
def test_a_budget_is_a_time(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "5 minutes", "-5m", "0", 0, -1, True, None, "nan", float("inf")]
)
def test_what_is_no_budget_is_told(text):
    with pytest.raises(OptionError, match=r"budget .*: expected a time above 0, such as '90s'"):
        seconds_of(text)


def test_the_search_ends_with_a_model_that_predicts(photos, new_photos, fake_engine, tmp_path):
    tuning = tune(photos, classifiers=["centroid", "knn"])
    names = tuning.frame.candidate.tolist()
    assert {"resnet50 max knn", "resnet50+vgg16 avg knn"} <= set(names) or {
        "vgg16 max knn",
        "vgg16+resnet50 avg knn",
    } & set(names)
    assert any("2 views" in name for name in names)
    assert len(names) == len(set(names)), "a candidate was tried twice"
    assert tuning.best is tuning.trials[0]
    assert tuning.frame.rounds.value_counts().to_dict() == {8: 6, 4: 6}
    assert tuning.skipped == {}
    tuning.model.save(tmp_path / "m.featx")
    assert featx.load(tmp_path / "m.featx").evaluate(new_photos, progress=False).accuracy == 1.0
    assert "expect" in repr(tuning)
    assert "on those of other scenes" in tuning._repr_html_()
    assert len(tuning.finalists.candidates) == 6


def test_the_estimate_is_no_better_than_what_the_best_reads(photos, fake_engine):
    labels = np.array(["a", "b", "c"] * 6)[np.random.default_rng(5).permutation(18)]
    paths = featx.ImageFolder.of(photos).paths
    tuning = tune(list(paths), labels=labels.tolist())
    row = tuning.frame.iloc[0]
    assert tuning.accuracy.value <= row.accuracy
    assert tuning.accuracy_elsewhere.value <= row.accuracy_elsewhere
    assert tuning.accuracy.low <= 1 / 3 <= tuning.accuracy.high, "labels are noise"


@pytest.mark.parametrize("cache", [None, True, False])
def test_no_network_sees_a_picture_twice(photos, fake_engine, cache):
    tuning = tune(photos, cache=cache)
    assert any("2 views" in name for name in tuning.frame.candidate)
    assert fake_engine.embedded == 2 * 18 * 3, "two networks, each picture and two views of it"
    if cache is not False:
        tune(photos)
        assert fake_engine.embedded == 2 * 18 * 3


def test_the_tiniest_budget_gives_a_model_of_one_network(photos, fake_engine):
    tuning = tune(photos, 1e-6)
    assert len(tuning.trials) == 1
    assert tuning.model.predict(photos, progress=False).shape == (18,)
    assert set(tuning.skipped) >= {"vgg16"} or set(tuning.skipped) >= {"resnet50"}
    assert "no time for" in repr(tuning)


@pytest.fixture
def settled(monkeypatch):
    """Let digests of files as young as those of a test be remembered."""
    monkeypatch.setattr("featx.images.digests._SETTLED_NS", -1)


def test_what_is_in_the_cache_comes_first(photos, fake_engine, settled):
    featx.embed(photos, "resnet50", weights="random", progress=False)
    featx.embed(photos, "resnet50", pooling="max", weights="random", progress=False)
    tuning = tune(photos, 1e-6)  # vgg16 is the smaller one
    assert tuning.best.features.recipe.backbone == "resnet50"


def test_a_network_that_would_take_too_long_is_left_after_a_few_pictures(
    tmp_path, fake_engine, monkeypatch, settled
):
    import fakes

    folder = fakes.draw_folder(tmp_path / "many", each=40)
    tune(folder, "1h", backbones=["vgg16"])  # in the cache now
    before = fake_engine.embedded
    monkeypatch.setattr(fake_engine, "seconds_per_batch", 0.5)
    for _ in range(2):  # that those few are in the cache does not make the others free
        tuning = tune(folder, 3, classifiers="centroid")
        assert "of the" in tuning.skipped["resnet50"]
        assert fake_engine.embedded - before == 30
    other = fakes.draw_folder(tmp_path / "other", each=40, start=300)
    tuning = tune(other, 3, backbones=["resnet50", "vgg16"], classifiers="centroid")
    assert tuning.skipped.keys() & {"vgg16", "resnet50"}, "vectors of another folder are no help"


def test_a_copy_and_a_file_that_is_no_picture_do_not_hide_the_cache(photos, fake_engine, settled):
    (photos / "red" / "copy.png").write_bytes((photos / "red" / "000.png").read_bytes())
    (photos / "red" / "bad.png").write_text("no picture")
    tune(photos)
    before = fake_engine.embedded
    tuning = tune(photos, 1e-6)
    assert not {"resnet50", "vgg16"} & tuning.skipped.keys()
    assert fake_engine.embedded == before


def test_a_network_of_unknown_speed_is_not_the_fastest(photos, fake_engine):
    for option in ({"pooling": "avg"}, {"pooling": "max"}):
        featx.embed(photos, "vgg16", weights="random", progress=False, **option)
    for file in Path(os.environ["FEATX_CACHE"]).rglob("speed.json"):
        file.unlink()
    tuning = tune(photos, classifiers=["centroid", "knn"])
    frame = tuning.frame.set_index("candidate").images_per_second
    assert np.isnan(frame["vgg16 avg centroid"])
    assert np.isnan(frame[[name for name in frame.index if "+" in name]]).all()
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
        ({"classifiers": []}, OptionError, "expected names of featx.CLASSIFIERS"),
        ({"classifiers": None}, OptionError, "expected names of featx.CLASSIFIERS"),
        ({"seed": -1}, OptionError, "seed -1: expected a whole number from 0 up"),
        ({"pooling": "avg"}, OptionError, "pooling is no option of tune"),
    ],
)
def test_mistakes_are_told_before_anything_is_embedded(
    photos, fake_engine, options, error, message
):
    with pytest.raises(error, match=message.replace("+", r"\+")):
        tune(photos, **options)
    assert fake_engine.embedded == 0


def test_a_folder_without_classes_is_told(tmp_path, fake_engine):
    import fakes

    fakes.draw(tmp_path / "a.png", (1, 2, 3))
    with pytest.raises(ImageSourceError, match="no classes"):
        tune(tmp_path)
