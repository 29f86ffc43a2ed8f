"""`featx predict`."""

import csv
import os

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC

import featx
import featx.charts.gallery

COLUMNS = [
    *("path", "label", "probability", "unfamiliar", "unfamiliarity", "outcome", "reason"),
]


def test_predict_gives_one_row_for_each_file_in_json(featx_run, model, new_photos):
    rows = featx_run("predict", model, new_photos, "--json").json
    assert [set(row) for row in rows] == [set(COLUMNS)] * 7
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
    assert rows[-1]["reason"].startswith("no such file or directory in ")


def test_a_table_of_paths_is_predicted_from_its_root(featx_run, model, new_photos, tmp_path):
    (tmp_path / "x.csv").write_text("path\nred/100.png\nblue/100.png\n")
    rows = featx_run("predict", model, tmp_path / "x.csv", "--root", new_photos, "--json").json
    assert [row["label"] for row in rows] == ["red", "blue"]


def test_predictions_are_written_as_a_table(featx_run, model, new_photos, tmp_path):
    out = tmp_path / "predicted.csv"
    ended = featx_run("predict", model, new_photos, "--out", out)
    assert ended.out.splitlines()[-1] == f"wrote {out}"
    with out.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    expected = featx_run("predict", model, new_photos, "--json").json
    assert list(rows[0]) == COLUMNS
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
        monkeypatch.setattr(featx.charts.gallery, "plot_gallery", self)

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


def test_predict_says_that_a_picture_is_unfamiliar_with_its_best_guess(featx_run, unsure, tmp_path):
    model, test = unsure
    out = tmp_path / "predicted.csv"
    purple = str(test / "red" / "purple.png")
    rows = {row["path"]: row for row in featx_run("predict", model, test, "--json").json}
    row = rows.pop(purple)
    assert list(row) == [*COLUMNS[:2], "best_guess", *COLUMNS[2:]]
    assert row["label"] is None
    assert row["best_guess"] in ("red", "blue")
    assert row["probability"] < featx.load(model).rejection.threshold
    assert row["outcome"] != "failed"
    assert all(row["label"] == row["best_guess"] is not None for row in rows.values())
    lines = featx_run("predict", model, test, "--out", out).out.splitlines()
    [line] = [line for line in lines if purple in line]
    assert (row["unfamiliar"], row["unfamiliarity"] > 1) == (True, True)
    assert line.split(maxsplit=1)[1].startswith(f"unfamiliar ({row['best_guess']}?)")
    assert f"{len(rows)} labelled" in lines[-2]
    assert "1 unfamiliar" in lines[-2]
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
    assert "caf\N{REPLACEMENT CHARACTER}.png" in text
    assert odd in out.read_bytes()


# ---------------------------------------------------------------- every night


def test_an_empty_inbox_is_no_mistake(featx_run, model, tmp_path):
    inbox, out, gallery = tmp_path / "inbox", tmp_path / "x.csv", tmp_path / "x.png"
    inbox.mkdir()
    ended = featx_run("predict", model, inbox, "--out", out, "--gallery", gallery)
    lines = ended.out.splitlines()
    assert lines[0].split() == ["path", "label", "probability"]
    assert lines[1] == "0 pictures"
    assert lines[2].startswith(f"no images in '{inbox}', which holds no file")
    assert lines[3:] == [f"wrote {out}"]
    assert ended.err == "featx: warning: nothing can be drawn, so that there is no gallery\n"
    assert out.read_text().splitlines() == [",".join(COLUMNS)]
    assert featx_run("predict", model, inbox, "--json").json == []


def test_an_inbox_of_broken_files_is_no_mistake(featx_run, model, tmp_path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "bad.jpg").write_text("no picture")
    out = tmp_path / "x.csv"
    lines = featx_run("predict", model, tmp_path / "inbox", "--out", out).out.splitlines()
    assert lines[1].split()[1:3] == ["-", "failed:"]
    assert lines[2] == "1 picture: 1 failed"
    with out.open(newline="") as file:
        assert [row["outcome"] for row in csv.DictReader(file)] == ["failed"]


def test_a_line_says_how_many_pictures_have_which_label(featx_run, model, new_photos):
    lines = featx_run("predict", model, new_photos).out.splitlines()
    assert lines[-1] == "7 pictures: 6 labelled (blue 2, green 2, red 2), 1 failed"


def test_only_new_pictures_are_predicted_and_added(featx_run, model, new_photos, tmp_path):
    out = tmp_path / "x.csv"
    words = ["predict", model, new_photos, "--out", out, "--only-new"]
    assert len(featx_run(*words, "--json").json) == 7
    lines = featx_run(*words).out.splitlines()
    assert lines[1:] == [
        "0 pictures",
        f"no new picture: in {out} already: 7 pictures",
        f"wrote {out}",
    ]
    picture = (new_photos / "red" / "100.png").rename(new_photos / "red" / "x.png")
    [row] = featx_run(*words, "--json").json
    assert (row["path"], row["label"], row["bytes"]) == (
        str(picture),
        "red",
        os.stat(picture).st_size,
    )
    with out.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 8


def test_only_new_takes_a_table(featx_ends, model, new_photos):
    ended = featx_ends("predict", model, new_photos, "--only-new")
    assert ended.status == 2
    assert "--only-new goes with --out" in ended.err


def test_several_labels_and_all_probabilities_are_told(featx_run, model, new_photos, tmp_path):
    out = tmp_path / "x.csv"
    words = ["--top", 2, "--probabilities", "--out", out]
    lines = featx_run("predict", model, new_photos / "red", *words).out.splitlines()
    assert lines[0].split() == ["path", "label", "probability", "then"]
    assert lines[1].split()[-2:] == ["0.0", "%"]
    with out.open(newline="") as file:
        row = next(csv.DictReader(file))
    assert list(row)[2:10] == [
        *("probability", "unfamiliar", "unfamiliarity", "top_2", "top_2_probability"),
        *("probability_blue", "probability_green", "probability_red"),
    ]
    assert float(row["probability_red"]) == 1.0


def test_pictures_are_copied_by_label(featx_run, featx_ends, model, new_photos, tmp_path):
    words = ["predict", model, new_photos, "--copy-to"]
    lines = featx_run(*words, tmp_path / "sorted").out.splitlines()
    assert lines[-1] == f"copies in {tmp_path / 'sorted'}: 7 pictures"
    folders = {path.name: len(list(path.iterdir())) for path in (tmp_path / "sorted").iterdir()}
    assert folders == {"blue": 2, "green": 2, "red": 2, "_failed": 1}
    ended = featx_ends(*words, new_photos / "sorted")
    assert ended.status == 2
    assert "so that copies would be predicted themselves" in ended.err
    assert not (new_photos / "sorted").exists()
    pattern = f"{new_photos}/**/*.png"
    ended = featx_ends("predict", model, pattern, "--copy-to", new_photos / "sorted")
    assert (ended.status, f"is in {pattern!r}, so that copies" in ended.err) == (2, True)
    assert not (new_photos / "sorted").exists()


def test_copies_go_into_a_folder_that_has_a_name(featx_ends, model, new_photos, tmp_path):
    (tmp_path / "x.csv").write_text("mine")
    for wrong, found in (("", "names none"), (str(tmp_path / "x.csv"), "is a file")):
        ended = featx_ends("predict", model, new_photos, "--copy-to", wrong)
        line = f"featx: --copy-to {wrong!r} {found}: expected a folder, or . for this one"
        assert (ended.status, ended.out, ended.err.startswith(line)) == (2, "", True)
