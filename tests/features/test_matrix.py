"""Features keep rows, labels and paths together, in memory and in every kind of file."""

from __future__ import annotations

import errno
import json
import os
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fakes import recipe
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import featx
from featx.errors import ImageSourceError, ImageSourceWarning, OptionError, StorageError
from featx.features import formats
from featx.features.matrix import Features, as_labels, as_paths
from featx.features.recipe import Recipe
from featx.features.several import distinct_names, same_images
from featx.images.decode import Outcome

RECIPE = recipe(weights="0123456789abcdef" * 4, preprocessing="caffe/1")

SUFFIXES = [suffix.removeprefix(".") for suffix in formats.SUFFIXES]
every_format = pytest.mark.parametrize("suffix", SUFFIXES)


def like_it(**changed) -> Recipe:
    return Recipe.from_dict(RECIPE.to_dict() | changed)


def make(X, labels=None, paths=None, **rest) -> Features:
    X = np.asarray(X, np.float32)
    paths = [f"photos/{row}.jpg" for row in range(len(X))] if paths is None else paths
    labels = labels if labels is None else as_labels(labels)
    return Features(X, labels, as_paths(paths), **{"recipe": RECIPE, **rest})


def sample() -> Features:
    """Three rows, and a file that failed between them."""
    outcomes = [Outcome("embedded", path=f"photos/{row}.jpg") for row in range(3)]
    outcomes[1] = replace(outcomes[1], status="cached", notes=("CMYK to RGB", "alpha on white"))
    outcomes.insert(2, Outcome("failed", reason="empty file", path="photos/bad.jpg"))
    X = np.arange(12).reshape(3, 4) / 7
    return make(X, ["b", "a", "b"], outcomes=tuple(outcomes), n_other=2, weights="/w/a.h5")


def round_trip(features: Features, path: Path) -> Features:
    features.save(path)
    return Features.load(path)


def assert_same(found: Features, expected: Features) -> None:
    assert (found.X.shape, found.X.dtype) == (expected.X.shape, np.float32)
    known = ~np.isnan(expected.X)
    assert (np.isnan(found.X) == ~known).all(), found.X
    assert found.X[known].tobytes() == expected.X[known].tobytes(), found.X
    assert found.paths.tolist() == expected.paths.tolist()
    labels = [None if each.y is None else each.y.tolist() for each in (found, expected)]
    assert labels[0] == labels[1]
    for name in ("recipe", "outcomes", "n_other", "weights", "classes"):
        assert getattr(found, name) == getattr(expected, name), name


names = st.text(min_size=1).filter(lambda text: text.isprintable() or len(text) < 5)
any_features = st.builds(
    make,
    X=st.one_of(
        st.shared(st.integers(0, 4), key="n").flatmap(
            lambda n: hnp.arrays(np.float32, (n, 3), elements=st.floats(width=32))
        ),
        st.shared(st.integers(0, 4), key="n").flatmap(
            lambda n: hnp.arrays(np.float32, (n, 2, 1, 3), elements=st.floats(width=32))
        ),
    ),
    paths=st.shared(st.integers(0, 4), key="n").flatmap(
        lambda n: st.lists(names, min_size=n, max_size=n)
    ),
    labels=st.shared(st.integers(0, 4), key="n").flatmap(
        lambda n: st.none() | st.lists(st.none() | st.text(), min_size=n, max_size=n)
    ),
    recipe=st.sampled_from([None, RECIPE, like_it(layer='a "layer", odd\nname')]),
    n_other=st.integers(0, 9),
)


# -- Files ---------------------------------------------------------------------------------------


@every_format
@settings(deadline=None, max_examples=60)
@given(features=any_features)
def test_what_is_saved_is_loaded_bit_for_bit(tmp_path_factory, suffix, features):
    assert_same(round_trip(features, tmp_path_factory.mktemp("x") / f"x.{suffix}"), features)


@every_format
def test_outcomes_recipe_and_weights_go_along(tmp_path, suffix):
    found = round_trip(sample(), tmp_path / f"x.{suffix}")
    assert_same(found, sample())
    assert found.failed == (Outcome("failed", reason="empty file", path="photos/bad.jpg"),)


