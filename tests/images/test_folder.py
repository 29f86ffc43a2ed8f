"""A folder becomes the same list of images and labels, whatever lies in it."""

import os
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import plant

from featx.errors import ImageSourceError, OptionError
from featx.images.folder import ImageFolder
from featx.images.listing import IMAGE_SUFFIXES, LEFT_BEHIND


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
    assert relative(images, tmp_path) == ["a/1.jpg", "b/2.jpg"]


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
    with pytest.raises(
        ImageSourceError,
        match=r"nowhere' does not exist: expected a folder of images, an archive \(\.zip, \.tar\)",
    ) as told:
        ImageFolder.of(str(tmp_path / "nowhere"))
    assert "DataFrame" not in str(told.value), "who gives a path may be at the shell"


def test_a_file_is_no_folder(tmp_path):
    plant(tmp_path, "1.jpg", "table.csv")
    with pytest.raises(ImageSourceError, match=r"1\.jpg' is no folder: expected"):
        ImageFolder.scan(tmp_path / "1.jpg")
    with pytest.raises(
        ImageSourceError, match=r"table\.csv' is no table that can be read .*: expected the names"
    ):
        ImageFolder.of(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ((), "holds no file"),
        (("a.txt",), "has 1 other file:"),
        (("a", "b/.jpg"), "has 2 other files"),
    ],
)
def test_a_folder_without_images_says_what_else_it_has(tmp_path, names, count):
    with pytest.raises(ImageSourceError, match=f"no images in .*, which {count}"):
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


def test_a_table_in_a_list_becomes_its_images_with_their_labels(tmp_path):
    plant(tmp_path, "photos/cat/1.jpg", "photos/dog/2.jpg", "kept/3.jpg")
    (tmp_path / "kept" / "table.csv").write_text("path,label,kind\n3.jpg,dog,fox\n")
    several = [str(tmp_path / "photos"), str(tmp_path / "kept" / "table.csv")]
    images = ImageFolder.of(several)
    assert relative(images, tmp_path) == ["photos/cat/1.jpg", "photos/dog/2.jpg", "kept/3.jpg"]
    assert images.labels == ("cat", "dog", "dog")
    assert ImageFolder.of(several, label_column="kind").labels == ("cat", "dog", "fox")


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
        (pd.DataFrame({"file": ["a.jpg"]}), "has the columns file: expected `path`; name the one"),
        (pd.DataFrame({"path": []}), "the table of images is empty"),
        (
            pd.DataFrame({"path": ["a.jpg", None]}),
            "row 1 of the column `path` is missing: expected a path",
        ),
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


# ---------------------------------------------------------------- folders linked to each other


def test_folders_that_link_to_each_other_are_listed_once(tmp_path):
    folders = [tmp_path / f"class{number}" for number in range(8)]
    for folder in folders:
        plant(folder, "1.jpg", "2.jpg")
    for folder in folders:
        for other in folders:
            if other != folder:
                (folder / f"see {other.name}").symlink_to(other)
    images = ImageFolder.scan(tmp_path)
    names = [f"class{number}/{name}.jpg" for number in range(8) for name in (1, 2)]
    assert relative(images, tmp_path) == names
    (note,) = images.notes
    assert note.startswith("counted once, since it is a link to a folder listed already: class0/")
    assert note.endswith(" and 48 more")


def test_what_several_links_lead_to_counts_under_the_least_deep_then_the_first(tmp_path):
    plant(tmp_path, "elsewhere/1.jpg", "elsewhere/in/2.jpg", "photos/z/3.jpg")
    for link in ("photos/c", "photos/b", "photos/z/a"):
        (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "a").symlink_to(tmp_path / "photos" / "z")
    images = ImageFolder.scan(tmp_path / "photos")
    assert relative(images, tmp_path / "photos") == ["b/1.jpg", "b/in/2.jpg", "z/3.jpg"]
    empty = "a link to a folder listed already"
    assert images.notes == (
        f"no class, since no picture is in the folder: a ({empty}), c ({empty})",
        "counted once, since it is a link to a folder listed already: z/a",
    )


def test_an_empty_folder_among_pictures_without_classes_is_no_missing_class(tmp_path):
    plant(tmp_path, "1.jpg")
    (tmp_path / "later").mkdir()
    assert ImageFolder.scan(tmp_path).notes == ("no picture in the folder: later (it is empty)",)


