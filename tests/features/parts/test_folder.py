"""A folder of features holds what was saved, is read lazily, and by other programs."""

from __future__ import annotations

import errno
import json
import pickle
import subprocess
import sys
import zlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fakes import recipe

from featx.errors import OptionError, StorageError
from featx.features import matrix, saved
from featx.features.columns import as_labels, as_paths
from featx.features.matrix import Features, OpenedFeatures
from featx.features.parts import part, place, rows, writing
from featx.features.parts.manifest import NAME
from featx.features.parts.rows import LazyRows
from featx.features.parts.writing import FolderWriter
from featx.images.decode import Outcome

RECIPE = recipe(weights="0123456789abcdef" * 4)
N, WIDTH = 50, 6
FAILED = (0, 7, 8, 49)  # places among the pictures


def sample(labels=("cat", "dog", "emu")) -> Features:
    """Features of fifty pictures, of which some cannot be read."""
    paths = [f"photos/{number:02d}.jpg" for number in range(N)]
    paths[3] = "photos/\udcff.jpg"
    outcomes = [
        Outcome("failed", reason="empty file", path=path)
        if number in FAILED
        else Outcome("embedded", notes=("CMYK to RGB",) * (number % 2), path=path)
        for number, path in enumerate(paths)
    ]
    sound = [outcome.path for outcome in outcomes if outcome.ok]
    X = np.random.default_rng(0).normal(size=(len(sound), WIDTH)).astype(np.float32)
    digests = np.array([f"{number:064x}" for number in range(len(sound))], dtype="S64")
    return Features(
        X,
        as_labels(np.resize(np.array(labels, dtype=object), len(sound)).tolist()),
        as_paths(sound),
        outcomes=tuple(outcomes),
        recipe=RECIPE,
        n_other=3,
        notes=("a note",),
        images_per_second=12.5,
        name="mine",
        digests=digests,
    )


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Let parts hold 20 pictures, row groups 6, and everything be read lazily."""
    monkeypatch.setattr(writing, "PART_ROWS", 20)
    monkeypatch.setattr(part, "GROUP_ROWS", 6)
    monkeypatch.setattr(matrix, "MEMORY_MAP_BYTES", 0)


@pytest.fixture
def folder(tmp_path):
    sample().save(tmp_path / "photos.features")
    return tmp_path / "photos.features"


def assert_same(found: Features, expected: Features) -> None:
    assert found.X.shape == expected.X.shape
    assert np.asarray(found.X).tobytes() == expected.X.tobytes()
    assert found.paths.tolist() == expected.paths.tolist()
    assert found.labels == expected.labels
    assert found.digests.tolist() == expected.digests.tolist()
    for name in ("outcomes", "failed", "recipe", "n_other", "weights", "notes", "name", "classes"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.to_dict() == expected.to_dict()


@pytest.mark.parametrize("labels", [("cat", "dog"), (1, 2, 3), (True, False), ("cat", None)])
def test_features_come_back_from_a_folder(tmp_path, labels):
    features = sample(labels)
    features.save(tmp_path / "photos.features")
    found = Features.load(tmp_path / "photos.features")
    assert isinstance(found, OpenedFeatures)
    assert_same(found, features)
    assert found.y.dtype.kind == features.y.dtype.kind
    assert sorted(path.name for path in (tmp_path / "photos.features").iterdir()) == [
        NAME,
        *(f"part-{number:05d}.parquet" for number in range(3)),
    ]


def test_a_small_folder_is_loaded_as_files_are(folder, monkeypatch):
    monkeypatch.setattr(matrix, "MEMORY_MAP_BYTES", 1 << 20)
    found = Features.load(folder)
    assert type(found) is Features
    assert type(found.X) is np.ndarray
    assert_same(found, sample())


def test_opening_reads_the_manifest_alone(folder):
    for path in folder.glob("part-*"):
        path.write_bytes(b"x" * path.stat().st_size)
    found = Features.load(folder)
    assert found.X.shape == (46, WIDTH)
    with pytest.raises(StorageError, match=r"part-00000.parquet of .* is damaged \(.*\); copy it"):
        found.X[0]


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        slice(None),
        slice(40, 2, -3),
        [5, 5, 44, 0, 19, 20, 21],
        np.arange(46) % 3 == 0,
        (slice(3, 30), slice(1, 4)),
        (slice(3, 30), [0, 5]),
        ([1, 40], slice(0, 2)),
        ([1, 40, 3], [0, 1, 2]),
        (7, 2),
        (slice(None), 2),
        np.s_[..., 1],
        [],
        (),
        (slice(None), (0, 1)),
        np.s_[True, 3:5],
    ],
    ids=str,
)
def test_rows_and_columns_are_those_of_the_array(folder, key):
    key = np.array(key, dtype=int) if isinstance(key, list) else key
    found, expected = Features.load(folder).X, sample().X
    assert found[key].tobytes() == expected[key].tobytes()
    assert found[key].shape == expected[key].shape


@pytest.mark.parametrize(
    "key",
    [
        np.s_[[1, 1, 0], :, [0, 1, 2]],
        np.s_[[1, 0], 1, None, [0, 2]],
        np.s_[[2, 0], ..., [True, False, True]],
        np.s_[[2, 0], :1, True],
        np.s_[((0, 2),)],
        np.s_[2, [0, 1], :, [1, 0]],
    ],
    ids=str,
)
def test_places_of_maps_are_those_of_the_array(tmp_path, key):
    maps = np.arange(54, dtype=np.float32).reshape(3, 2, 3, 3)
    Features(maps, None, list("abc")).save(tmp_path / "maps.features")
    found = Features.load(tmp_path / "maps.features").X[key]
    np.testing.assert_array_equal(found, maps[key], strict=True)


@pytest.mark.parametrize("key", [46, [0, 46], (slice(None), 6), ["a"]])
def test_rows_that_are_not_there_are_index_errors(folder, key):
    with pytest.raises(IndexError):
        Features.load(folder).X[key]


def test_what_takes_an_array_takes_lazy_rows(folder):
    X, expected = Features.load(folder).X, sample().X
    assert (X.ndim, X.size, X.nbytes, X.dtype) == (2, 276, 1104, np.float32)
    assert (X * 2 - X).tobytes() == expected.tobytes()
    assert np.isnan(X).sum() == 0
    assert np.stack(list(X)).tobytes() == expected.tobytes()
    assert np.asarray(pickle.loads(pickle.dumps(X))).tobytes() == expected.tobytes()
    assert X.mean(axis=0).tobytes() == expected.mean(axis=0).tobytes()
    assert X.T.tobytes() == expected.T.tobytes()
    with pytest.raises(AttributeError, match="'LazyRows' object has no attribute 'means'"):
        _ = X.means


def test_few_rows_are_read_without_the_others(folder, monkeypatch):
    read = []
    opened = place.LocalPlace.opened
    monkeypatch.setattr(
        place.LocalPlace, "opened", lambda self, name: read.append(name) or opened(self, name)
    )
    found = Features.load(folder)
    assert found.X[[44, 1, 2]].tobytes() == sample().X[[44, 1, 2]].tobytes()
    assert set(read) == {NAME, "part-00000.parquet", "part-00002.parquet"}


def test_many_rows_are_selected_lazily(folder, monkeypatch):
    monkeypatch.setattr(rows, "MEMORY_MAP_BYTES", 100)
    picked = np.arange(45, 0, -1)
    found, expected = Features.load(folder).select(picked), sample().select(picked)
    assert isinstance(found.X, LazyRows)
    assert_same(found, expected)
    again = found.select([0, 3])
    assert again.X.tolist() == expected.X[[0, 3]].tolist()


def test_batches_of_a_folder_are_those_of_the_features(folder):
    opened = Features.load(folder)
    for found, expected in zip(opened.batches(17), sample().batches(17), strict=True):
        assert_same(found, expected)
    assert "outcomes" not in vars(opened)
    (found,) = Features.load(folder).batches(columns=[1, 2])
    assert found.X.tolist() == sample().X[:, [1, 2]].tolist()


def test_other_values_make_plain_features_that_read_lazily(folder):
    found = replace(Features.load(folder), name="other")
    assert type(found) is Features
    assert isinstance(found.X, LazyRows)
    assert_same(found, replace(sample(), name="other"))


def test_rows_are_found_by_digest(folder):
    asked = [f"{number:064x}" for number in (45, 0, 7, 46)]
    for features in (Features.load(folder), sample()):
        assert features.find(asked).tolist() == [45, 0, 7, -1]
    with pytest.raises(OptionError, match="do not know the digests"):
        replace(sample(), digests=None).find(asked)


def test_maps_keep_their_shape_and_unknown_outcomes_stay_unknown(tmp_path):
    X = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)
    Features(X, None, as_paths(["a", "b"])).save(f"{tmp_path}/maps/")
    found = Features.load(tmp_path / "maps")
    assert found.X[1].tolist() == X[1].tolist()
    assert (found.y, found.outcomes, found.digests, found.recipe) == (None, (), None, None)


def test_features_without_rows_come_back(tmp_path):
    Features(np.empty((0, 3), np.float32), None, as_paths([])).save(tmp_path / "x.features")
    assert Features.load(tmp_path / "x.features").X.shape == (0, 3)


# Other programs ---------------------------------------------------------------------------------


def test_pandas_reads_a_folder(folder):
    frame = pd.read_parquet(folder)
    assert frame.outcome.value_counts().to_dict() == {"embedded": 46, "failed": 4}
    assert np.stack(frame.vector.dropna()).tobytes() == sample().X.tobytes()
    assert frame.reason.dropna().unique().tolist() == ["empty file"]


def test_polars_reads_a_folder(folder):
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(folder / "*.parquet").filter(polars.col("vector").is_not_null())
    assert frame["vector"].to_numpy().tobytes() == sample().X.tobytes()
    assert frame["key"].to_list() == [each.decode() for each in sample().digests.tolist()]


def test_duckdb_reads_a_folder(folder):
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(
        f"SELECT label, count(*), sum(vector[1]) FROM '{folder}/*.parquet' "
        "WHERE outcome <> 'failed' GROUP BY label ORDER BY label"
    ).fetchall()
    features = sample()
    assert [row[:2] for row in rows] == [
        (name, features.labels.count(name)) for name in features.classes
    ]
    for name, _, total in rows:
        assert total == pytest.approx(features.X[features.y == name, 0].sum(), rel=1e-5)


@pytest.mark.parametrize("program", ["arrow", "pandas", "polars"])
def test_a_part_that_another_program_wrote_again_is_read(folder, program):
    path = folder / "part-00001.parquet"
    if program == "arrow":  # which keeps what stands in the footer
        pq.write_table(pq.read_table(path), path, compression="none", data_page_size=10)
    elif program == "pandas":
        pd.read_parquet(path).to_parquet(path, row_group_size=7)
    else:
        polars = pytest.importorskip("polars")
        polars.read_parquet(path).write_parquet(path)
    found = Features.load(folder)
    assert found.X[[0, 30, 18, 45]].tobytes() == sample().X[[0, 30, 18, 45]].tobytes()
    assert found.paths.tolist()[17:] == sample().paths.tolist()[17:]
    assert found.digests.tolist() == sample().digests.tolist()


# What is not there, damaged or hostile ------------------------------------------------------------


def changed(folder, **changes) -> None:
    """Let a manifest say something else, with a checksum that fits."""
    document = json.loads((folder / NAME).read_text())
    document |= changes
    document.pop("checksum")
    document["checksum"] = zlib.crc32(json.dumps(document, sort_keys=True).encode())
    (folder / NAME).write_text(json.dumps(document))


def entries(folder, **changes) -> list[dict]:
    first, *others = json.loads((folder / NAME).read_text())["parts"]
    return [first | changes, *others]


def one_part(name="part-00000.parquet", pictures=1) -> dict:
    return {"parts": [{"name": name, "pictures": pictures, "failed": 0, "bytes": 9}]}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": "other"}, "is damaged (not one of features)"),
        ({"format": 9}, "is of format 9, expected 1; update featx"),
        ({"finished": False}, "is not finished: run the command that makes it again"),
        ({"shape": [1 << 40]}, "is no count"),
        ({"shape": []}, "the shape is ()"),
        ({"shape": [5]}, "is damaged ("),
        ({"labels": "complex"}, "labels of type 'complex'"),
        ({"about": {}}, "cannot be used: 'outcomes'"),
        ({"about": 3}, "is damaged"),
        ({"parts": 3}, "is damaged"),
        (one_part("../x.parquet"), "is no part"),
        (one_part("part-00009.parquet"), "lacks part-00009.parquet, which its manifest names"),
        (one_part(pictures=1 << 40), "were written: copy it again"),
        (one_part(pictures=-1), "-1 is no count"),
    ],
    ids=str,
)
def test_a_manifest_that_says_what_it_cannot_is_an_error_of_one_line(folder, changes, text):
    changed(folder, **changes)
    with pytest.raises(StorageError) as caught:
        np.asarray(Features.load(folder).X)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_was_edited_is_said_to_be(folder):
    text = (folder / NAME).read_text()
    (folder / NAME).write_text(text.replace('"n_other": 3', '"n_other": 4'))
    with pytest.raises(StorageError, match="it was changed: its checksum does not match"):
        Features.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_manifest_is_an_error_of_one_line(folder, content):
    (folder / NAME).write_bytes(content)
    with pytest.raises(StorageError, match=f"{NAME} of .* is damaged .*; copy it again, or embed"):
        Features.load(folder)


@pytest.mark.parametrize("parts", [{"pictures": 21}, {"failed": 2}, {"pictures": 19, "failed": 2}])
def test_a_part_of_other_rows_than_its_manifest_says_is_an_error(folder, parts):
    changed(folder, parts=entries(folder, **parts))
    with pytest.raises(StorageError, match=r"damaged|cannot be used"):
        np.asarray(Features.load(folder).X)


def test_a_part_of_another_folder_is_an_error(folder, tmp_path):
    replace(sample(), X=sample().X + 1).save(tmp_path / "other.features")
    (tmp_path / "other.features/part-00001.parquet").replace(folder / "part-00001.parquet")
    found = Features.load(folder)
    assert found.X[0].tolist() == sample().X[0].tolist()
    for read in (lambda: found.X[20], lambda: found.paths, lambda: found.digests):
        with pytest.raises(StorageError, match=r"part-00001\S* of .* is not the one that its"):
            read()


def test_a_manifest_without_checksums_of_parts_is_read(folder):
    parts = entries(folder)
    for each in parts:
        del each["footer"]
    changed(folder, parts=parts)
    assert_same(Features.load(folder), sample())


def test_a_damaged_vector_is_never_given(folder):
    path = folder / "part-00000.parquet"
    data = bytearray(path.read_bytes())
    at = data.find(sample().X[4].tobytes())
    data[at + 5] ^= 1
    path.write_bytes(data)
    X = Features.load(folder).X
    assert X[3].tobytes() == sample().X[3].tobytes()
    with pytest.raises(StorageError, match=r"part-00000.parquet of .* is damaged"):
        X[4]


@pytest.mark.parametrize("n", range(0, 4000, 211))
def test_a_part_of_damaged_bytes_is_an_error_or_the_truth(folder, n):
    path = folder / "part-00000.parquet"
    data = bytearray(path.read_bytes())
    data[n % len(data) :: 977] = bytes(each ^ 0x55 for each in data[n % len(data) :: 977])
    path.write_bytes(data)
    found = Features.load(folder)
    with suppress(StorageError):
        assert np.asarray(found.X).tobytes() == sample().X.tobytes()
    with suppress(StorageError):
        assert found.paths.tolist() == sample().paths.tolist()


READ_DAMAGED = """
import sys
from pathlib import Path
from featx.errors import StorageError
from featx.features.matrix import Features

