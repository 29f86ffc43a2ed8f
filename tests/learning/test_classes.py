"""Classes that cannot be learned, or judged by, are told in a line."""

import shutil

import numpy as np
import pytest

import featx
from featx.errors import ImageSourceError, ImageSourceWarning
from featx.images.folder import ImageFolder
from featx.learning.classes import (
    labelled_images,
    labels_to_learn,
    per_file,
    require_every_class,
    require_known,
    require_learnable,
)

MISTAKES = {
    "no labels": ([None] * 4, "the images have no classes: expected a sub-folder for each class"),
    "some labels": (["a", None, "b", "a"], "row 1 has no label (1.jpg): expected a class for each"),
    "one class": (["a"] * 4, "all images are of one class, 'a': expected at least two classes"),
    "a class of one": (["a", "a", "b", "c"], "classes b, c have only one readable image"),
    "one class of one": (["a", "a", "b"], "class b has only one readable image"),
}


@pytest.mark.parametrize(("labels", "message"), MISTAKES.values(), ids=MISTAKES)
def test_labels_that_cannot_be_learned_are_named(labels, message):
    paths = [f"{i}.jpg" for i in range(len(labels))]
    with pytest.raises(ImageSourceError) as caught:
        require_learnable(paths, labels)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_an_archive_that_is_missing_is_told_as_such():
    with pytest.raises(ImageSourceError, match=r"there is no x\.tar in .*: expected an archive"):
        require_learnable(["a.jpg", "b.jpg", "x.tar"], ["a", "b", None])


def test_labels_that_can_be_learned_are_those_of_the_features(cloud):
    features = cloud(each=2)
    assert labels_to_learn(features) is features.y
    with pytest.raises(ImageSourceError, match="class bee has only one readable image"):
        labels_to_learn(features.select([0, 1, 2, 4, 5]))


def test_images_get_their_labels_and_are_checked_at_once(photos):
    paths = sorted(map(str, photos.glob("*/*")))
    images = labelled_images(photos)
    assert list(zip(images.paths, images.labels, strict=True)) == [
        (path, path.split("/")[-2]) for path in paths
    ]
    assert labelled_images(paths, ["a", "b"] * 9).labels == ("a", "b") * 9
    with pytest.raises(ImageSourceError, match="the images have no classes"):
        labelled_images(paths)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", None], "no class for 1 of 2 images, such as 2: expected a sub-folder for each"),
        (["dog", "cow"], "the model knows none of the classes cow, dog: expected bee, cat"),
    ],
)
def test_labels_that_a_model_cannot_be_judged_by_are_named(labels, message):
    require_known(["1", "2"], ["cat", "dog"], ["bee", "cat"])  # one class that is known is enough
    with pytest.raises(ImageSourceError) as caught:
        require_known(["1", "2"], labels, ["bee", "cat"])
    assert str(caught.value).startswith(message)


def test_a_thousand_classes_do_not_fill_the_screen():
    with pytest.raises(ImageSourceError) as caught:
        require_known(["1"], ["dog"], [f"class {i}" for i in range(1000)])
    assert len(str(caught.value)) < 300
    assert str(caught.value).endswith("class 11 and 988 more")


@pytest.mark.parametrize(
    ("lost", "has"), [(["red"], "class red has"), (["blue", "red"], "classes blue, red have")]
)
def test_classes_of_which_nothing_can_be_read_are_named_with_a_file(photos, fake_engine, lost, has):
    for name in lost:
        for path in (photos / name).iterdir():
            path.write_text("no picture")
    images = ImageFolder.of(photos)
    features = featx.embed(images, progress=False)
    with pytest.raises(ImageSourceError) as caught:
        require_every_class(images, features)
    assert str(caught.value).startswith(
        f"{has} no readable image ({photos / lost[0] / '000.png'}: not an image"
    )
    assert str(caught.value).endswith("add images or remove the class")


def test_what_is_said_of_readable_images_is_spread_over_all_files(photos, fake_engine):
    (photos / "blue" / "0.png").write_text("no picture")  # the first file
    features = featx.embed(photos, progress=False)
    numbers = per_file(features, np.arange(18.0), np.nan)
    assert np.isnan(numbers[0])
    assert numbers[1:].tolist() == list(range(18))
    names = per_file(features, features.y, None)
    assert names.tolist() == [None, *features.y]
    assert per_file(features, np.ones((18, 2), bool), False).tolist() == [
        [False, False],
        *[[True, True]] * 18,
    ]
    (photos / "blue" / "0.png").unlink()
    rows = np.arange(18)
    assert per_file(featx.embed(photos, progress=False), rows, -1) is rows


PARTS = ["s/train/cat/1.png", "s/train/dog/2.png", "s/test/cat/3.png", "s/test/dog/4.png"]


@pytest.mark.parametrize("root", ["", "/data/", "./"])
def test_parts_of_a_data_set_are_no_classes_in_lists_and_tables_either(root):
    paths = [root + path for path in PARTS]
    with pytest.raises(ImageSourceError, match="has parts of a data set, not classes: train, test"):
        require_learnable(paths, ["train", "train", "test", "test"])
    require_learnable(paths, ["cat", "dog", "cat", "dog"])
    require_learnable(paths, ["test", "test", "train", "train"])  # given, whatever they mean


def test_parts_of_a_data_set_are_no_classes_of_features_either(tmp_path, photos, fake_engine):
    for part in ("train", "test"):
        shutil.copytree(photos, tmp_path / "splits" / part)
    with pytest.warns(ImageSourceWarning, match="has parts of a data set, not classes"):
        features = featx.embed(tmp_path / "splits")
    for source in (features, [tmp_path / "splits"]):
        with pytest.raises(ImageSourceError, match="has parts of a data set, not classes"):
            featx.train(source)
