"""`featx train`, `evaluate`, `predict` and `label`."""

import csv
import os

import fakes
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC

import featx
import featx.insight.plots
from featx.learning.classifiers import CLASSIFIERS


def test_train_says_in_json_how_good_the_model_is(featx_run, photos, new_photos, tmp_path):
    out = tmp_path / "fruit.featx"
    document = featx_run("train", photos, "--out", out, "--test", new_photos, "--json").json
    assert document | {"seconds": 0} == {
        "classes": ["blue", "green", "red"],
        "n_train": 18,
        "n_failed": 0,
        "classifier": "logistic",
        "cv_accuracy": 1.0,
        "cv_accuracy_low": pytest.approx(0.789, abs=1e-3),
        "cv_accuracy_high": 1.0,
        "cv_std": 0.0,
        "rejection": None,
        "twins": [],
        "n_test": 6,
        "test_accuracy": 1.0,
        "test_leaks": {},
        "test_accuracy_without_leaks": 1.0,
        "fingerprint": featx.load(out).recipe.fingerprint,
        "seconds": 0,
        "out": str(out),
        "report": None,
    }
    assert document["seconds"] > 0


def test_train_says_to_a_person_how_good_the_model_is(featx_run, photos, new_photos, tmp_path):
    out = tmp_path / "fruit.featx"
    lines = featx_run(
        "train", photos, "--classifier", "centroid", "--out", out, "--test", new_photos
    ).out.splitlines()
    assert lines[0].startswith("18 images: 18 embedded, in ")
    assert lines[1].startswith("features 18 x 9 (efficientnet_lite0")
    assert lines[2:] == [
        "3 classes, classifier centroid: cross-validated accuracy 100.0 % (78.9 to 100.0), "
        "5 folds, 2 times",
        f"accuracy on {new_photos}: 100.0 % (61.0 to 100.0) of 6 images, 1 failed",
        f"wrote {out}",
    ]


def test_without_a_test_folder_there_is_no_test_accuracy(featx_run, photos, tmp_path):
    ended = featx_run(
        "train", photos, "--classifier", "knn", "--out", tmp_path / "m.featx", "--json"
    )
    assert ended.json["test_accuracy"] is None
    assert ended.json["n_test"] is None


@pytest.mark.parametrize("classifier", [name for name in CLASSIFIERS if name != "cnn"])
def test_every_classifier_can_be_trained_and_used(
    featx_run, photos, new_photos, tmp_path, classifier
):
    out = tmp_path / "m.featx"
    featx_run("train", photos, "--classifier", classifier, "--out", out)
    rows = featx_run("predict", out, new_photos, "--json").json
    assert [row["label"] for row in rows] == [
        *("blue", "blue", "green", "green", None, "red", "red")
    ]
    for row in rows:
        assert (row["probability"] is None) == (row["label"] is None)
        assert row["label"] is None or 0.3 < row["probability"] <= 1


@pytest.mark.filterwarnings("ignore:the weights of")
def test_the_options_of_embedding_go_into_the_model(featx_run, photos, tmp_path):
    words = ["--backbone", "vgg16", "--weights", "random", "--pooling", "max", "--input-size", "64"]
    out = tmp_path / "m.featx"
    featx_run("train", photos, "--classifier", "knn", *words, "--out", out)
    recipe = featx.load(out).recipe
    assert (recipe.backbone, recipe.pooling, recipe.input_size) == ("vgg16", "max", 64)


def test_training_embeds_each_picture_once(featx_run, photos, new_photos, tmp_path, fake_engine):
    words = ["--classifier", "knn", "--batch-size", 4, "--out", tmp_path / "m.featx"]
    featx_run("train", photos, "--test", new_photos, *words)
    assert fake_engine.embedded == 18 + 6
    featx_run("train", photos, "--test", new_photos, *words)
    assert fake_engine.embedded == 18 + 6


# ---------------------------------------------------------------- predict