# ---------------------------------------------------------------- what other programs leave behind


@pytest.mark.parametrize("folder", ["@eaDir", "@eadir", *sorted(LEFT_BEHIND), ".thumbnails"])
def test_what_other_programs_leave_behind_is_no_class_and_no_picture(tmp_path, folder):
    plant(tmp_path, "cat/1.jpg", f"cat/{folder}/1.jpg/thumb.jpg", f"{folder}/old/2.jpg")
    plant(tmp_path, "cat/._1.jpg", "cat/:2e_1.jpg", "._cat/1.jpg", "Thumbs.db")
    images = ImageFolder.scan(tmp_path)
    assert relative(images, tmp_path) == ["cat/1.jpg"]
    assert images.notes == ()
    assert images.n_other == 3 + (0 if folder.startswith(".") else 2)


def test_a_folder_that_is_asked_for_may_have_any_name(tmp_path):
    plant(tmp_path, "lost+found/cat/1.jpg")
    assert ImageFolder.scan(tmp_path / "lost+found").labels == ("cat",)


# ---------------------------------------------------------------- folders and names of classes


def test_a_class_folder_without_a_picture_is_named_with_what_it_has(tmp_path):
    plant(tmp_path, "cat/1.jpg", "dog/1.NEF", "dog/old/2.nef", "dog/3.svg", "notes/readme", "x.txt")
    (tmp_path / "cow").mkdir()
    (tmp_path / ".git").mkdir()
    (note,) = ImageFolder.scan(tmp_path).notes
    assert note == (
        "no class, since no picture is in the folder: cow (it is empty), dog (2 .nef, 1 .svg: "
        "convert them to .jpg, .png or .tif if they are pictures), notes (1 without a suffix: "
        "convert them to .jpg, .png or .tif if they are pictures)"
    )


def test_one_class_in_two_forms_of_unicode_or_with_stray_spaces_is_one(tmp_path):
    plant(tmp_path, "caf\u00e9/1.jpg", "cafe\u0301/2.jpg", " dog/1.jpg", "dog\u3000/2.jpg")
    images = ImageFolder.scan(tmp_path)
    assert images.classes == ("caf\u00e9", "dog")
    assert images.notes == (
        "classes are named without spaces at the ends and in composed Unicode, NFC: "
        r"' dog' is dog, 'cafe\u0301' is café, 'dog\u3000' is dog",
    )
    table = pd.DataFrame(
        {"path": list("abcd"), "label": ["dog ", "dog", "cafe\u0301", "caf\u00e9"]}
    )
    assert ImageFolder.of(table).labels == ("dog", "dog", "caf\u00e9", "caf\u00e9")
    listed = ImageFolder.of(["a.jpg", "b.jpg"], ["dog", "dog\n"])
    assert (listed.labels, len(listed.notes)) == (("dog", "dog"), 1)


def test_classes_that_look_alike_are_named_and_stay_two():
    images = ImageFolder.of(list("abcdefgh"), ["Disc", "disc", "hot_dog", "hot dog", *"Aa", -1, 1])
    assert len(images.classes) == 8
    assert images.notes == (
        "classes that look alike and count as different: 'Disc' and 'disc', 'hot dog' and "
        "'hot_dog'",
    )


# ---------------------------------------------------------------- parts of a data set


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.jpg", "test/cat/3.jpg"],
            "{} has parts of a data set, not classes: train, test, val; learn from {}/train "
            "(classes cat, dog), and measure on {}/test or {}/val, by evaluate "
            "or while training (--test, in Python test=)",
        ),
        (
            ["Training/cat/1.jpg", "VALID/cat/2.jpg", "other/3.jpg"],
            "{} has parts of a data set, not classes: Training, VALID; learn from {}/Training "
            "(classes cat), and measure on {}/VALID, by evaluate or while "
            "training (--test, in Python test=)",
        ),
        (
            ["train/cat/1.jpg", "test/2.jpg"],
            "{} has parts of a data set, not classes: train, test; learn from {}/train "
            "(classes cat)",
        ),
        (
            ["train/1.jpg", "test/2.jpg"],
            "{} has parts of a data set, not classes: train, test; give a folder with a "
            "sub-folder for each class, or a table with the columns `path` and `label`",
        ),
    ],
)
def test_parts_of_a_data_set_are_no_classes(tmp_path, names, message):
    images = ImageFolder.scan(plant(tmp_path, *names))
    expected = message.replace("{}", repr(str(tmp_path)), 1).replace("{}", str(tmp_path))
    assert images.parts == images.notes[0] == expected


