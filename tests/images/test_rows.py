"""Labels of a table find their pictures, and what finds none is said."""

import os

import pandas as pd
import pytest

from featx.errors import ImageSourceError, OptionError
from featx.images.folder import ImageFolder


@pytest.fixture
def photos(tmp_path):
    """Four pictures, in two folders that are no classes."""
    for name in ("monday/1.jpg", "monday/2.jpg", "tuesday/3.jpg", "tuesday/4.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def table(*paths: object, **columns: object) -> pd.DataFrame:
    labels = ["cat", "dog", "cat", "dog", "cat", "dog"][: len(paths)]
    return pd.DataFrame({"path": paths, "label": labels, **columns})


NAMES = ("monday/1.jpg", "monday/2.jpg", "tuesday/3.jpg", "tuesday/4.jpg")


@pytest.mark.parametrize("start", ["", "photos/", "{}/"], ids=["folder", "table", "absolute"])
def test_labels_of_a_table_take_the_place_of_the_folders_names(photos, start):
    place = photos.parent / "labels.csv"
    table(*(start.format(photos) + name for name in reversed(NAMES))).to_csv(place, index=False)
    images = ImageFolder.of(photos, labels=place)
    assert images.paths == ImageFolder.of(photos).paths
    assert images.labels == ("dog", "cat", "dog", "cat")
    assert images.notes == ()


def test_a_table_in_memory_and_a_root_do_too(photos, tmp_path_factory, monkeypatch):
    frame = table(*(f"photos/{name}" for name in NAMES), patient=[1, 1, 2, 2])
    images = ImageFolder.of(photos, labels=frame, root=photos.parent)
    assert images.labels == ("cat", "dog", "cat", "dog")
    assert images.table.column("patient").tolist() == [1, 1, 2, 2]
    assert ImageFolder.of(photos, frame, f"{photos.parent}/.").labels == images.labels
    paths = list(images.paths)
    assert ImageFolder.of(paths, labels=table(*paths[::-1])).labels == ("dog", "cat", "dog", "cat")


@pytest.mark.parametrize("how", ["", ", without suffix"])
def test_names_of_files_will_do_where_they_are_unique(photos, how):
    names = [f"{number}.jpg" if not how else number for number in (1, 2, 3, 4)]
    images = ImageFolder.of(photos, labels=table(*names))
    assert images.labels == ("cat", "dog", "cat", "dog")
    assert images.notes == (
        f"pictures are found in the table of images by the names of the files alone{how}",
    )


def test_names_of_files_that_are_not_unique_are_not_guessed(photos):
    (photos / "tuesday" / "1.jpg").touch()
    with pytest.raises(ImageSourceError, match=r"names none of the 5 pictures: its first row is 1"):
        ImageFolder.of(photos, labels=table("1.jpg", "2.jpg"))


def test_what_is_missing_on_either_side_is_left_out_and_said(photos):
    frame = table("monday/1.jpg", "tuesday/4.jpg", "gone.jpg", None)
    images = ImageFolder.of(photos, labels=frame)
    assert [os.path.basename(path) for path in images.paths] == ["1.jpg", "4.jpg"]
    assert images.labels == ("cat", "dog")
    assert images.notes == (
        "2 of 4 pictures have no row in the table of images and are left out, such as "
        f"{photos}/monday/2.jpg",
        "2 of 4 rows of the table of images have no picture, such as gone.jpg",
    )


def test_rows_that_contradict_each_other_are_a_mistake_and_others_are_not(photos):
    frame = table(NAMES[0], NAMES[1], NAMES[0])
    assert ImageFolder.of(photos, labels=frame).labels == ("cat", "dog")
    with pytest.raises(ImageSourceError, match=r"gives .*1\.jpg the labels cat, dog: expected one"):
        ImageFolder.of(photos, labels=table(NAMES[0], NAMES[0]))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("labels.csv", "labels 'labels.csv' does not exist: expected a class number or name for"),
        (".", "labels '.' is no table: expected .* a table whose name ends in .csv"),
        (table("a.jpg").rename(columns={"label": "sort"}), "columns path, sort: expected `label`"),
        (table("a.jpg"), "names none of the 4 pictures: its first row is a.jpg, the first picture"),
    ],
)
def test_labels_that_are_no_table_of_the_pictures_are_refused(photos, labels, message):
    with pytest.raises((ImageSourceError, OptionError), match=message):
        ImageFolder.of(photos, labels=labels)


def test_a_table_that_has_labels_takes_no_others(photos):
    frame = table(*(str(photos / name) for name in NAMES))
    with pytest.raises(OptionError, match="have labels already"):
        ImageFolder.of(frame, labels=frame)
    bare = frame.drop(columns="label")
    assert ImageFolder.of(bare, labels=frame).labels == ("cat", "dog", "cat", "dog")


def test_a_table_without_paths_labels_pictures_in_their_order(photos):
    paths = [str(photos / name) for name in NAMES]
    frame = pd.DataFrame({"sort": ["a", "a", "b", "b"], "note": ""})
    images = ImageFolder.of(paths, labels=frame, label_column="sort")
    assert images.labels == ("a", "a", "b", "b")