@every_format
@pytest.mark.parametrize(
    "value", [-0.0, 1e-45, 1.17549435e-38, 3.4028235e38, np.inf, -np.inf, 1 / 3]
)
def test_extreme_values_survive(tmp_path, suffix, value):
    features = make([[value, 1.0], [-value, 2.0]])
    assert round_trip(features, tmp_path / f"x.{suffix}").X.tobytes() == features.X.tobytes()


@every_format
def test_nan_of_any_kind_survives_as_nan(tmp_path, suffix):
    bits = np.array([[0xFFC00000, 0x7FC00001], [0x7F800001, 0x3F800000]], np.uint32)
    found = round_trip(make(bits.view(np.float32)), tmp_path / f"x.{suffix}")
    assert np.isnan(found.X).tolist() == [[True, True], [True, False]]


@every_format
@pytest.mark.parametrize(
    "labels",
    [
        ["1", "02", "3.0"],
        ["NA", "None", "nan"],
        ["", "null", "true"],
        ["a", None, "b"],
        ["", None, "None"],
        [" a", "a ", 'say "a", b'],
        ["a\r", "a\n", "\r\n"],
        ["é", "猫", "\udce9"],
    ],
    ids=repr,
)
def test_labels_stay_text_whatever_they_look_like(tmp_path, suffix, labels):
    found = round_trip(make(np.eye(3), labels), tmp_path / f"x.{suffix}")
    assert found.y.tolist() == labels


@every_format
@pytest.mark.parametrize("labels", [[2, 10], [True, False], [None, 7], ["2", "10"]])
def test_labels_come_back_from_a_file_in_their_type(tmp_path, suffix, labels):
    features = Features(np.eye(2, dtype=np.float32), as_labels(labels), as_paths(["a", "b"]))
    loaded = round_trip(features, tmp_path / f"x.{suffix}")
    assert loaded.labels == labels
    assert [type(label) for label in loaded.labels] == [type(label) for label in labels]
    assert loaded.classes == features.classes


@every_format
def test_paths_of_all_kinds_survive(tmp_path, suffix):
    paths = ["a b/ü.jpg", 'quo"te,comma.jpg', "two\nlines.jpg", "c\rr.jpg", "\udcff.jpg", "x" * 300]
    assert (
        round_trip(make(np.eye(6), paths=paths), tmp_path / f"x.{suffix}").paths.tolist() == paths
    )


@every_format
def test_the_suffix_counts_in_any_case(tmp_path, suffix):
    assert_same(round_trip(sample(), tmp_path / f"x.{suffix.upper()}"), sample())


def test_a_saved_npy_comes_back_as_a_memory_map_that_numpy_reads_too(tmp_path):
    found = round_trip(sample(), tmp_path / "x.npy")
    assert isinstance(found.X, np.memmap), type(found.X)
    assert (np.load(tmp_path / "x.npy") == sample().X).all()
    assert_same(round_trip(found, tmp_path / "x.npy"), sample())  # over the very file it maps


def test_tables_are_there_for_other_programs(tmp_path):
    columns = ["path", "label", *(f"resnet50_{column}" for column in range(4))]
    sample().save(tmp_path / "x.csv")
    sample().save(tmp_path / "x.parquet")
    for frame in (pd.read_csv(tmp_path / "x.csv"), pd.read_parquet(tmp_path / "x.parquet")):
        assert list(frame) == columns
        assert frame["label"].tolist() == ["b", "a", "b"]
        assert np.allclose(frame[columns[2:]], sample().X)
    assert (tmp_path / "x.csv").read_bytes().count(b"\n") == 4


@every_format
def test_wide_features_come_back_from_a_file_of_bearable_size(tmp_path, suffix):
    """VGG16 flattened has 25,088 columns, ResNet50 100,352; each costs time in a .parquet file."""
    features = make(np.random.default_rng(0).normal(size=(2, 25_088)))
    assert_same(round_trip(features, tmp_path / f"x.{suffix}"), features)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 40 * features.X.nbytes, f"{size} bytes for {features.X.nbytes}"


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    for act in (sample().save, Features.load):
        with pytest.raises(OptionError, match=r"x\.mat: expected a name that ends in \.npz, \.npy"):
            act(tmp_path / "x.mat")


