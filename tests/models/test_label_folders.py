"""Pictures are copied into folders of their labels, and nothing is lost on the way."""

import os
from dataclasses import replace

import fakes
import numpy as np
import pytest

import featx
from featx.errors import OptionError
from featx.images.decode import Outcome
from featx.models.label_folders import folder_names
from featx.models.predictions import Predictions


@pytest.fixture
def inbox(tmp_path):
    """Five pictures, of which two have one name, and a file that is no picture."""
    root = fakes.draw_folder(tmp_path / "inbox", classes=("red", "blue"), each=2)
    fakes.draw(root / "odd.png", (5, 5, 5))
    (root / "bad.jpg").write_text("no picture")
    return root


@pytest.fixture
def predictions(inbox):
    """What a model says that is unsure of the last of four, and finds one unfamiliar."""
    paths = [f"{name}/{number:03d}.png" for name in ("blue", "red") for number in (0, 1)]
    files = [str(inbox / path) for path in (*paths, "odd.png", "bad.jpg")]
    return Predictions(
        outcomes=tuple(Outcome("embedded", path=path) for path in files),
        best_guess=np.array(["b", "b", "b", "r", "r", None], dtype=object),
        probability=np.array([0.9, 0.9, 0.9, 0.4, 0.9, np.nan]),
        answered=np.array([True, True, True, False, True, False]),
        unfamiliarity=np.array([0.1, 0.1, 0.1, 0.1, 3.0, np.nan]),
        classes=("b", "r"),
    )


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_picture_is_in_the_folder_of_its_label_and_stays_where_it_was(
    predictions, inbox, tmp_path
):
    before = tree(inbox)
    copies = predictions.copy_to(tmp_path / "sorted")
    assert tree(tmp_path / "sorted") == [
        *("_failed/bad.jpg", "_unfamiliar/odd.png", "_unsure/001.png"),
        *("b/000-2.png", "b/000.png", "b/001.png"),
    ]
    assert tree(inbox) == before
    assert list(copies) == [outcome.path for outcome in predictions.outcomes]
    for source, copy in copies.items():
        with open(source, "rb") as one, open(copy, "rb") as other:
            assert one.read() == other.read()
        assert os.stat(source).st_mtime_ns == os.stat(copy).st_mtime_ns


def test_no_folder_is_called_as_a_device_of_windows():
    names = folder_names(["CON", "nul.x", "com1", "cone", "_CON"])
    assert list(names.values()) == ["_CON", "_nul.x", "_com1", "cone", "_CON-2"]


def test_a_folder_without_a_name_is_refused(predictions):
    with pytest.raises(OptionError, match="the folder for the copies is ''"):
        predictions.copy_to("")


def test_a_second_night_copies_nothing_again(predictions, tmp_path):
    first = predictions.copy_to(tmp_path / "sorted")
    before = {path: os.stat(path).st_ino for path in first.values()}
    assert predictions.copy_to(tmp_path / "sorted") == first
    assert {path: os.stat(path).st_ino for path in first.values()} == before
    assert len(tree(tmp_path / "sorted")) == 6


def test_where_all_are_answered_unfamiliar_ones_go_to_their_label(predictions, tmp_path):
    every = replace(predictions, answered=np.ones(6, bool), answer_all=True)
    every.copy_to(tmp_path / "sorted")
    assert tree(tmp_path / "sorted")[-2:] == ["r/001.png", "r/odd.png"]


def test_files_that_are_gone_and_pictures_in_memory_have_no_copy(fake_engine, inbox, tmp_path):
    pictures = sorted(map(str, inbox.glob("*/*.png")))
    model = featx.train(pictures, "knn", labels=["b", "b", "r", "r"])
    (gone, kept) = [str(inbox / "red" / name) for name in ("000.png", "001.png")]
    predictions = model.predictions([gone, np.zeros((9, 9, 3), np.uint8), kept])
    os.unlink(gone)
    assert list(predictions.copy_to(tmp_path / "sorted")) == [kept]


@pytest.mark.parametrize(
    "label", ["../../etc", "/etc/passwd", "..", ".", "", "a\x00b", "x" * 400, "_unsure", "ü" * 300]
)
def test_no_label_leads_elsewhere(label, predictions, tmp_path):
    guess = np.array([label] * 5 + [None], dtype=object)
    hostile = replace(predictions, best_guess=guess, classes=(label, "r"))
    copies = hostile.copy_to(tmp_path / "sorted")
    for copy in copies.values():
        assert os.path.dirname(os.path.dirname(os.path.realpath(copy))) == str(tmp_path / "sorted")
    assert len(set(copies.values())) == 6
    assert "_unsure/001.png" in tree(tmp_path / "sorted")


def test_labels_that_look_alike_have_folders_of_their_own():
    labels = ["Disc", "disc", "a/b", "a_b", "a?b", 7, True, "_failed"]
    names = folder_names(labels)
    assert len({name.casefold() for name in names.values()}) == len(labels)
    assert names["Disc"] == "Disc"
    assert names["disc"] == "disc-2"
    assert names["_failed"] == "_failed-2"
    assert names[7] == "7"
    assert folder_names(labels) == names