@pytest.mark.parametrize(
    "names",
    [
        ["train/1.jpg", "tram/1.jpg", "bus/1.jpg"],
        ["train/old/1.jpg", "test/new/1.jpg", "tram/1.jpg"],
        ["test/cat/1.jpg", "val/cat/1.jpg"],
        ["cat/train/1.jpg", "cat/test/1.jpg", "dog/train/1.jpg"],
        ["train/cat/1.jpg"],
    ],
)
def test_folders_that_are_classes_are_no_parts(tmp_path, names):
    assert ImageFolder.scan(plant(tmp_path, *names)).parts is None


# ---------------------------------------------------------------- tables and where paths begin


def test_relative_paths_of_lists_and_tables_begin_in_the_root(tmp_path, monkeypatch):
    table = pd.DataFrame({"path": ["cat/1.jpg", tmp_path / "2.jpg"], "label": ["cat", "dog"]})
    expected = (str(tmp_path / "photos" / "cat" / "1.jpg"), str(tmp_path / "2.jpg"))
    for source in (table, table.path, list(table.path)):
        assert ImageFolder.of(source, root=tmp_path / "photos").paths == expected
    table.to_csv(tmp_path / "table.csv", index=False)
    images = ImageFolder.of(tmp_path / "table.csv", root=str(tmp_path / "photos"))
    assert (images.paths, images.labels) == (expected, ("cat", "dog"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ImageFolder.of(table, root="~/photos").paths == expected


def test_a_root_for_what_has_no_relative_paths_is_a_mistake(tmp_path):
    plant(tmp_path, "cat/1.jpg")
    with pytest.raises(OptionError, match=r"root 'photos' goes with a list or a table of paths"):
        ImageFolder.of(tmp_path, root="photos")


def test_a_table_in_a_file_keeps_its_labels_as_they_are_written(tmp_path):
    (tmp_path / "t.CSV").write_text("\ufefflabel,path\n007,a.jpg\nNA,b.jpg\n,c.jpg\n  ,d.jpg\n")
    images = ImageFolder.of(str(tmp_path / "t.CSV"))
    assert relative(images, tmp_path) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert images.labels == ("007", "NA", None, None)
    (tmp_path / "t.CSV").write_bytes(b'path,label\n"\n')
    with pytest.raises(ImageSourceError, match=r"t\.CSV' is no table that can be read"):
        ImageFolder.of(str(tmp_path / "t.CSV"))


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    plant(tmp_path, "photos/cat/1.jpg")
    monkeypatch.setenv("HOME", str(tmp_path))
    path = str(tmp_path / "photos" / "cat" / "1.jpg")
    for source in ("~/photos", Path("~/photos"), "~/photos/cat/1.jpg", ["~/photos/cat/1.jpg"]):
        assert ImageFolder.of(source).paths == (path,), source
    assert ImageFolder.of(pd.DataFrame({"path": ["~/photos/cat/1.jpg"]})).paths == (path,)
    assert ImageFolder.scan("~/photos").paths == (path,)


def test_a_path_that_is_not_there_is_told_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageSourceError, match=f"'nowhere' does not exist in {tmp_path}: expected"):
        ImageFolder.of("nowhere")


def test_a_table_for_spreadsheets_is_read_as_it_was_before_they_were_thought_of(tmp_path):
    (tmp_path / "x.csv").write_text("path,label\n'=a.png,'-dog\n'b.png,'cat\n")
    images = ImageFolder.of(tmp_path / "x.csv")
    assert relative(images, tmp_path) == ["=a.png", "'b.png"]
    assert images.labels == ("-dog", "'cat")


@pytest.mark.parametrize(("cell", "found"), [("", "empty"), (float("nan"), "missing")])
def test_a_row_without_a_path_is_told(cell, found):
    with pytest.raises(ImageSourceError, match=f"^row 1 of the column `path` is {found}: expected"):
        ImageFolder.of(pd.DataFrame({"path": ["a.png", cell]}))