# -- Files of others, damaged files --------------------------------------------------------------


def test_a_table_that_was_made_elsewhere_has_no_recipe(tmp_path):
    frame = pd.DataFrame(
        {"label": ["x", None], "f": [1, 2], "path": ["b", "a"], "g": [0.5, np.nan]}
    )
    frame.to_parquet(tmp_path / "x.parquet")
    frame.fillna({"g": 3}).to_csv(tmp_path / "x.csv")  # with its row numbers
    for suffix, last in (("csv", 3.0), ("parquet", np.nan)):
        found = Features.load(tmp_path / f"x.{suffix}")
        assert np.array_equal(found.X, [[1, 0.5], [2, last]], equal_nan=True), suffix
        assert (found.recipe, found.outcomes, found.weights) == (None, (), "imagenet")
        assert (found.paths.tolist(), found.y.tolist()) == (["b", "a"], ["x", None])
        assert found.feature_names == ["feature_0", "feature_1"]


def test_a_frame_that_pandas_saved_comes_back(tmp_path):
    sample().to_frame().to_parquet(tmp_path / "x.parquet")
    sample().to_frame().to_csv(tmp_path / "x.csv")
    for suffix in ("parquet", "csv"):
        found = Features.load(tmp_path / f"x.{suffix}")
        assert np.allclose(found.X, sample().X)
        assert found.y.tolist() == ["b", "a", "b"]
        assert found.paths.tolist() == sample().paths.tolist()


def test_a_csv_from_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "x.csv").write_bytes("\ufeffpath,f\r\nä.jpg,1.5\r\n\r\n".encode())
    found = Features.load(tmp_path / "x.csv")
    assert (found.paths.tolist(), found.X.tolist(), found.y) == (["ä.jpg"], [[1.5]], None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the columns are : expected one `path`"),
        ("a,b\n1,2\n", "the columns are a, b: expected one `path`"),
        ("path;f\nx;1\n", "the columns are path;f: expected one `path`"),
        ("path,f,f\nx,1,2\n", "none twice"),
        ("path,label\nx,1\n", "no columns of numbers"),
        ("path,f\nx,1\ny\n", "row 1 has 1 cells, the header 2"),
        ("path,f\nx,one\n", "could not convert string to float: 'one'"),
        ("path,f\nx,\n", "could not convert string to float: ''"),
    ],
)
def test_a_csv_without_features_says_what_is_wrong(tmp_path, text, reason):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(StorageError) as caught:
        Features.load(tmp_path / "x.csv")
    assert "x.csv is damaged or holds no features (" in str(caught.value)
    assert reason in str(caught.value)


@every_format
@pytest.mark.parametrize("content", [b"", b"text, no features", bytes(3000), b"PK\x03\x04" * 9])
def test_a_file_of_something_else_is_an_error_of_one_line(tmp_path, suffix, content):
    sample().save(tmp_path / f"x.{suffix}")
    (tmp_path / f"x.{suffix}").write_bytes(content)
    with pytest.raises(StorageError) as caught:
        Features.load(tmp_path / f"x.{suffix}")
    assert str(tmp_path / f"x.{suffix}") in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@every_format