def test_predict_gives_one_row_for_each_file_in_json(featx_run, model, new_photos):
    rows = featx_run("predict", model, new_photos, "--json").json
    assert [set(row) for row in rows] == [{"path", "label", "probability", "outcome", "reason"}] * 7
    assert [(row["path"], row["label"], row["outcome"]) for row in rows[3:5]] == [
        (str(new_photos / "green" / "101.png"), "green", "embedded"),
        (str(new_photos / "green" / "bad.jpg"), None, "failed"),
    ]
    assert rows[4]["probability"] is None
    assert rows[4]["reason"]
    assert rows[0]["reason"] is None
    assert rows[0]["probability"] == pytest.approx(
        featx.load(model).predict_proba(new_photos)[0].max()
    )


def test_predict_gives_a_table_for_a_person(featx_run, model, new_photos):
    lines = featx_run("predict", model, new_photos).out.splitlines()
    assert lines[0].split() == ["path", "label", "probability"]
    assert lines[1].split()[:2] == [str(new_photos / "blue" / "100.png"), "blue"]
    assert lines[1].endswith(" %")
    assert lines[5].split()[1:3] == ["-", "failed:"]
    assert (
        len({line.index(cell) for line, cell in ((lines[0], "label"), (lines[1], " blue "))}) <= 2
    )


def test_paths_of_all_kinds_go_together(featx_run, model, new_photos):
    picture = new_photos / "red" / "100.png"
    rows = featx_run("predict", model, picture, new_photos / "green", "gone.jpg", "--json").json
    assert [row["path"].split("/")[-1] for row in rows] == [
        *("100.png", "100.png", "101.png", "bad.jpg", "gone.jpg")
    ]
    assert [row["label"] for row in rows] == ["red", "green", "green", None, None]
    assert rows[-1]["reason"] == "no such file or directory"


def test_predictions_are_written_as_a_table(featx_run, model, new_photos, tmp_path):
    out = tmp_path / "predicted.csv"
    ended = featx_run("predict", model, new_photos, "--out", out)
    assert ended.out.splitlines()[-1] == f"wrote {out}"
    with out.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    expected = featx_run("predict", model, new_photos, "--json").json
    assert list(rows[0]) == ["path", "label", "probability", "outcome", "reason"]
    assert [row["path"] for row in rows] == [row["path"] for row in expected]
    assert [row["label"] or None for row in rows] == [row["label"] for row in expected]
    assert [row["probability"] and float(row["probability"]) for row in rows] == [
        "" if row["probability"] is None else row["probability"] for row in expected
    ]


