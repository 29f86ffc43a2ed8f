"""Tables that pandas, R or a person edited keep their recipe, and what they lost is said."""

import csv
import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fakes import recipe

import featx
from featx.errors import ImageSourceWarning, RecipeMismatchError, StorageError
from featx.features.matrix import Features, as_paths
from featx.images.decode import Outcome

RECIPE = recipe("resnet50", "0" * 64, 224)
NAMES = ("=a/0.png", "-b/1.png", "a/2\n.png", "b/\udcff3.png", "a/4.png", "b/5.png")
LABELS = ("=a", "-1", "=a", "-1", "=a", "-1")


@pytest.fixture
def features():
    X = np.random.default_rng(0).normal(size=(6, 12)).astype(np.float32)
    X[0, :6] = 0.0, -0.0, 1e-20, np.nan, np.inf, 3e38
    outcomes = [Outcome("embedded", path=path) for path in NAMES]
    outcomes.append(Outcome("failed", "empty file", path="a/bad.png"))
    return Features(X, np.array(LABELS), as_paths(NAMES), tuple(outcomes), RECIPE, n_other=3)


@pytest.fixture
def table(features, tmp_path):
    """The path of the features as a .csv."""
    features.save(tmp_path / "x.csv")
    return tmp_path / "x.csv"


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def write(path, rows, quoting=csv.QUOTE_MINIMAL):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n", quoting=quoting).writerows(rows)


def assert_rows(found, features, rows):
    """Assert that features are those rows of others, with all that describes them."""
    expected = features.select(rows)
    assert np.array_equal(found.X, expected.X, equal_nan=True)
    assert (found.paths.tolist(), found.labels) == (expected.paths.tolist(), expected.labels)
    assert (found.recipe, found.weights, found.n_other) == (RECIPE, "imagenet", 0)
    assert [each.path for each in found.outcomes] == [
        name for name in NAMES if name in expected.paths
    ]


def test_no_cell_is_a_formula_and_all_come_back(features, table):
    for row in rows_of(table)[1:]:
        assert row[0][0] not in "=-"
        assert row[1] in ("'=a", "-1")
        assert np.array(row[2:], np.float32).size == 12
    found = Features.load(table)
    assert (found.paths.tolist(), found.labels) == (list(NAMES), list(LABELS))
    table.with_name("x.csv.json").unlink()
    found = Features.load(table)
    assert (found.paths.tolist()[:2], found.labels) == (list(NAMES[:2]), list(LABELS))


def test_rows_that_pandas_removed_and_sorted_keep_their_recipe(features, table):
    frame = pd.read_csv(table, dtype={"label": str})
    frame[frame.label == "-1"].sort_values("resnet50_0").to_csv(table)
    order = sorted((1, 3, 5), key=lambda row: features.X[row, 0])
    with pytest.warns(UserWarning, match=r"x\.csv holds 3 of the 6 rows that were saved"):
        found = Features.load(table)
    assert_rows(found, features, order)


def test_rows_in_another_order_are_all_there_and_nothing_is_said(features, table):
    pd.read_csv(table, dtype={"label": str}).iloc[::-1].to_csv(table, index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_rows(Features.load(table), features, range(5, -1, -1))


@pytest.mark.parametrize("function", ["write.csv", "write.table"])
def test_a_table_that_r_wrote_keeps_its_recipe(features, table, function):
    header, *rows = rows_of(table)
    known = {"-0": "0", "nan": "NA", "inf": "Inf"}
    numbers = [[known.get(cell) or f"{float(cell):.15g}" for cell in row[2:]] for row in rows]
    kept = [[str(row + 1), *rows[row][:2], *numbers[row]] for row in (4, 0, 1)]
    first = [""] if function == "write.csv" else []
    write(table, [first + [name.replace("+", ".") for name in header], *kept], csv.QUOTE_ALL)
    with pytest.warns(UserWarning, match="holds 3 of the 6 rows"):
        found = Features.load(table)
    assert_rows(found, features, [4, 0, 1])


def test_columns_are_put_in_their_order_and_added_ones_are_left_out(features, table):
    frame = pd.read_csv(table, dtype={"label": str}).assign(fold="first", X=range(6))
    frame[sorted(frame.columns)].iloc[:5].to_csv(table, index=False)
    with (
        pytest.warns(UserWarning, match=r"x\.csv: left out X, fold, which featx did not save"),
        pytest.warns(UserWarning, match="holds 5 of the 6"),
    ):
        found = Features.load(table)
    assert_rows(found, features, range(5))


def _changed(frame):
    frame.loc[2, "resnet50_3"] += 1e-3


def _swapped(frame):
    frame.loc[[0, 4], "path"] = frame.loc[[4, 0], "path"].tolist()


def _narrow(frame):
    del frame["resnet50_11"]


def _added(frame):
    frame.loc[6] = ["new.png", "a", *[0.5] * 12]


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_changed, "1 row changed, added or lost, such as a/2 .png"),
        (_swapped, "2 rows changed, added or lost, such as a/4.png"),
        (_narrow, "11 columns of numbers, 12 were saved"),
        (_added, "1 row changed, added or lost, such as new.png"),
    ],
)
def test_values_that_were_not_saved_are_refused_and_named(table, edit, reason):
    frame = pd.read_csv(table, dtype={"label": str})
    edit(frame)
    frame.to_csv(table, index=False, na_rep="nan")
    with pytest.raises(StorageError) as caught:
        Features.load(table)
    assert "x.csv and x.csv.json do not belong together; copy both, or remove" in str(caught.value)
    assert str(caught.value).endswith(f"({reason})")
    table.with_name("x.csv.json").unlink()
    assert Features.load(table).recipe is None


