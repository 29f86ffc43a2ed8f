"""The table of predictions holds any name, is added to, and says which files are new."""

import csv
import os

import fakes
import numpy as np
import pytest

import featx
from featx.errors import NoImagesError, OptionError, StorageError
from featx.models.prediction_table import FileState, new_files, read_rows, write_rows


def test_a_table_has_its_columns_and_any_name(tmp_path):
    rows = [{"path": "a, b.png", "share": 0.5}, {"path": "caf\udce9.png", "share": None}]
    write_rows(tmp_path / "x.csv", ["path", "share"], rows)
    lines = (tmp_path / "x.csv").read_bytes().splitlines()
    assert lines == [b"path,share", b'"a, b.png",0.5', b"caf\xe9.png,"]
    assert read_rows(tmp_path / "x.csv")[1] == [
        {"path": "a, b.png", "share": "0.5"},
        {"path": "caf\udce9.png", "share": ""},
    ]


def test_a_table_has_no_formula_and_numbers_stay(tmp_path):
    rows = [{"path": "=HYPERLINK(1)", "label": "-1", "share": -0.5}, {"path": "@x", "label": "+a"}]
    write_rows(tmp_path / "x.csv", ["path", "label", "share"], rows)
    assert (tmp_path / "x.csv").read_text().splitlines() == [
        *("path,label,share", "'=HYPERLINK(1),-1,-0.5", "'@x,'+a,")
    ]
    assert [row["path"] for row in read_rows(tmp_path / "x.csv")[1]] == ["=HYPERLINK(1)", "@x"]


def test_a_table_for_excel_is_read_as_it_was_written(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    rows = [{"path": "=1+1.png", "share": 0.5}, {"path": "a\x07\udce9.png", "share": None}]
    path = tmp_path / "x.xlsx"
    write_rows(path, ["path", "share"], rows)
    assert read_rows(path) == (
        ["path", "share"],
        [{"path": "=1+1.png", "share": "0.5"}, {"path": "a\\x07\ufffd.png", "share": ""}],
    )
    sheet = openpyxl.load_workbook(path).active
    assert [cell.data_type for cell in sheet[2]] == ["s", "n"], "no formula, and a number"
    assert sheet.freeze_panes == "A2"


def test_without_openpyxl_a_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(OptionError, match=r"take openpyxl: `pip install openpyxl`"):
        write_rows(tmp_path / "x.xlsx", ["path"], [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,label\na,b\n", r"x\.csv has the columns name, label: expected `path`"),
        ("path;label\na;b\n", r"the columns path;label: .* \(\.csv: with commas between"),
        ("path\n" + "x" * 200_000, r"x\.csv is no table that can be read \(field larger"),
    ],
)
def test_what_is_no_table_of_paths_is_told(tmp_path, content, message):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(OptionError, match=message):
        read_rows(tmp_path / "x.csv")


def test_a_file_is_new_until_it_stands_in_the_table_as_it_is(tmp_path):
    photos = fakes.draw_folder(tmp_path / "photos", classes=("red",), each=3)
    images = featx.ImageFolder.of(photos)
    table = tmp_path / "x.csv"
    first, second, third = images.paths
    assert new_files(images, table)[0] == images, "there is no table yet"
    rows = [{"path": first, **FileState.of(first).to_dict()}, {"path": second}]
    write_rows(table, ["path", "bytes", "modified"], rows)
    new, states = new_files(images, table)
    assert new.paths == (third,)
    assert states == (FileState.of(third),)
    assert new.notes == (f"in {table} already: 2 pictures",)
    os.utime(first, (1, 1))
    os.utime(second, (1, 1))
    assert new_files(images, table)[0].paths == (first, third), "of the second no time is known"
    write_rows(table, ["path"], [{"path": path} for path in images.paths])
    with pytest.raises(NoImagesError, match=r"no new picture: in .*x\.csv already: 3 pictures"):
        new_files(images, table)


@pytest.fixture
def model(photos, fake_engine):
    return featx.train(photos, "knn")


def test_a_second_night_adds_what_is_new_and_embeds_no_more(
    model, new_photos, tmp_path, fake_engine
):
    table = tmp_path / "x.csv"
    (new_photos / "red" / "half.png").write_bytes(b"not all of it is there yet")

    def night():
        predictions = model.predictions(new_photos, only_new=table, cache=False)
        predictions.save(table, add=True)
        return [row["path"] for row in predictions.rows]

    before = fake_engine.embedded
    assert len(night()) == 7
    assert fake_engine.embedded == before + 6
    whole = table.read_bytes()
    assert night() == []
    assert table.read_bytes() == whole
    added = fakes.draw(new_photos / "blue" / "new.png", (40, 60, 200))
    whole_now = fakes.draw(new_photos / "red" / "half.png", (200, 40, 40))
    assert night() == [str(added), str(whole_now)]
    assert fake_engine.embedded == before + 8
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {row["path"]: row["label"] for row in rows} == dict(
        zip(featx.ImageFolder.of(new_photos).paths, model.predict(new_photos), strict=True)
    )


def test_adding_keeps_columns_that_others_have_added(model, new_photos, tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("path,checked by,label\nold.jpg,Eva,red\n")
    model.predictions(new_photos / "red", top=2).save(table, add=True)
    columns, rows = read_rows(table)
    assert columns == [
        *("path", "checked by", "label", "probability", "unfamiliar", "unfamiliarity"),
        *("top_2", "top_2_probability"),
        *("outcome", "reason"),
    ]
    assert rows[0]["checked by"] == "Eva"
    assert [row["label"] for row in rows] == ["red"] * 3
    assert rows[1]["checked by"] == ""


def test_a_table_that_cannot_be_written_stays_as_it_was(model, new_photos, tmp_path, monkeypatch):
    table = tmp_path / "x.csv"
    model.predictions(new_photos / "red").save(table)
    whole = table.read_bytes()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="the disk is full"):
        model.predictions(new_photos).save(table, add=True)
    assert table.read_bytes() == whole
    assert [path.name for path in tmp_path.glob("*.csv")] == ["x.csv"]


def test_pictures_in_memory_are_always_new(model, new_photos, tmp_path):
    pictures = [np.full((20, 20, 3), 40, np.uint8)]
    table = tmp_path / "x.csv"
    for _ in range(2):
        model.predictions(pictures, only_new=table).save(table, add=True)
    assert [row["path"] for row in read_rows(table)[1]] == ["image[0]"]


def test_a_damaged_workbook_is_told(tmp_path):
    pytest.importorskip("openpyxl")
    (tmp_path / "x.xlsx").write_bytes(b"PK damaged")
    with pytest.raises(OptionError, match=r"x\.xlsx is no table that can be read \(File is not"):
        read_rows(tmp_path / "x.xlsx")