class Contrary(ClassifierMixin, BaseEstimator):
    """Predict the last class, whatever the probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[-1])

    def predict_proba(self, X):
        return np.tile([0.7, 0.2, 0.1], (len(X), 1))


def test_the_probability_is_that_of_the_label_shown(featx_run, photos, new_photos, monkeypatch):
    """A classifier may predict another class than its most probable one; `centroid` can."""
    model = featx.train(photos, Contrary())
    monkeypatch.setattr(featx, "load", lambda path, weights: model)
    rows = featx_run("predict", "any", new_photos / "green", "--json").json
    assert [(row["label"], row["probability"]) for row in rows] == [
        *(("red", 0.1), ("red", 0.1), (None, None))
    ]


def test_a_model_without_probabilities_predicts_labels(featx_run, photos, new_photos, tmp_path):
    featx.train(photos, SVC()).save(tmp_path / "m.featx")
    out, gallery = tmp_path / "x.csv", tmp_path / "x.png"
    words = ["predict", tmp_path / "m.featx", new_photos / "red"]
    ended = featx_run(*words, "--out", out, "--gallery", gallery)
    assert [line.split()[1:] for line in ended.out.splitlines()[1:3]] == [["red", "-"]] * 2
    assert [row["probability"] for row in featx_run(*words, "--json").json] == [None, None]
    assert "nan" not in out.read_text()


class Drawn:
    """What the gallery was asked to draw."""

    def __init__(self, monkeypatch):
        self.arguments = {}
        monkeypatch.setattr(featx.insight.plots, "plot_gallery", self)

    def __call__(self, paths, predicted, **more):
        self.arguments = {"paths": paths, "predicted": predicted, **more}
        return Figure(figsize=(1, 1))


def test_the_gallery_shows_what_could_be_read_with_the_truth_of_the_sub_folders(
    featx_run, model, new_photos, tmp_path, monkeypatch
):
    (new_photos / "red" / "100.png").rename(new_photos / "green" / "wrong.png")
    drawn = Drawn(monkeypatch)
    featx_run("predict", model, new_photos, "--gallery", tmp_path / "x.png")
    names = [path.split("/", path.count("/") - 1)[-1] for path in drawn.arguments["paths"]]
    assert names == [
        *("blue/100.png", "blue/101.png", "green/100.png", "green/101.png"),
        *("green/wrong.png", "red/101.png"),
    ]
    assert drawn.arguments["predicted"] == ["blue", "blue", "green", "green", "red", "red"]
    assert drawn.arguments["true"] == ["blue", "blue", "green", "green", "green", "red"]


def test_sub_folders_that_are_no_classes_of_the_model_are_no_truth(
    featx_run, model, new_photos, tmp_path, monkeypatch
):
    drawn = Drawn(monkeypatch)
    (new_photos / "green" / "bad.jpg").unlink()
    for name in ("blue", "green", "red"):
        (new_photos / name).rename(new_photos / f"summer in {name}")
    featx_run("predict", model, new_photos, "--gallery", tmp_path / "x.png")
    assert drawn.arguments["true"] is None
    assert drawn.arguments["predicted"] == ["blue", "blue", "green", "green", "red", "red"]


def test_the_gallery_is_a_picture_with_green_frames(featx_run, model, new_photos, tmp_path):
    gallery = tmp_path / "gallery.png"
    ended = featx_run("predict", model, new_photos, "--gallery", gallery)
    assert ended.out.splitlines()[-1] == f"wrote {gallery}"
    with Image.open(gallery) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    assert (np.abs(pixels - [26, 127, 55]).max(axis=1) < 8).sum() > 1000


# ---------------------------------------------------------------- evaluate


def test_evaluate_counts_each_class_in_json(featx_run, model, new_photos):
    (new_photos / "red" / "100.png").rename(new_photos / "green" / "wrong.png")
    document = featx_run("evaluate", model, new_photos, "--json").json
    assert document["accuracy"] == pytest.approx(5 / 6)
    assert (document["n_images"], document["n_failed"]) == (6, 1)
    assert [row["class"] for row in document["classes"]] == ["blue", "green", "red"]
    assert document["classes"][1] == {
        "class": "green",
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "support": 3,
    }


def test_evaluate_gives_a_table_for_a_person(featx_run, model, new_photos):
    (new_photos / "red" / "100.png").rename(new_photos / "green" / "wrong.png")
    lines = featx_run("evaluate", model, new_photos).out.splitlines()
    assert lines == [
        "accuracy 83.3 % (43.6 to 97.0): 5 of 6 images right",
        "class  precision  recall    f1  support",
        "blue        1.00    1.00  1.00        2",
        "green       1.00    0.67  0.80        3",
        "red         0.50    1.00  0.67        1",
        "left out, not readable: 1 file",
    ]


# ---------------------------------------------------------------- unsure


@pytest.fixture
def unsure(photos, tmp_path, featx_run):
    """A model that may be unsure, and a folder in which it is, of a purple picture."""
    model = tmp_path / "unsure.featx"
    featx_run("train", photos, "--out", model, "--reject", 0.9)
    test = fakes.draw_folder(tmp_path / "test", each=2, start=100)
    fakes.draw(test / "red" / "purple.png", (110, 60, 120))
    return model, test


def test_train_says_from_where_the_model_answers_and_what_to_expect(featx_run, photos, tmp_path):
    words = ["train", photos, "--out", tmp_path / "m.featx", "--reject", 0.9]
    document = featx_run(*words, "--json").json
    rejection = featx.load(tmp_path / "m.featx").rejection
    assert document["rejection"] == rejection.to_dict()
    assert rejection.target == 0.9
    assert str(rejection) in featx_run(*words).out.splitlines()
    assert "precision 100.0 % (78.9 to 100.0), coverage 100.0 % (78.9" in str(rejection)


def test_a_precision_out_of_reach_is_one_line_and_no_model(featx_ends, photos, tmp_path):
    out = tmp_path / "m.featx"
    ended = featx_ends("train", photos, "--classifier", "knn", "--out", out, "--reject", 0.97)
    assert (ended.status, ended.out, out.exists()) == (2, "", False)
    assert ended.err == (
        "featx: a precision of 0.97 is out of reach with these 18 images: the surest answers, "
        "100 % of the images, reach 0.93; ask for no more, add images, or train without reject\n"
    )


def test_predict_says_unsure_with_its_best_guess(featx_run, unsure, tmp_path):
    model, test = unsure
    out = tmp_path / "predicted.csv"
    purple = str(test / "red" / "purple.png")
    rows = {row["path"]: row for row in featx_run("predict", model, test, "--json").json}
    row = rows.pop(purple)
    assert list(row) == ["path", "label", "best_guess", "probability", "outcome", "reason"]
    assert row["label"] is None
    assert row["best_guess"] in ("red", "blue")
    assert row["probability"] < featx.load(model).rejection.threshold
    assert row["outcome"] != "failed"
    assert all(row["label"] == row["best_guess"] is not None for row in rows.values())
    lines = featx_run("predict", model, test, "--out", out).out.splitlines()
    [line] = [line for line in lines if purple in line]
    assert line.split(maxsplit=1)[1].startswith(f"unsure ({row['best_guess']}?)")
    assert line.endswith(" %")
    with out.open(encoding="utf-8", newline="") as file:
        [written] = [each for each in csv.DictReader(file) if each["path"] == purple]
    assert (written["label"], written["best_guess"]) == ("", row["best_guess"])


def test_every_picture_is_labelled_if_that_is_asked(featx_run, unsure):
    model, test = unsure
    rows = featx_run("predict", model, test, "--answer-all", "--json").json
    assert all(row["label"] == row["best_guess"] is not None for row in rows)
    assert "unsure" not in featx_run("predict", model, test / "red", "--answer-all").out


def test_the_gallery_knows_what_the_model_is_unsure_of(featx_run, unsure, tmp_path, monkeypatch):
    model, test = unsure
    (test / "red" / "bad.jpg").write_text("no picture")
    drawn = Drawn(monkeypatch)
    featx_run("predict", model, test / "red", "--gallery", tmp_path / "x.png")
    assert drawn.arguments["answered"] == [True, True, False]
    assert drawn.arguments["predicted"][:2] == ["red", "red"]


def test_evaluate_tells_coverage_and_precision_beside_the_accuracy(
    featx_run, unsure, photos, tmp_path
):
    model, test = unsure
    document = featx_run("evaluate", model, test, "--json").json
    result = featx.load(model).evaluate(test)
    for name in ("coverage", "precision"):
        each = getattr(result, name)
        assert [document[name + end] for end in ("", "_low", "_high")] == [
            *(each.value, each.low, each.high)
        ]
    assert (document["coverage"], document["precision"]) == (6 / 7, 1.0)
    line = (
        f"precision of its answers 100.0 % (61.0 to 100.0): 6 of 7 images, "
        f"coverage {result.coverage}"
    )
    assert featx_run("evaluate", model, test).out.splitlines()[1] == line
    words = ["train", photos, "--out", tmp_path / "m.featx", "--reject", 0.9, "--test", test]
    assert line in featx_run(*words).out.splitlines()
    assert featx_run(*words, "--json").json["test_coverage"] == 6 / 7
    lines = featx_run("evaluate", model, test, "--report", tmp_path / "x.html").out.splitlines()
    assert lines[1] == line
    assert "precision of its answers" in (tmp_path / "x.html").read_text().lower()


def test_less_than_the_precision_asked_for_is_said_to_be_less(featx_run, unsure):
    """No threshold helps against pictures of another kind than those of training."""
    model, test = unsure
    (test / "red").rename(test / "swapped")
    (test / "green").rename(test / "red")
    (test / "swapped").rename(test / "green")
    line = featx_run("evaluate", model, test).out.splitlines()[1]
    assert line.startswith("precision of its answers 33.3 % (9.7 to 70.0): 6 of 7 images, coverage")
    assert line.endswith("; less than the 0.9 asked for: these are not like the training images")


def test_a_model_that_answers_nothing_has_no_precision(featx_run, unsure):
    model, test = unsure
    for name in ("blue", "green"):
        for path in (test / name).iterdir():
            path.unlink()
    for path in (test / "red").glob("1*.png"):
        path.unlink()
    ended = featx_run("evaluate", model, test)
    assert (
        ended.out.splitlines()[1] == "it answers none of these images: coverage 0.0 % (0.0 to 79.3)"
    )
    assert featx_run("evaluate", model, test, "--json").json["precision"] is None


# ---------------------------------------------------------------- label


@pytest.mark.filterwarnings("ignore:the weights of")
def test_label_names_what_pictures_show(featx_run, guessing, new_photos):
    rows = featx_run(
        "label", new_photos / "green", "--top", 2, "--weights", "random", "--json"
    ).json
    assert [row["path"].split("/")[-1] for row in rows] == ["100.png", "101.png", "bad.jpg"]
    assert [row["outcome"] for row in rows] == ["embedded", "embedded", "failed"]
    assert rows[0]["labels"] == [
        {
            "index": 207,
            "wnid": "n02099601",
            "name": "golden_retriever",
            "probability": pytest.approx(0.7),
        },
        {
            "index": 208,
            "wnid": "n02099712",
            "name": "Labrador_retriever",
            "probability": pytest.approx(0.2),
        },
    ]
    assert rows[2]["labels"] == []
    assert rows[2]["reason"]


def test_label_gives_a_line_for_each_picture(featx_run, guessing, new_photos):
    lines = featx_run("label", new_photos / "green", "--top", "1").out.splitlines()
    assert lines[0].split() == ["path", "labels"]
    assert lines[1].endswith("100.png  golden_retriever 70.0 %")
    assert "failed: " in lines[3]


def test_names_of_files_that_are_not_unicode_are_no_obstacle(
    featx_run, model, new_photos, tmp_path
):
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    os.rename(new_photos / "red" / "100.png", odd)
    path = os.fsdecode(odd)
    out, gallery = tmp_path / "x.csv", tmp_path / "x.png"
    rows = featx_run("predict", model, path, "--json").json
    assert (rows[0]["path"], rows[0]["label"]) == (path, "red")
    text = featx_run("predict", model, path, "--out", out, "--gallery", gallery).out
    assert "caf�.png" in text or "caf?.png" in text
    assert odd in out.read_bytes()


@pytest.mark.parametrize("command", ["train", "compare", "tune"])
def test_a_class_without_a_readable_picture_is_told_not_dropped(
    featx_ends, photos, tmp_path, command
):
    (photos / "violet").mkdir()
    for number in range(3):
        (photos / "violet" / f"{number}.png").write_text("no picture")
    out = tmp_path / "m.featx"
    options = {
        "train": ["--out", out],
        "compare": ["--backbones", "efficientnet_lite0"],
        "tune": ["--out", out, "--backbones", "efficientnet_lite0"],
    }
    ended = featx_ends(command, photos, *options[command])
    assert ended.status == 2
    assert f"class violet has no readable image ({photos}/violet/0.png: " in ended.err
    assert ended.err.count("\n") == 1
    assert not out.exists()


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX only")
def test_a_class_whose_name_is_no_utf8_is_judged_like_others(featx_run, photos, tmp_path):
    os.rename(os.fsencode(photos / "red"), os.fsencode(photos) + b"/caf\xe9")
    featx_run("train", photos, "--out", tmp_path / "m.featx")
    document = featx_run("evaluate", tmp_path / "m.featx", photos, "--json").json
    assert [each["support"] for each in document["classes"]] == [6, 6, 6]
