"""Several features are told apart by their names, and features of one's own are among them."""

import numpy as np
import pytest
from fakes import recipe

import featx
from featx.errors import OptionError
from featx.features.matrix import Features
from featx.features.several import distinct_names

PATHS = [f"{name}/{number}.jpg" for name in ("ant", "bee") for number in range(10)]
LABELS = ["ant"] * 10 + ["bee"] * 10


@pytest.fixture
def vectors():
    random = np.random.default_rng(0)
    return random.normal(size=(20, 8)) + np.repeat([[0.0], [1.0]], 10, axis=0)


def test_features_of_ones_own_are_named_in_comparisons(vectors):
    clip = Features(vectors.astype(np.float16).tolist(), LABELS, PATHS, name="clip")
    assert (clip.X.dtype, clip.y.tolist(), clip.paths.dtype) == (np.float32, LABELS, object)
    network = Features(vectors.astype(np.float32), np.array(LABELS), PATHS, recipe=recipe("vgg16"))
    found = featx.compare([clip, network], classifiers="knn", progress=False)
    assert {each.name for each in found.candidates} == {"clip", "vgg16"}
    assert set(found.to_frame().backbone) == {"clip", "vgg16"}
    alone = featx.compare(clip, classifiers=["knn", "centroid"], progress=False)
    assert set(alone.to_frame().backbone) == {"clip"}


def test_names_are_kept_in_files_and_by_selection(vectors, tmp_path):
    clip = Features(vectors, LABELS, PATHS, name="clip")
    for suffix in ("npz", "npy", "parquet", "csv"):
        clip.save(tmp_path / f"x.{suffix}")
        assert Features.load(tmp_path / f"x.{suffix}").name == "clip"
    assert clip.select([0, 19]).name == "clip"


def test_a_table_made_elsewhere_is_called_like_its_file(tmp_path):
    (tmp_path / "dino.csv").write_text("path,label,one,two\n1.jpg,a,1,2\n2.jpg,b,3,4\n")
    assert Features.load(tmp_path / "dino.csv").name == "dino"


def test_names_that_are_the_same_are_numbered(vectors):
    both = [Features(vectors, LABELS, PATHS, name="clip") for _ in range(2)]
    assert distinct_names(both) == ["clip 1", "clip 2"]
    bare = [Features(vectors, LABELS, PATHS) for _ in range(2)]
    assert distinct_names([*bare, both[0]]) == ["features 1", "features 2", "clip"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([1.0, 2.0], r"X has the shape \(2,\): expected a row an image"),
        ([["a"], ["b"]], "X is no array of numbers"),
        ([[1.0], [2.0, 3.0]], "X is no array of numbers"),
        ([[1.0]], "features need as many rows everywhere: X has 1, paths has 2"),
    ],
)
def test_what_is_no_matrix_is_refused(X, message):
    with pytest.raises(OptionError, match=message):
        Features(X, None, ["1.jpg", "2.jpg"])


def test_the_same_features_twice_are_told_apart(vectors):
    network = Features(vectors, LABELS, PATHS, recipe=recipe("vgg16"))
    assert distinct_names([network, network.select(range(20))]) == ["vgg16 1", "vgg16 2"]


def test_features_in_int8_are_told_by_that_and_by_their_calibration(vectors):
    one, other = ({"precision": "int8", "calibration": each * 32} for each in ("ab", "cd"))
    plain, first, second = (
        Features(vectors, LABELS, PATHS, recipe=recipe("vgg16", **each))
        for each in ({}, one, other)
    )
    assert distinct_names([plain, first]) == ["vgg16 float32", "vgg16 int8"]
    assert distinct_names([first, second]) == [
        "vgg16 calibration abababababab",
        "vgg16 calibration cdcdcdcdcdcd",
    ]