def test_a_damaged_file_gives_the_right_values_or_an_error(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    sample().save(path)
    whole = path.read_bytes()
    refused = 0
    for offset in range(0, len(whole), max(1, len(whole) // 250)):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x10
        for content in (damaged, whole[:offset]):
            path.write_bytes(content)
            try:
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("always")
                    found = Features.load(path)
            except StorageError:
                refused += 1
            else:
                rows = [sample().X.tolist().index(row) for row in found.X.tolist()]
                assert rows == [0, 1, 2] or said, f"{offset}: {found.X}"
                assert found.recipe in (RECIPE, None), offset  # None: its description is lost
    assert refused > 250, "most damage goes unnoticed"


@every_format
def test_a_missing_file_is_an_error(tmp_path, suffix):
    (tmp_path / f"folder.{suffix}").mkdir()
    for name in ("gone", "folder"):
        with pytest.raises(StorageError, match=f"no features file .*{name}.{suffix}: expected one"):
            Features.load(tmp_path / f"{name}.{suffix}")


def test_a_file_of_a_later_format_is_refused_by_its_number(tmp_path, monkeypatch):
    for suffix in SUFFIXES:
        with monkeypatch.context() as patch:
            patch.setattr(formats, "FORMAT", formats.FORMATS[-1] + 1)
            sample().save(tmp_path / f"x.{suffix}")
        with pytest.raises(
            StorageError, match="is of format 4, expected 3 or an older one; update featx"
        ):
            Features.load(tmp_path / f"x.{suffix}")


@every_format
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"recipe": {"backbone": "x"}}, "not a recipe of this version of featx"),
        ({"outcomes": [{"mood": "good", "notes": []}]}, "mood"),
        ({"n_other": None}, "n_other"),
    ],
    ids=str,
)
def test_a_description_of_another_version_is_refused(tmp_path, suffix, change, reason):
    features, path = sample(), tmp_path / f"x.{suffix}"
    about = {"recipe": None, "outcomes": [], "n_other": 0, "weights": "imagenet", **change}
    about = {name: value for name, value in about.items() if value is not None or name == "recipe"}
    stored = formats.Stored(features.X, features.paths.tolist(), None, about)
    formats.save(path, stored, features.feature_names)
    with pytest.raises(StorageError, match=rf"x\.{suffix} cannot be used: .*{reason}"):
        Features.load(path)


@pytest.mark.parametrize("suffix", ["npy", "csv"])
def test_the_sidecar_of_another_matrix_is_refused(tmp_path, suffix):
    path, sidecar = tmp_path / f"x.{suffix}", tmp_path / f"x.{suffix}.json"
    other = make(sample().X + 1, recipe=like_it(pooling="max"))
    for odd in (other, make(np.eye(5))):
        odd.save(path)
        text = sidecar.read_text()
        sample().save(path)
        sidecar.write_text(text)
        with pytest.raises(StorageError, match=rf"{path.name}\.json do not belong together; copy"):
            Features.load(path)


def test_an_npy_needs_its_sidecar_and_a_csv_does_without(tmp_path):
    for suffix in ("npy", "csv"):
        sample().save(tmp_path / f"x.{suffix}")
        (tmp_path / f"x.{suffix}.json").unlink()
    with pytest.raises(StorageError, match=r"lacks the file x\.npy\.json beside it; copy both"):
        Features.load(tmp_path / "x.npy")
    found = Features.load(tmp_path / "x.csv")
    assert (found.recipe, found.X.tolist()) == (None, sample().X.tolist())


def test_labels_may_be_corrected_in_a_csv(tmp_path):
    sample().save(tmp_path / "x.csv")
    text = (tmp_path / "x.csv").read_text()
    (tmp_path / "x.csv").write_text(text.replace("1.jpg,a,", "1.jpg,dog,"))
    found = Features.load(tmp_path / "x.csv")
    assert (found.y.tolist(), found.recipe) == (["b", "dog", "b"], RECIPE)