folder = Path(sys.argv[1])
part = folder / "part-00000.parquet"
sound = part.read_bytes()
for at in range(8 * 60):
    damaged = bytearray(sound)
    damaged[at // 8 - 1120] ^= 1 << at % 8  # of what is told of columns
    part.write_bytes(damaged)
    try:
        Features.load(folder)
    except StorageError:
        pass
"""


def test_a_bit_that_is_flipped_in_what_parquet_tells_of_a_part_ends_no_process(tmp_path):
    sample().save(tmp_path / "x.features")
    words = [sys.executable, "-c", READ_DAMAGED, str(tmp_path / "x.features")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-300:]


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "x.features").mkdir()
    (tmp_path / "x.features/thesis.txt").touch()
    with pytest.raises(StorageError, match=r"holds other files, such as thesis\.txt: name"):
        sample().save(tmp_path / "x.features")
    with pytest.raises(StorageError, match=f"has no {NAME}: expected a folder of features"):
        Features.load(tmp_path / "x.features")
    with pytest.raises(StorageError, match=r"y\.features is not there, or is empty: expected"):
        Features.load(tmp_path / "y.features")


def test_a_part_is_told_from_a_table(tmp_path):
    sample().save(tmp_path / "x.features")
    with pytest.raises(
        StorageError, match=r"0\.parquet is a part of features: expected the folder"
    ):
        Features.load(tmp_path / "x.features/part-00000.parquet")


def test_what_a_folder_cannot_hold_is_refused_before_it_is_made(tmp_path, folder):
    views = replace(sample(), views=(sample().X,))
    with pytest.raises(OptionError, match="keeps no augmented views; name a file"):
        views.save(tmp_path / "x.features")
    with pytest.raises(OptionError, match="holds these features: name another folder"):
        Features.load(folder).save(folder)
    with pytest.raises(StorageError, match="there is no such folder; create it first"):
        sample().save(tmp_path / "no/x.features")
    assert not (tmp_path / "x.features").exists()


def test_a_folder_that_cannot_be_written_is_named(folder, monkeypatch):
    def read_only(**_):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(place.tempfile, "TemporaryFile", read_only)
    with pytest.raises(StorageError, match=r"write \S+/photos\.features: the file system is read"):
        sample().save(folder)


def test_what_a_killed_run_left_unfinished_goes(folder):
    with place.LocalPlace(folder).written("part-00001.parquet") as file:
        left = folder / f"{file.stem[:-12]}{'0' * 12}.parquet"
        left.touch()
    (folder / ".mine").touch()
    sample().save(folder)
    assert not left.exists()
    assert (folder / ".mine").exists()


def test_shorter_features_take_the_place_of_longer_ones(folder):
    sample().select([4, 2]).save(folder)
    assert len(list(folder.iterdir())) == 2
    assert Features.load(folder).X[:].tolist() == sample().X[[4, 2]].tolist()


def begun(path, fields: Features) -> FolderWriter:
    writer = FolderWriter(path, "a recipe")
    writer.start()
    add(writer, fields)
    return writer


def add(writer: FolderWriter, rows: Features) -> None:
    outcomes, digests = [None] * len(rows), [None] * len(rows)
    writer.add(rows.X, rows.paths.tolist(), rows.labels, outcomes, digests)


def assert_second_run_alone_writes(path) -> None:
    first, second = begun(path, sample()), begun(path, sample().select([1, 2]))
    for write in (lambda: add(first, sample()), lambda: first.finish(vars(sample()), (WIDTH,))):
        with pytest.raises(StorageError, match="another run has begun to write"):
            write()
    second.finish(vars(sample()), (WIDTH,))
    with pytest.raises(StorageError, match="another run"):
        add(first, sample())
    assert Features.load(path).X[:].tolist() == sample().X[[1, 2]].tolist()


def test_parts_of_two_runs_at_once_are_not_mixed(tmp_path):
    assert_second_run_alone_writes(tmp_path / "x.features")


def test_a_file_that_leads_nowhere_hides_no_others(folder):
    (folder / ".other").symlink_to("nowhere")
    assert_same(Features.load(folder), sample())


# At an address ------------------------------------------------------------------------------------


def test_a_folder_may_be_in_a_bucket(bucket):
    address = f"{bucket}/runs/photos.features"
    sample().save(address)
    found = Features.load(address)
    assert_same(found, sample())
    assert found.select([40, 2]).X.tolist() == sample().X[[40, 2]].tolist()
    assert [len(batch) for batch in found.batches(20)] == [20, 20, 6]
    assert saved.is_saved(address)
    assert not saved.is_saved(f"{bucket}/other.features")
    with pytest.raises(OptionError, match="holds these features"):
        found.save(address)
    sample().select([1]).save(address)
    assert Features.load(address).X.shape == (1, WIDTH)


def test_parts_of_two_runs_at_once_are_not_mixed_in_a_bucket(bucket):
    assert_second_run_alone_writes(f"{bucket}/x.features")


def test_few_rows_of_a_folder_in_a_bucket_are_read_by_their_bytes(tmp_path, bucket, monkeypatch):
    monkeypatch.setattr(place.AddressPlace, "gap", 0)
    sample().save(f"{bucket}/x.features")
    asked = []
    read = place.read
    monkeypatch.setattr(
        place, "read", lambda *bounds: asked.append(bounds[2] - bounds[1]) or read(*bounds)
    )
    X = Features.load(f"{bucket}/x.features").X
    X[0]
    asked.clear()
    assert X[[2, 3, 16]].tolist() == sample().X[[2, 3, 16]].tolist()
    assert asked == [2 * 4 * WIDTH, 4 * WIDTH]


def test_a_folder_that_is_not_in_a_bucket_is_an_error_of_one_line(bucket):
    with pytest.raises(StorageError, match=r"x\.features is not there, or is empty: expected"):
        Features.load(f"{bucket}/x.features")
    with pytest.raises(StorageError, match="no-such-bucket"):
        Features.load("s3://no-such-bucket-of-ours/x.features")
    with pytest.raises(StorageError, match="a web server"):
        sample().save("https://example.org/x.features")
