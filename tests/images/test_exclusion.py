"""Images are left out by a list of their paths, and it is said how many."""

from __future__ import annotations

import os
import pickle

import pytest

import featx
from featx.errors import ImageSourceError, OptionError
from featx.images.exclusion import line_of_path
from featx.images.folder import ImageFolder


def names(images):
    return [path.rpartition("photos/")[2] for path in images.paths]


@pytest.fixture
def few(tmp_path):
    for name in ("ant/1.jpg", "ant/2.jpg", "bee/1.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "photos"


@pytest.mark.parametrize("absolute", [False, True])
def test_paths_are_relative_to_the_folder_or_absolute(few, absolute):
    path = str(few / "ant" / "2.jpg") if absolute else "ant/2.jpg"
    images = ImageFolder.of(few, exclude=[path])
    assert names(images) == ["ant/1.jpg", "bee/1.jpg"]
    assert images.labels == ("ant", "bee")
    assert images.notes == ("left out, as exclude says: 1 of 3 images",)


def test_a_file_lists_paths_with_comments(few, tmp_path):
    file = tmp_path / "list.txt"
    file.write_bytes(
        b"\xef\xbb\xbf# one\r\nant/2.jpg\r\n\r\n# bee/1.jpg\r\n  ./ant/../ant/1.jpg \n"
    )
    images = ImageFolder.of(few, exclude=file)
    assert names(images) == ["bee/1.jpg"]
    assert images.notes == (f"left out, as {file} says: 2 of 3 images",)


@pytest.mark.parametrize(
    "name",
    [
        "#1.jpg",
        '"a".jpg',
        " a .jpg",
        "a\nb.jpg",
        "a\tb.jpg",
        "caf\u00e9.jpg",
        "b\udcff.jpg",
        "a .jpg ",
    ],
)
def test_any_name_can_be_a_line(few, tmp_path, name):
    path = few / "ant" / name
    path.write_bytes(b"")
    file = tmp_path / "list.txt"
    images = ImageFolder.of([str(few / "ant" / "1.jpg"), str(path)])
    for listed in (f"ant/{name}", str(path)):
        line = line_of_path(listed)
        assert "\n" not in line
        file.write_bytes(f"{line}\n".encode("utf-8", "surrogateescape"))
        left = ImageFolder.of(list(images.paths), root=few, exclude=file)
        assert left.paths == images.paths[:1]


def test_a_list_of_images_and_of_folders_is_left_alone_but_for_these(few, monkeypatch):
    monkeypatch.chdir(few)
    assert ImageFolder.of(["ant/1.jpg", "bee/1.jpg"], exclude=["bee/1.jpg"]).paths == ("ant/1.jpg",)
    images = ImageFolder.of([few, few / "ant" / "1.jpg"], exclude=["ant/2.jpg"])
    assert names(images) == ["ant/1.jpg", "bee/1.jpg", "ant/1.jpg"]
    assert ImageFolder.of(["1.jpg"], root="ant", exclude=["ant/2.jpg"]).paths == ("ant/1.jpg",)


def test_labels_stay_with_their_images(few):
    paths = sorted(str(path) for path in few.rglob("*.jpg"))
    images = ImageFolder.of(paths, [1, 2, 3], exclude=[few / "ant" / "2.jpg"])
    assert images.labels == (1, 3)


def test_a_list_of_which_nothing_is_there_is_told(few):
    images = ImageFolder.of(few, exclude=["cat/1.jpg", "cat/2.jpg"])
    assert images.notes == (
        "nothing is left out: of 2 paths that exclude lists, such as cat/1.jpg, none is among 3 "
        "images",
    )
    assert ImageFolder.of(few, exclude=[]).notes == ()


def test_what_was_listed_already_is_not_said_twice(few):
    images = ImageFolder.of(few, exclude=["ant/2.jpg"])
    assert ImageFolder.of(images, exclude=["ant/2.jpg"]) == images


def test_leaving_all_out_is_a_mistake(few):
    with pytest.raises(ImageSourceError, match="all of 3 images are left out by exclude"):
        ImageFolder.of(few, exclude=["ant/1.jpg", "ant/2.jpg", "bee/1.jpg"])


def test_what_is_no_list_is_refused_in_one_line(few, tmp_path):
    (tmp_path / "model").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "odd.txt").write_text('"no end')
    for wrong, message in {
        str(tmp_path / "missing.txt"): "cannot be read: No such file or directory; expected a text",
        str(few): "cannot be read: Is a directory",
        str(tmp_path / "model"): "is no list of paths",
        str(tmp_path / "odd.txt"): "line 1 of .* begins with a quotation mark",
        5: "exclude is a int: expected a file that lists paths, or a list",
        (None,): "item 0 of exclude is None",
    }.items():
        with pytest.raises(OptionError, match=message) as caught:
            ImageFolder.of(few, exclude=wrong)
        assert os.linesep not in str(caught.value)


def test_every_function_leaves_them_out(photos, new_photos, fake_engine, tmp_path):
    out = ["red/000.png", "blue/001.png"]
    with pytest.warns(featx.ImageSourceWarning, match="left out, as exclude says: 2 of 18 images"):
        assert len(featx.embed(photos, exclude=out)) == 16
    file = tmp_path / "list.txt"
    file.write_text("\n".join(out))
    with pytest.warns(featx.ImageSourceWarning, match="2 of 18 images"):
        model = featx.train(photos, exclude=file, test=new_photos)
    assert len(model.training.features) == 16
    assert not any("nothing is left out" in note for note in model.training.test.notes)
    with pytest.warns(featx.ImageSourceWarning, match="1 of 6 images"):
        assert len(model.predict(new_photos, exclude=["red/100.png"])) == 5
    with pytest.warns(featx.ImageSourceWarning, match="1 of 6 images"):
        assert len(model.evaluate(new_photos, exclude=["red/100.png"]).paths) == 5
    compared = featx.compare(photos, backbones=["efficientnet_lite0"], exclude=file, progress=False)
    assert len(compared.best.features) == 16
    assert compared.best.features.notes == (f"left out, as {file} says: 2 of 18 images",)
    assert featx.check(photos, exclude=file).notes == compared.best.features.notes