def test_paths_and_labels_may_be_corrected_whatever_else_is_edited(features, table):
    frame = pd.read_csv(table, dtype={"label": str}).iloc[3:]
    frame["path"] = "moved/" + frame["path"]
    frame["label"] = ["c", "d", "d"]
    frame.to_csv(table, index=False)
    with (
        pytest.warns(UserWarning, match="holds 3 of the 6"),
        pytest.warns(UserWarning, match="has 3 paths that featx did not save, such as moved/b/"),
    ):
        found = Features.load(table)
    assert (found.recipe, found.labels) == (RECIPE, ["c", "d", "d"])
    assert found.paths.tolist() == ["moved/b/?3.png", "moved/a/4.png", "moved/b/5.png"]
    assert np.array_equal(found.X, features.X[3:])


def test_copies_of_a_row_are_those_of_the_saved_one(features, table):
    header, *rows = rows_of(table)
    write(table, [header, rows[1], rows[1], rows[0]])
    with pytest.warns(UserWarning, match="holds 3 of the 6"):
        assert_rows(Features.load(table), features, [1, 1, 0])


def test_views_follow_their_images(features, tmp_path):
    path = tmp_path / "x.csv"
    seen = Features(
        features.X, features.y, features.paths, recipe=RECIPE, views=(features.X + 1, features.X)
    )
    seen.save(path)
    header, *rows = rows_of(path)
    kept = [row for row in range(18) if row % 6 in (1, 4)]
    write(path, [header, *(rows[row] for row in reversed(kept))])
    with pytest.warns(UserWarning, match="holds 6 of the 18 rows"):
        found = Features.load(path)
    assert np.array_equal(found.X, features.X[[4, 1]])
    assert np.array_equal(found.views, [features.X[[4, 1]] + 1, features.X[[4, 1]]])
    write(path, [header, *(rows[row] for row in kept[1:])])
    with pytest.raises(StorageError, match="rows of some views are lost"):
        Features.load(path)


def test_a_parquet_that_was_edited_keeps_its_recipe(features, tmp_path):
    path = tmp_path / "x.parquet"
    features.save(path)
    kept = [5, 0, 2]
    pq.write_table(pq.read_table(path).take(kept), tmp_path / "arrow.parquet")
    pd.read_parquet(path).iloc[kept].to_parquet(tmp_path / "pandas.parquet")
    for name in ("arrow", "pandas"):
        with pytest.warns(UserWarning, match="holds 3 of the 6"):
            assert_rows(Features.load(tmp_path / f"{name}.parquet"), features, kept)


def test_a_table_saved_before_rows_were_known_is_refused_as_it_was(table):
    sidecar = table.with_name("x.csv.json")
    about = json.loads(sidecar.read_text())
    del about["rows"], about["description_checksum"]
    sidecar.write_text(json.dumps(about))
    write(table, rows_of(table)[:-1])
    with pytest.raises(StorageError, match="do not belong together"):
        Features.load(table)


def test_a_model_learns_from_an_edited_table(photos, tmp_path, fake_engine):
    path = tmp_path / "x.csv"
    featx.embed(photos).save(path)
    frame = pd.read_csv(path)
    frame[frame.label != "red"].sample(frac=1, random_state=0).to_csv(path, index=False)
    with pytest.warns(UserWarning, match="holds 12 of the 18 rows"):
        model = featx.train(Features.load(path), "knn")
    assert model.predict([str(photos / "green" / "000.png")]).tolist() == ["green"]
    path.rename(tmp_path / "renamed.csv")
    with pytest.raises(RecipeMismatchError, match=r"the \.json beside it"):
        featx.train(Features.load(tmp_path / "renamed.csv"), "knn")


@pytest.mark.parametrize(
    ("labels", "cells", "expected"),
    [
        ([3, 5, 3, 5, 3, 5], ["3.0", "", "3.0", "5.0", "3", "5"], [3, None, 3, 5, 3, 5]),
        ([3, 5, 3, 5, 3, 5], ["3", "5", "kiwi", "5", "3", "5"], ["3", "5", "kiwi", "5", "3", "5"]),
        (
            [True, False, True, False, True, False],
            ["TRUE", "FALSE", "True", "false", "true", "FALSE"],
            [True, False, True, False, True, False],
        ),
    ],
)
def test_labels_that_a_program_wrote_its_own_way_keep_their_type(table, labels, cells, expected):
    features = Features.load(table)
    replace(features, y=np.array(labels)).save(table)
    rows = rows_of(table)
    write(
        table,
        [rows[0], *([row[0], cell, *row[2:]] for row, cell in zip(rows[1:], cells, strict=True))],
    )
    found = Features.load(table)
    assert found.labels == expected
    assert [*map(type, found.labels)] == [*map(type, expected)]
    assert found.recipe == RECIPE


def test_corrected_names_of_classes_count_as_in_a_folder(table):
    rows = rows_of(table)
    for row, cell in zip(
        rows[1:], ["cat ", "cat", "cafe\u0301", "caf\u00e9", "cat", "Cat"], strict=True
    ):
        row[1] = cell
    write(table, rows)
    with pytest.warns(ImageSourceWarning) as said:
        found = Features.load(table)
    assert found.labels == ["cat", "cat", "caf\u00e9", "caf\u00e9", "cat", "Cat"]
    assert [str(each.message) for each in said] == list(found.notes)
    assert len(found.notes) == 1
    assert "'cat ' is cat" in found.notes[0]