@pytest.mark.parametrize("when", ["written", "flushed", "renamed"])
@every_format
def test_a_failed_save_leaves_the_older_file_intact(tmp_path, suffix, when, monkeypatch):
    path = tmp_path / f"x.{suffix}"
    sample().save(path)
    real = Path.open

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    def open_full(path, mode="r", *args, **kwargs):
        return real(Path("/dev/full") if mode in ("w", "wb") else path, mode, *args, **kwargs)

    fsync = os.fsync

    def full_of_the_matrix(file):
        return full() if os.fstat(file).st_size > 200_000 else fsync(file)

    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        if when == "written":
            patch.setattr(Path, "open", open_full)
            if suffix == "parquet":
                patch.setattr(pq, "write_table", full)
        else:
            patch.setattr(os, "fsync", full_of_the_matrix if when == "flushed" else fsync)
            patch.setattr(Path, "replace", full if when == "renamed" else Path.replace)
        with pytest.raises(StorageError, match=rf"cannot write .*x\.{suffix}.*: the disk is full"):
            make(np.random.default_rng(0).normal(size=(2000, 40))).save(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert_same(Features.load(path), sample())


# -- In memory -----------------------------------------------------------------------------------


def test_a_frame_has_a_row_per_image_and_a_column_per_feature():
    frame = sample().to_frame()
    assert frame.index.tolist() == sample().paths.tolist()
    assert frame.index.name == "path"
    assert list(frame) == ["resnet50_0", "resnet50_1", "resnet50_2", "resnet50_3", "label"]
    assert (frame.drop(columns="label").to_numpy() == sample().X).all()
    assert frame["label"].tolist() == ["b", "a", "b"]
    unlabelled = make(np.ones((2, 1, 3, 2)), recipe=None).to_frame()
    assert list(unlabelled) == [f"feature_{column}" for column in range(6)]


@pytest.mark.parametrize(
    ("rows", "positions"),
    [
        ([2, 0], [2, 0]),
        ([-1], [2]),
        ([True, False, True], [0, 2]),
        (np.array([False, False, True]), [2]),
        ([1, 1], [1, 1]),
        ([], []),
        ([False] * 3, []),
    ],
    ids=str,
)
def test_rows_are_selected_by_position_or_mask(rows, positions):
    found = sample().select(rows)
    assert found.X.tolist() == sample().X[positions].tolist()
    assert found.paths.tolist() == [f"photos/{row}.jpg" for row in positions]
    assert (found.y if found.y is None else found.y.tolist()) == (
        [["b", "a", "b"][row] for row in positions] or None
    )
    assert [outcome.path for outcome in found.outcomes] == found.paths.tolist()
    assert (found.recipe, found.weights) == (RECIPE, "/w/a.h5")
    assert found.matrix.shape == (len(positions), 4)
    assert found.to_frame().shape[0] == len(positions)


def test_a_selection_forgets_labels_that_none_of_its_rows_has():
    features = make(np.eye(3), ["a", None, None])
    assert features.select([1, 2]).y is None
    assert features.select([0]).y.tolist() == ["a"]
    assert features.select([0]).y.dtype.kind == "U"


@pytest.mark.parametrize("rows", [[3], [True], [0.5], ["a"]])
def test_rows_that_are_not_there_cannot_be_selected(rows):
    with pytest.raises((IndexError, ValueError)):
        sample().select(rows)


def test_batches_put_together_are_the_features():
    features = replace(sample(), views=(sample().X + 1,))
    first, second = features.batches(2)
    assert (len(first), len(second)) == (2, 1)
    assert np.concatenate([first.X, second.X]).tobytes() == features.X.tobytes()
    assert np.concatenate([first.views[0], second.views[0]]).tolist() == features.views[0].tolist()
    assert [*first.paths, *second.paths] == features.paths.tolist()
    assert [*first.labels, *second.labels] == features.labels
    assert [*first.outcomes, *second.outcomes] == [each for each in features.outcomes if each.ok]
    assert first.recipe == features.recipe


def test_a_batch_copies_nothing_and_keeps_the_type_of_labels():
    features = make(np.eye(3), ["a", None, None])
    *_, last = features.batches(2)
    assert last.y.tolist() == [None]
    assert np.shares_memory(last.X, features.X)


@pytest.mark.parametrize("columns", [[1, 3], slice(1, None, 2), np.array([0, 1, 0, 1], bool)])
def test_batches_of_some_columns_are_of_no_recipe(columns):
    (batch,) = sample().batches(columns=columns)
    assert batch.X.tolist() == sample().matrix[:, [1, 3]].tolist()
    assert batch.recipe is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"size": 0}, "batches of 0 rows: expected 1 or more"),
        ({"columns": [4]}, "columns of 4: index 4 is out of bounds"),
        ({"columns": ["a"]}, "columns of 4: arrays used as indices"),
    ],
)
def test_batches_that_cannot_be_are_refused_at_once(options, text):
    with pytest.raises(OptionError, match=text):
        sample().batches(**options)


