"""Predictions are a row for each file: to print, to tabulate, to draw."""

import json
import math

import fakes
import numpy as np
import pytest
from sklearn.svm import SVC

import featx
from featx.errors import OptionError
from featx.images.decode import Outcome
from featx.models.predictions import Predictions
from featx.text import percent


def outcome(name, reason=""):
    return Outcome("failed" if reason else "embedded", reason=reason, path=name)


@pytest.fixture
def sure():
    """What a model that answers all says of three files."""
    return Predictions(
        outcomes=(outcome("a.jpg"), outcome("b.jpg", "empty file"), outcome("c.jpg")),
        best_guess=np.array(["cat", None, "bee"], dtype=object),
        probability=np.array([0.9, math.nan, math.nan]),
    )


@pytest.fixture
def careful(sure):
    """What a model that rejects says of them: it is sure of the first."""
    return Predictions(
        outcomes=sure.outcomes,
        best_guess=sure.best_guess,
        probability=np.array([0.9, math.nan, 0.4]),
        answered=np.array([True, False, False]),
    )


def test_each_file_has_a_row_of_plain_values(sure):
    assert sure.rows == [
        {
            "path": "a.jpg",
            "label": "cat",
            "probability": 0.9,
            "outcome": "embedded",
            "reason": None,
        },
        {
            "path": "b.jpg",
            "label": None,
            "probability": None,
            "outcome": "failed",
            "reason": "empty file",
        },
        {
            "path": "c.jpg",
            "label": "bee",
            "probability": None,
            "outcome": "embedded",
            "reason": None,
        },
    ]
    assert json.loads(json.dumps(sure.rows)) == sure.rows
    assert len(sure) == 3
    assert repr(sure) == "Predictions(3 images)"


def test_where_a_model_rejects_the_best_guess_stands_beside_the_label(careful):
    assert [list(row) for row in careful.rows] == [
        ["path", "label", "best_guess", "probability", "outcome", "reason"]
    ] * 3
    assert [(row["label"], row["best_guess"], row["probability"]) for row in careful.rows] == [
        ("cat", "cat", 0.9),
        (None, None, None),
        (None, "bee", 0.4),
    ]
    assert json.loads(json.dumps(careful.rows)) == careful.rows


def test_cells_say_which_are_unsure_and_why_files_have_no_label(sure, careful):
    assert sure.cells == [
        ["a.jpg", "cat", "90.0 %"],
        ["b.jpg", "-", "failed: empty file"],
        ["c.jpg", "bee", "-"],
    ]
    assert careful.cells[1:] == [
        ["b.jpg", "-", "failed: empty file"],
        ["c.jpg", "unsure (bee?)", "40.0 %"],
    ]


def test_the_frame_has_the_columns_of_the_rows(careful):
    frame = careful.to_frame()
    assert list(frame.columns) == list(careful.rows[0])
    assert frame.path.tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert frame.label.isna().tolist() == [False, True, True]
    assert frame.best_guess.isna().tolist() == [False, True, False]
    assert frame.probability.tolist() == pytest.approx([0.9, math.nan, 0.4], nan_ok=True)
    assert frame.outcome.tolist() == ["embedded", "failed", "embedded"]


# ---------------------------------------------------------------- of a model


@pytest.fixture
def model(photos, fake_engine):
    return featx.train(photos, "knn")


def test_they_are_the_labels_and_probabilities_that_the_model_predicts(model, new_photos):
    predictions = model.predictions(new_photos)
    assert predictions.best_guess.tolist() == model.predict(new_photos).tolist()
    shares = model.predict_proba(new_photos).max(axis=1)
    assert predictions.probability.tolist() == shares.tolist()
    assert predictions.answered is None
    assert predictions.true == ["blue", "blue", "green", "green", "red", "red"]
    assert [each.path for each in predictions.outcomes] == list(
        featx.ImageFolder.of(new_photos).paths
    )


def test_a_file_that_cannot_be_read_keeps_its_place(model, new_photos):
    (new_photos / "blue" / "0.jpg").write_text("no picture")
    predictions = model.predictions(new_photos)
    assert len(predictions) == 7
    assert predictions.best_guess.tolist() == [
        None,
        *["blue", "blue", "green", "green", "red", "red"],
    ]
    assert np.isnan(predictions.probability).tolist() == [True] + [False] * 6
    assert predictions.true == predictions.best_guess.tolist()
    row = predictions.rows[0]
    assert (row["label"], row["outcome"]) == (None, "failed")
    assert row["reason"] == predictions.outcomes[0].reason != ""
    assert predictions.cells[0] == [row["path"], "-", f"failed: {row['reason']}"]


