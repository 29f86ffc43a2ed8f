"""Names and times that tell of groups nobody declared are noticed, and ordinary ones are not."""

import re

import numpy as np
import pytest
from fakes import objects

import featx
from featx.errors import ImageSourceWarning
from featx.evaluation.series import find_series
from featx.features.matrix import Features, as_paths
from featx.images.folder import ImageFolder

RANDOM = np.random.default_rng(0)


def named(name, n=120, labels="ab"):
    """Make features of pictures with names, the classes in turn."""
    y = np.array([labels[i % len(labels)] for i in range(n)])
    paths = [f"photos/{label}/{name(i)}" for i, label in enumerate(y)]
    return Features(np.zeros((n, 2), np.float32), y, as_paths(paths))


@pytest.mark.parametrize(
    ("name", "groups", "n_groups"),
    [
        (lambda i: f"patient_{i // 6:02d}_{i % 6:02d}.jpg", r"patient_(\d+)", 20),
        (lambda i: f"object_{i // 10}_{i % 10}.png", r"object_(\d+)", 12),
        (lambda i: f"video{i // 10}_frame{37 * i:04d}.jpg", r"video(\d+)", 12),
        (lambda i: f"{i // 6:02d}-{i % 6}.jpg", r"^(\d+)", 20),
        (lambda i: f"{'ab'[i % 2]}x_{i // 8}_{i // 2 % 4}.jpg", r"^(\D*\d+)", 30),
        (lambda i: f"patient_{i // 12}_visit{i // 6 % 2}_img{i % 6}.jpg", r"patient_(\d+)", 10),
        (lambda i: f"study3_p{i // 6}_{i % 6}.png", r"study(\d+_p\d+)", 20),
        (lambda i: f"a.b[{i // 6}]_{i % 6}.png", r"a\.b\[(\d+)", 20),
    ],
)
def test_a_number_of_an_object_before_one_of_its_picture_is_noticed(name, groups, n_groups):
    found = find_series(named(name))
    assert found is not None
    assert (found.groups, found.grouping.n_groups) == (groups, n_groups)


ORDINARY = {
    "one number": lambda i: f"banana_{i:02d}.jpg",
    "of a camera": lambda i: f"IMG_{1234 + i}.jpg",
    "caltech": lambda i: f"image_{i:04d}.jpg",
    "of a telephone": lambda i: f"IMG_202401{1 + i // 10:02d}_{RANDOM.integers(235959):06d}.jpg",
    "day and time": lambda i: f"Image 2024-01-{1 + i // 10:02d} at {i % 12}.{i % 60:02d}.jpeg",
    "folder of a camera": lambda i: f"{100 + i // 60}_{i:04d}.jpg",
    "numbers of a site": lambda i: (
        f"{RANDOM.integers(10**9)}_{RANDOM.integers(1 << 40):010x}_o.jpg"
    ),
    "of the class": lambda i: f"n0209{i % 2}_{RANDOM.integers(20000)}.JPEG",
    "edited": lambda i: f"DSC_{i:04d}-{RANDOM.integers(1, 3)}.jpg",
    "size": lambda i: f"cat_{i}_640x480.jpg",
    "rotations": lambda i: f"r_{i}_100.jpg",
    "once in each class": lambda i: f"r{i // 2}_100.jpg",
    "random": lambda i: f"{RANDOM.integers(100):02d}_{RANDOM.integers(100):02d}.png",
    "copies of names": lambda i: f"photo ({i}).jpg",
    "no number": lambda i: "abcdefgh"[i % 8] + ".jpg",
}


@pytest.mark.parametrize("name", ORDINARY.values(), ids=list(ORDINARY))
def test_ordinary_names_are_not(name):
    assert find_series(named(name)) is None


def test_one_object_for_each_class_is_the_class(cloud):
    assert find_series(named(lambda i: f"object_{i % 2}_{i // 2}.jpg")) is None


def test_the_shared_sets_and_the_drawn_fruit_are_not(shared, fruit):
    folders = [path for path in (shared / "data").glob("*/t*") if path.name in ("train", "test")]
    assert len(folders) > 5
    for folder in [*folders, fruit / "train"]:
        images = ImageFolder.scan(folder)
        made = Features(
            np.zeros((len(images), 2), np.float32), np.array(images.labels), as_paths(images.paths)
        )
        assert find_series(made) is None, folder


class TestTwentyObjects:
    """Ten pictures each of twenty objects, whose classes are random."""

    def test_it_is_said_once_with_the_accuracy_both_ways(self):
        features = objects()
        with pytest.warns(ImageSourceWarning, match="may belong together, in 20 groups") as caught:
            result = featx.cross_validate(features, "knn")
        assert len(caught) == 1
        (note,) = result.about_series
        assert note == str(caught[0].message)
        apart = featx.cross_validate(features, "knn", groups=r"object_(\d+)")
        assert apart.interval.low < 0.5 < apart.interval.high
        assert f"the accuracy is {apart.interval}, not {result.interval}" in note
        assert r"say --groups 'object_(\d+)', if not, --groups none" in note
        assert r'(in Python groups=r"object_(\d+)", or False)' in note
        assert note in result.summary.splitlines()

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("groups", [False, "none", r"object_(\d+)"])
    def test_it_is_not_said_to_whom_who_knows(self, groups):
        assert featx.cross_validate(objects(), "knn", groups=groups).about_series == ()

    def test_a_comparison_says_it_of_the_best(self):
        with pytest.warns(ImageSourceWarning, match="may belong together") as caught:
            comparison = featx.compare(objects(), classifiers=["knn", "centroid"], progress=False)
        assert len(caught) == 1
        assert sum("may belong together" in note for note in comparison.notes) == 1

    def test_a_training_says_it(self):
        with pytest.warns(ImageSourceWarning, match="may belong together"):
            training = featx.train(objects(), "knn", validation=True, reject=0.9).training
        assert len(re.findall("may belong together", training.summary)) == 1


def test_nothing_is_said_of_ordinary_features(cloud, recwarn):
    assert featx.cross_validate(cloud(each=6), "knn").about_series == ()
    assert not [each for each in recwarn if each.category is ImageSourceWarning]


@pytest.mark.filterwarnings("ignore:.*may belong together")
def test_a_report_begins_with_it(tmp_path):
    features = objects(each=4)
    result = featx.cross_validate(features, "knn")
    featx.write_report(tmp_path / "r.html", title="x", features=features, evaluation=result)
    page = (tmp_path / "r.html").read_text()
    assert page.count("Pictures with names such as object_00_0.png may belong together") == 1
    assert page.index("may belong together") < page.index("What was run</h2>")