@pytest.mark.parametrize(
    ("y", "paths", "text"),
    [
        (None, ["a"], "X has 3, paths has 1"),
        (["a"], ["a", "b", "c"], "X has 3, paths has 3, y has 1"),
    ],
)
def test_row_counts_that_do_not_match_are_refused(y, paths, text):
    with pytest.raises(OptionError, match=f"as many rows everywhere: {text}"):
        Features(np.eye(3, dtype=np.float32), y and np.array(y), as_paths(paths))


def test_maps_are_flattened_into_the_table_and_zero_rows_stay_zero():
    assert make(np.zeros((2, 7, 7, 3))).matrix.shape == (2, 147)
    assert make(np.zeros((0, 7, 7, 3))).matrix.shape == (0, 147)


def test_labels_are_text_where_all_are_known():
    assert as_labels(["a", 1]).tolist() == ["a", "1"]
    assert as_labels([None, None]) is None
    assert as_labels(["a", None]).tolist() == ["a", None]


def test_features_read_as_a_line():
    assert repr(sample()) == f"Features(3 x 4, 2 classes, 1 failed; {RECIPE})"
    assert repr(make(np.zeros((2, 3)), recipe=None)) == "Features(2 x 3, no labels; None)"
    assert "2 x 3, 1 class; " in repr(make(np.zeros((2, 3)), ["a", "a"]))


def test_what_became_of_the_images_is_told_in_plain_values_and_in_words():
    features = replace(sample(), seconds=0.5, elapsed=2.0, views=(sample().X, sample().X))
    told = features.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "n_images": 3,
        "n_features": 4,
        "n_embedded": 2,
        "n_cached": 1,
        "n_failed": 1,
        "failed": [{"path": "photos/bad.jpg", "reason": "empty file"}],
        "n_other": 2,
        "notes": [],
        "n_views": 2,
        "shape": [3, 4],
        "seconds": 2.0,
        "startup_seconds": 1.5,
        "images_per_second": 4.0,
        "fingerprint": RECIPE.fingerprint,
    }
    assert features.summary.splitlines() == [
        "4 images: 2 embedded, 1 from the cache, 1 failed, in 0.50 s (4.0 images/s) "
        "after 1.5 s of start-up",
        f"features 3 x 4, 2 views of each ({RECIPE})",
        "left alone, no images by name: 2 files",
        "failed: photos/bad.jpg: empty file",
    ]


def test_of_very_many_files_that_failed_the_first_are_shown():
    outcomes = (
        Outcome("cached", path="photos/0.jpg"),
        *(Outcome("failed", "empty file", path=f"photos/{n}.jpg") for n in range(1, 3002)),
    )
    lines = make(np.zeros((1, 4)), outcomes=outcomes).summary.splitlines()[2:]
    assert lines[0] == "failed: photos/1.jpg: empty file"
    assert lines[100:] == ["failed: 2,901 more; --json (in Python `failed`) lists them all"]


def test_without_a_recipe_and_all_from_the_cache_there_is_less_to_tell():
    outcomes = (Outcome("cached", path="photos/0.jpg"),)
    features = make(np.zeros((1, 2, 2, 3)), recipe=None, outcomes=outcomes, elapsed=0.5)
    told = features.to_dict()
    assert (told["n_features"], told["shape"], told["fingerprint"]) == (12, [1, 2, 2, 3], None)
    assert (told["n_cached"], told["images_per_second"]) == (1, 2.0), "per second of all the time"
    assert make(np.zeros((1, 3))).to_dict()["images_per_second"] is None
    assert features.summary.splitlines() == [
        "1 image: 1 from the cache, in 0.50 s",
        "features 1 x 2 x 2 x 3 (None)",
    ]


@every_format
def test_features_of_a_file_tell_what_they_know(tmp_path, suffix):
    features = round_trip(sample(), tmp_path / f"x.{suffix}")
    assert features.summary.splitlines()[:2] == [
        "4 images: 2 embedded, 1 from the cache, 1 failed",
        f"features 3 x 4 ({RECIPE})",
    ]
    elsewhere = make(np.zeros((2, 3)), recipe=None)
    assert elsewhere.summary == "2 images\nfeatures 2 x 3 (None)"
    assert (elsewhere.to_dict()["n_images"], elsewhere.to_dict()["n_cached"]) == (2, 0)


