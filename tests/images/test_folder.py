"""A folder becomes the same list of images and labels, whatever lies in it."""

import os
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featx.errors import ImageSourceError
from featx.images.folder import IMAGE_SUFFIXES, ImageFolder


def plant(root: Path, *names: str) -> Path:
    """Make empty files, with their folders."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def relative(images: ImageFolder, root: Path) -> list[str]:
    return [Path(path).relative_to(root).as_posix() for path in images.paths]


def test_labels_are_the_first_folder_below_the_root(tmp_path):
    plant(tmp_path, "cat/1.jpg", "dog/old/2.png", "dog/1.jpg", "3.gif")
    images = ImageFolder.scan(tmp_path)
    assert relative(images, tmp_path) == ["3.gif", "cat/1.jpg", "dog/1.jpg", "dog/old/2.png"]
    assert images.labels == (None, "cat", "dog", "dog")
    assert images.classes == ("cat", "dog")
    assert not images.labelled
    assert len(images) == 4
    assert images.root == str(tmp_path)


def test_a_folder_whose_images_all_have_labels_is_labelled(tmp_path):
    assert ImageFolder.scan(plant(tmp_path, "cat/1.jpg", "dog/1.jpg")).labelled


def test_the_order_is_by_code_points_of_the_relative_path(tmp_path, monkeypatch):
    names = [
        "B/1.jpg",
        "a b/1.jpg",
        "a/10.jpg",
        "a/2.jpg",
        "a/b/1.jpg",
        "a.jpg",
        "é/1.jpg",
        "𝒜/1.jpg",
    ]
    plant(tmp_path, *names)
    listing = os.scandir

    class Shuffled:
        def __init__(self, folder):
            with listing(folder) as entries:
                self.entries = list(entries)
            random.Random(len(self.entries)).shuffle(self.entries)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *exception):
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert relative(ImageFolder.scan(tmp_path), tmp_path) == sorted(names)


def test_paths_open_from_the_current_directory(tmp_path, monkeypatch):
    plant(tmp_path, "photos/cat/1.jpg")
    monkeypatch.chdir(tmp_path)
    images = ImageFolder.scan("photos")
    assert images.paths == (os.path.join("photos", "cat", "1.jpg"),)
    assert os.path.exists(images.paths[0])


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_a_suffix_counts_in_any_case(tmp_path, suffix):
    plant(tmp_path, "lower" + suffix, "upper" + suffix.upper(), "other" + suffix + "x")
    images = ImageFolder.scan(tmp_path)
    assert relative(images, tmp_path) == ["lower" + suffix, "upper" + suffix.upper()]
    assert images.n_other == 1


def test_hidden_and_other_files_are_left_alone_and_counted(tmp_path):
    plant(tmp_path, "a/1.jpg", "a/._1.jpg", ".DS_Store", "a/Thumbs.db", "a/notes.txt", ".git/2.jpg")
    plant(tmp_path, "a/jpg", "a/.jpg")
    images = ImageFolder.scan(tmp_path)
    assert relative(images, tmp_path) == ["a/1.jpg"]
    assert images.n_other == 6


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    images = ImageFolder.scan(plant(tmp_path, "odd.jpg/1.png"))
    assert images.labels == ("odd.jpg",)


def test_links_to_folders_and_files_are_followed(tmp_path):
    plant(tmp_path, "elsewhere/1.jpg", "photos/dog/2.jpg")
    (tmp_path / "photos" / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "dog" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    images = ImageFolder.scan(tmp_path / "photos")
    assert relative(images, tmp_path / "photos") == ["cat/1.jpg", "dog/2.jpg", "dog/3.jpg"]
    assert images.labels == ("cat", "dog", "dog")


def test_loops_of_links_end(tmp_path):
    plant(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "here").symlink_to(".")
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    images = ImageFolder.scan(tmp_path)
    assert relative(images, tmp_path) == ["a/1.jpg", "a/other/2.jpg", "b/2.jpg", "b/other/1.jpg"]


def test_a_link_that_leads_nowhere_is_not_passed_over_in_silence(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert relative(ImageFolder.scan(tmp_path), tmp_path) == ["gone.jpg", "loop.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_named_like_an_image_is_none(tmp_path):
    plant(tmp_path, "1.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "pipe.jpg")
    images = ImageFolder.scan(tmp_path)
    assert relative(images, tmp_path) == ["1.jpg"]
    assert images.n_other == 2


def test_names_that_are_not_utf_8_work(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    with open(folder + b"/\xff.jpg", "wb") as file:
        file.write(b"pixels")
    images = ImageFolder.scan(tmp_path)
    assert images.labels == (os.fsdecode(b"caf\xe9"),)
    assert Path(images.paths[0]).read_bytes() == b"pixels"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ImageSourceError, match=r"nowhere' does not exist: expected a folder"):
        ImageFolder.scan(tmp_path / "nowhere")
    with pytest.raises(ImageSourceError, match=r"nowhere' does not exist: expected a folder"):
        ImageFolder.of(str(tmp_path / "nowhere"))


def test_a_file_is_no_folder(tmp_path):
    plant(tmp_path, "1.jpg", "table.csv")
    with pytest.raises(ImageSourceError, match=r"1\.jpg' is no folder: expected"):
        ImageFolder.scan(tmp_path / "1.jpg")
    with pytest.raises(ImageSourceError, match=r"table\.csv' is no image by its name: expected"):
        ImageFolder.of(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("names", "count"),
    [((), "0 other files"), (("a.txt",), "1 other file:"), (("a", "b/.jpg"), "2 other files")],
)
def test_a_folder_without_images_says_what_else_it_has(tmp_path, names, count):
    with pytest.raises(ImageSourceError, match=f"no images in .*, which has {count}"):
        ImageFolder.scan(plant(tmp_path, *names))


def test_an_unreadable_folder_is_an_error_and_no_gap(tmp_path, monkeypatch):
    plant(tmp_path, "a/1.jpg", "b/2.jpg")
    listing = os.scandir

    def refusing(folder):
        if str(folder).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return listing(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(ImageSourceError, match=r"cannot list the folder '.*b': Permission denied"):
        ImageFolder.scan(tmp_path)


def test_every_error_is_one_line(tmp_path):
    for source in (
        tmp_path,
        tmp_path / "no\nwhere",
        [],
        [1],
        7,
        {"a": 1},
        pd.DataFrame({"a": [1]}),
    ):
        with pytest.raises(ImageSourceError) as caught:
            ImageFolder.of(source)
        assert len(str(caught.value).splitlines()) == 1, str(caught.value)


def test_of_takes_a_folder_an_image_or_itself(tmp_path):
    plant(tmp_path, "cat/1.jpg")
    images = ImageFolder.of(tmp_path)
    assert images == ImageFolder.of(str(tmp_path)) == ImageFolder.scan(tmp_path)
    assert ImageFolder.of(images) is images
    single = ImageFolder.of(tmp_path / "cat" / "1.jpg")
    assert single == ImageFolder(paths=images.paths, labels=(None,))
    assert not single.labelled


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, pd.Series, pd.Index, lambda x: np.array(x, object)]
)
def test_a_sequence_of_paths_keeps_its_order_and_its_missing_files(tmp_path, kind):
    plant(tmp_path, "b.jpg", "a.jpg", "no_suffix")
    paths = [
        str(tmp_path / name) for name in ("b.jpg", "missing.jpg", "a.jpg", "no_suffix", "b.jpg")
    ]
    images = ImageFolder.of(kind(paths))
    assert images == ImageFolder(paths=tuple(paths), labels=(None,) * 5)
    assert {type(path) for path in images.paths} == {str}


def test_a_folder_in_a_list_becomes_its_images(tmp_path):
    plant(tmp_path, "x/cat/1.jpg", "x/2.jpg", "x/notes.txt", "y.jpg")
    images = ImageFolder.of([tmp_path / "y.jpg", tmp_path / "x", str(tmp_path / "y.jpg")])
    assert relative(images, tmp_path) == ["y.jpg", "x/2.jpg", "x/cat/1.jpg", "y.jpg"]
    assert images.labels == (None, None, "cat", None)
    assert images.n_other == 1
    assert images.root is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "the list of images is empty"),
        (np.array([]), "the list of images is empty"),
        (["a.jpg", 7], "item 1 of the images is a int: expected a path"),
        ([["a.jpg"]], "item 0 of the images is a list: expected a path, .* or a picture in memory"),
        (np.array([1, 2]), "item 0 of the images is a int: expected a path"),
        (None, "images are a NoneType: expected a folder of images"),
        ({"a.jpg"}, "images are a set: expected a folder of images"),
        (pd.DataFrame({"file": ["a.jpg"]}), r"has the columns \['file'\]: expected `path`"),
        (pd.DataFrame({"path": []}), "the DataFrame of images is empty"),
        (pd.DataFrame({"path": ["a.jpg", None]}), "row 1 of the column `path` is a "),
    ],
)
def test_what_names_no_images_is_an_error_that_says_what_it_is(source, message):
    with pytest.raises(ImageSourceError, match=message):
        ImageFolder.of(source)


def test_a_frame_gives_paths_and_labels(tmp_path):
    frame = pd.DataFrame(
        {"path": [tmp_path / "b.jpg", "a.jpg", "c.jpg", "d.jpg"], "label": ["x", 3, None, np.nan]},
        index=[9, 9, 1, 0],
    )
    images = ImageFolder.of(frame)
    assert images.paths == (str(tmp_path / "b.jpg"), "a.jpg", "c.jpg", "d.jpg")
    assert images.labels == ("x", "3", None, None)
    assert images.classes == ("3", "x")


def test_a_frame_without_labels_has_none():
    images = ImageFolder.of(pd.DataFrame({"path": ["b.jpg", "a.jpg"]}))
    assert images == ImageFolder(paths=("b.jpg", "a.jpg"), labels=(None, None))
