"""Parts of a data set, of folders or of a table, are told apart."""

from pathlib import Path

import pandas as pd
import pytest
from fakes import plant

from featx.images.division import Division
from featx.images.folder import ImageFolder


def names(images: ImageFolder, root: Path) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in images.paths]


FOLDERS = (
    "Train/cat/1.jpg",
    "Train/dog/old/2.jpg",
    "validation/cat/3.jpg",
    "testing/dog/old/4.jpg",
    "5.jpg",
)


def test_folders_divide_images_and_those_below_are_the_classes(tmp_path):
    division = Division.of(ImageFolder.of(plant(tmp_path, *FOLDERS)))
    learned = division.to_learn()
    assert names(learned, tmp_path) == list(FOLDERS[:2])
    assert learned.labels == ("cat", "dog")
    assert learned.parts is None
    assert names(division.test, tmp_path) == ["testing/dog/old/4.jpg"]
    assert division.test.labels == ("dog",)
    where = f"{str(tmp_path)!r} has parts of a data set: "
    rest = "no part (1 image), validation (1 image)"
    assert learned.notes == (
        f"{where}learned from Train (2 images), measured on testing (1 image), left alone: {rest}",
    )
    assert division.to_learn(measuring=False).notes == (
        f"{where}learned from Train (2 images), left alone: testing (1 image), {rest}",
    )
    assert division.to_measure().notes == (
        f"{where}measured on testing (1 image), left alone: Train (2 images), {rest}",
    )


def test_the_class_may_be_the_last_folder_also_within_a_part(tmp_path):
    images = ImageFolder.of(plant(tmp_path, *FOLDERS), classes_from="last")
    assert Division.of(images, "last").training.labels == ("cat", "old")


def test_val_is_measured_on_where_there_is_no_test(tmp_path):
    images = ImageFolder.of(plant(tmp_path, "train/cat/1.jpg", "valid/cat/2.jpg"))
    assert names(Division.of(images).test, tmp_path) == ["valid/cat/2.jpg"]


def test_a_test_without_classes_is_left_alone(tmp_path):
    images = ImageFolder.of(plant(tmp_path, "train/cat/1.jpg", "test/2.jpg"))
    division = Division.of(images)
    assert division.test is None
    assert "left alone: test (1 image without classes)" in division.to_learn().notes[0]
    assert division.to_measure() is images, "training images are no test"


@pytest.mark.parametrize("planted", [["train/1.jpg", "test/2.jpg"], ["cat/1.jpg", "dog/2.jpg"]])
def test_what_has_no_classes_in_parts_or_no_parts_stays_as_it_is(tmp_path, planted):
    images = ImageFolder.of(plant(tmp_path, *planted))
    division = Division.of(images)
    assert division.to_learn() is division.to_measure() is images
    assert division.test is None


def table(*split: object) -> pd.DataFrame:
    paths = [f"{number}.jpg" for number in range(len(split))]
    return pd.DataFrame({"path": paths, "label": ["cat", "dog"] * (len(split) // 2)}).assign(
        Split=split
    )


def test_a_column_divides_images(tmp_path):
    images = ImageFolder.of(table("train", "TRAIN ", "test", "val", None, "test"))
    division = Division.of(images)
    assert division.training.paths == ("0.jpg", "1.jpg")
    assert division.training.labels == ("cat", "dog")
    assert division.test.paths == ("2.jpg", "5.jpg")
    assert division.to_learn().notes == (
        "the column `split` of the table of images has parts of a data set: learned from train "
        "(2 images), measured on test (2 images), left alone: no part (1 image), val (1 image)",
    )


@pytest.mark.parametrize(
    "split", [(0, 1, 2, 3), ("a", "train", "test", "b"), ("train",) * 4, ("test", "val") * 2]
)
def test_a_column_of_other_cells_divides_nothing(split):
    images = ImageFolder.of(table(*split))
    assert Division.of(images).to_learn() is images


def test_labels_of_a_table_hold_in_the_parts_of_a_folder(tmp_path):
    root = plant(tmp_path, "train/1.jpg", "train/2.jpg", "test/3.jpg", "test/4.jpg")
    paths = ["train/1.jpg", "train/2.jpg", "test/3.jpg", "test/4.jpg"]
    labels = pd.DataFrame({"path": paths, "label": ["cat", "dog", "cat", "dog"]})
    division = Division.of(ImageFolder.of(root, labels=labels))
    assert division.training.labels == division.test.labels == ("cat", "dog")
    assert names(division.training, root) == ["train/1.jpg", "train/2.jpg"]


def test_a_list_may_leave_out_the_whole_part_to_learn_from(tmp_path):
    root = plant(tmp_path, "train/cat/1.jpg", "test/cat/2.jpg")
    images = ImageFolder.of(root, exclude=["train/cat/1.jpg"])
    assert Division.of(images).to_learn() is images


def test_labels_that_are_the_number_0_are_labels(tmp_path):
    root = plant(tmp_path, "train/1.jpg", "test/2.jpg")
    labels = pd.DataFrame({"path": ["train/1.jpg", "test/2.jpg"], "label": [0, 0]})
    division = Division.of(ImageFolder.of(root, labels=labels))
    assert division.training.labels == division.test.labels == (0,)