def test_labels_are_there_row_by_row_and_none_where_there_is_none():
    assert sample().labels == ["b", "a", "b"]
    assert make(np.eye(3), ["a", None, "b"]).labels == ["a", None, "b"]
    assert make(np.eye(3)).labels == [None] * 3


def test_a_notebook_shows_classes_with_counts_failures_and_the_recipe():
    html = sample()._repr_html_()
    for cell in ("a (1), b (2)", "photos/bad.jpg: empty file", str(RECIPE)):
        assert cell in html, html
    assert "<b>" not in make(np.eye(2), ["<b>", "a"])._repr_html_()
    assert "made elsewhere" in make(np.eye(2), recipe=None)._repr_html_()


def test_features_of_the_same_images_are_reduced_to_those_that_all_have_in_one_order():
    one = make(np.eye(3), ["x", "y", "z"], paths=["a", "b", "c"])
    other = make(np.eye(3) * 2, ["z", "w", "y"], paths=["c", "d", "b"])
    with pytest.warns(ImageSourceWarning) as told:
        first, second = same_images([one, other])
    (warning,) = told
    assert str(warning.message) == (
        "2 of 4 images are left out, since they are not in all of the features, such as a"
    )
    assert first.paths.tolist() == second.paths.tolist() == ["b", "c"]
    assert first.X.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert second.X.tolist() == [[0, 0, 2], [2, 0, 0]]
    assert same_images([one, one]) == [one, one], "what fits already is not copied"
    with pytest.raises(ImageSourceError, match="of different images: expected features of the sam"):
        same_images([one, make(np.eye(1), paths=["e"])])
    with pytest.raises(ImageSourceError, match="give the same images different labels"):
        same_images([one, make(np.eye(1), ["y"], paths=["a"])])


def test_features_are_told_apart_by_the_settings_in_which_those_of_one_backbone_differ():
    def named(*several):
        return distinct_names([make(np.eye(1), recipe=each) for each in several])

    vgg = like_it(backbone="vgg16", input_size=96)
    assert named(RECIPE, vgg) == ["resnet50", "vgg16"]
    assert named(RECIPE, like_it(pooling="max"), vgg) == [
        "resnet50 avg",
        "resnet50 max",
        "vgg16 avg",
    ]
    assert named(RECIPE, like_it(layer="conv")) == ["resnet50", "resnet50 conv"]
    assert named(like_it(input_size=96), like_it(input_size=448)) == [
        "resnet50 input size 96",
        "resnet50 input size 448",
    ]
    assert named(RECIPE, like_it(weights="1" * 64)) == ["resnet50 1", "resnet50 2"]
    assert named(RECIPE, None) == ["resnet50", "features 2"]
    seen = replace(make(np.eye(1)), views=(np.eye(1, dtype=np.float32),) * 2)
    assert distinct_names([make(np.eye(1)), seen]) == ["resnet50", "resnet50 2 views"]


def test_the_description_is_plain_json(tmp_path):
    for suffix in ("csv", "parquet"):
        sample().save(tmp_path / f"x.{suffix}")
    for text in (
        (tmp_path / "x.csv.json").read_text(),
        pq.read_schema(tmp_path / "x.parquet").metadata[b"featx"],
    ):
        about = json.loads(text)
        assert about["recipe"] == RECIPE.to_dict()
        assert about["outcomes"][2]["reason"] == "empty file"


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".features"])
def test_features_are_not_embedded(tmp_path, suffix):
    sample().save(tmp_path / f"x{suffix}")
    told = f"x{suffix}' holds features already: expected pictures; train, compare"
    with pytest.raises(ImageSourceError, match=re.escape(told)):
        featx.embed(tmp_path / f"x{suffix}")
    with pytest.raises(ImageSourceError, match="the source holds features already: expected pic"):
        featx.embed(sample())