def test_the_truth_is_told_only_where_it_is_a_class_of_the_model(model, new_photos, tmp_path):
    paths = sorted(map(str, new_photos.glob("*/*")))
    assert model.predictions(paths).true is None, "a list of files has no classes"
    (new_photos / "green").rename(new_photos / "grass")
    assert model.predictions(new_photos).true == ["blue", "blue", "grass", "grass", "red", "red"]
    strangers = fakes.draw(tmp_path / "strangers" / "tiger" / "1.png", (200, 40, 40)).parents[1]
    assert model.predictions(strangers).true is None


def test_a_classifier_without_probabilities_predicts_all_the_same(photos, new_photos, fake_engine):
    predictions = featx.train(photos, SVC()).predictions(new_photos)
    assert predictions.best_guess.tolist() == ["blue", "blue", "green", "green", "red", "red"]
    assert np.isnan(predictions.probability).all()
    assert [row["probability"] for row in predictions.rows] == [None] * 6
    assert {cells[2] for cells in predictions.cells} == {"-"}


def test_images_that_a_model_is_unsure_of_have_a_best_guess_and_no_label(cloud):
    model = featx.train(cloud(each=40, distance=0.4), "centroid", reject=0.85)
    new = cloud(each=20, distance=0.4, seed=1)
    labels = model.predict(new)
    unsure = labels == featx.UNSURE
    assert 0 < unsure.sum() < len(new)
    predictions = model.predictions(new)
    assert predictions.answered.tolist() == (~unsure).tolist()
    assert predictions.best_guess.tolist() == model.predict(new, answer_all=True).tolist()
    columns = [model.classes.index(label) for label in predictions.best_guess]
    shares = model.predict_proba(new)[np.arange(len(new)), columns]
    assert predictions.probability.tolist() == shares.tolist()
    every = model.predictions(new, answer_all=True)
    assert every.answered.tolist() == [True] * len(new)
    assert every.best_guess.tolist() == predictions.best_guess.tolist()
    assert [row["label"] for row in every.rows] == predictions.best_guess.tolist()


def test_features_without_outcomes_have_a_row_for_each_path(cloud):
    model, new = featx.train(cloud(), "centroid"), cloud(seed=1)
    assert new.outcomes == ()
    rows = model.predictions(new).rows
    assert [row["path"] for row in rows] == new.paths.tolist()
    assert [row["label"] for row in rows] == model.predict(new).tolist()


# ---------------------------------------------------------------- drawn


def shown(figure):
    """Return the titles of the pictures, and the mean colours of these."""
    drawn = [ax for ax in figure.axes if ax.images]
    colours = [ax.images[0].get_array().mean(axis=(0, 1)) for ax in drawn]
    return [ax.get_title() or ax.texts[0].get_text() for ax in drawn], colours


def test_the_pictures_that_could_be_read_are_drawn_in_order(model, new_photos):
    (new_photos / "blue" / "0.jpg").write_text("no picture")
    (new_photos / "green" / "100.png").rename(new_photos / "red" / "wrong.png")
    titles, colours = shown(model.predictions(new_photos).plot(columns=3))
    assert [title.split("\n")[0].split()[0] for title in titles] == [
        *["blue", "blue", "green", "red", "red", "green"]
    ]
    assert [int(each.argmax()) for each in colours] == [2, 2, 1, 0, 0, 1]
    assert "red" in titles[-1], "the truth stands beside a mistake"
    assert "red" not in titles[2]


def test_an_image_that_the_model_is_unsure_of_is_drawn_as_unsure(new_photos):
    paths = sorted(map(str, new_photos.glob("*/*")))[:2]
    predictions = Predictions(
        outcomes=tuple(outcome(path) for path in paths),
        best_guess=np.array(["blue", "blue"], dtype=object),
        probability=np.array([0.9, 0.4]),
        answered=np.array([True, False]),
    )
    titles, _ = shown(predictions.plot())
    assert [title.replace("\n", " ").split(" ")[0] for title in titles] == ["blue", "unsure"]
    assert "(blue?)" in titles[1]


def test_where_nothing_can_be_read_there_is_nothing_to_draw():
    nothing = Predictions((outcome("a.jpg", "empty file"),), np.array([None]), np.array([math.nan]))
    with pytest.raises(OptionError, match=r"a gallery needs .* at least one: got 0"):
        nothing.plot()
    assert nothing.to_frame().reason.tolist() == ["empty file"]
    assert nothing.cells == [["a.jpg", "-", "failed: empty file"]]


# ---------------------------------------------------------------- nothing to say


@pytest.mark.parametrize("rejects", [False, True])
def test_an_empty_folder_gives_no_row_but_the_columns(photos, tmp_path, fake_engine, rejects):
    model = featx.train(photos, "logistic", reject=0.8 if rejects else None)
    (tmp_path / "inbox").mkdir()
    for source in (tmp_path / "inbox", [tmp_path / "inbox"], []):
        predictions = model.predictions(source)
        assert len(predictions) == 0
        assert predictions.rows == []
        frame = predictions.to_frame()
        assert list(frame.columns) == predictions.columns == list(model.predictions(photos).columns)
        first, note = predictions.summary.split("\n")
        assert first == "0 pictures"
        assert note.startswith(("no images in", "the list of images is empty"))
        predictions.save(tmp_path / "x.csv")
        assert (tmp_path / "x.csv").read_text().rstrip() == ",".join(predictions.columns)


def test_files_that_all_are_broken_have_a_row_each(model, tmp_path):
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_text("no picture")
    predictions = model.predictions([tmp_path / "a.jpg", tmp_path / "b.png"], probabilities=True)
    assert [(row["label"], row["outcome"]) for row in predictions.rows] == [(None, "failed")] * 2
    assert all(row["reason"] for row in predictions.rows)
    assert predictions.rows[0]["probability_red"] is None
    assert predictions.summary == "2 pictures: 2 failed"
    assert predictions.n_failed == 2
    with pytest.raises(featx.FeatxError, match=r"cannot read .*a\.jpg"):
        model.predictions(tmp_path / "a.jpg", on_error="raise")


def test_an_empty_folder_among_others_is_noted(model, new_photos, tmp_path):
    (tmp_path / "inbox").mkdir()
    predictions = model.predictions([new_photos / "red", tmp_path / "inbox"])
    assert predictions.counts == {"red": 2}
    assert predictions.summary.split("\n")[1].startswith("no images in ")


def test_a_folder_that_is_not_there_is_a_mistake(model, tmp_path):
    for source in (tmp_path / "nowhere", [tmp_path / "nowhere", "gone.jpg"]):
        with pytest.raises(featx.FeatxError, match=r"nowhere.* (does not exist|no such file)"):
            model.predictions(source)
    assert model.predictions([b"no picture"]).n_failed == 1


# ---------------------------------------------------------------- several classes


def test_the_most_probable_classes_come_in_order(cloud):
    model, new = featx.train(cloud(), "logistic"), cloud(seed=1)
    predictions = model.predictions(new, top=2, probabilities=True)
    shares = model.predict_proba(new)
    for row, each in zip(predictions.rows, shares, strict=True):
        order = np.argsort(-each)
        assert [row["label"], row["top_2"]] == [model.classes[column] for column in order[:2]]
        assert [row["probability"], row["top_2_probability"]] == [each[order[0]], each[order[1]]]
        assert [row[f"probability_{name}"] for name in model.classes] == each.tolist()
    assert list(predictions.rows[0]) == predictions.columns
    assert predictions.header == ["path", "label", "probability", "then"]
    row = predictions.rows[0]
    assert predictions.cells[0][3] == f"{row['top_2']} {percent(row['top_2_probability'])}"
    assert np.array_equal(predictions.probabilities, shares)


def test_more_classes_than_there_are_leave_cells_empty(cloud):
    predictions = featx.train(cloud(), "knn").predictions(cloud(seed=1), top=5)
    row = predictions.rows[0]
    assert row["top_3"] is not None
    assert row["top_4"] is row["top_5_probability"] is None


@pytest.mark.parametrize("top", [0, -1, 1.5, True, "3"], ids=repr)
def test_a_number_of_classes_that_cannot_be_is_told(cloud, top):
    with pytest.raises(OptionError, match=r"top .*: expected how many classes"):
        featx.train(cloud(), "knn").predictions(cloud(seed=1), top=top)


@pytest.mark.parametrize("asked", [{"top": 2}, {"probabilities": True}], ids=str)
def test_a_classifier_without_probabilities_names_one_class(cloud, asked):
    model = featx.train(cloud(), SVC())
    with pytest.raises(OptionError, match="gives no probabilities: leave out top"):
        model.predictions(cloud(seed=1), **asked)


def test_the_summary_counts_labels_and_what_is_unsure(cloud):
    model = featx.train(cloud(each=40, distance=0.4), "centroid", reject=0.85)
    predictions = model.predictions(cloud(each=20, distance=0.4, seed=1))
    counts = predictions.counts
    answers, strange = sum(counts.values()), predictions.n_unfamiliar
    assert answers + predictions.n_unsure + strange == 60
    labels = ", ".join(f"{name} {n}" for name, n in counts.items())
    assert predictions.summary == (
        f"60 pictures: {answers} labelled ({labels}), {predictions.n_unsure} unsure, "
        f"{strange} unfamiliar"
    )
    document = json.loads(json.dumps(predictions.to_dict()))
    assert document["predictions"] == json.loads(json.dumps(predictions.rows))
    assert document["labels"] == [{"label": name, "n_images": n} for name, n in counts.items()]
    assert document["n_unsure"] == predictions.n_unsure
