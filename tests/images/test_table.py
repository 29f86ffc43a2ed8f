"""Tables of images are read as people and programs write them."""

import numpy as np
import pandas as pd
import pytest

from featx.errors import ImageSourceError, OptionError
from featx.images.folder import ImageFolder
from featx.images.table import TABLE_SUFFIXES, Table

ROWS = [("a/1.jpg", "Bär"), ("b/2.jpg", "cat, black")]


@pytest.fixture
def place(tmp_path):
    """A folder of two pictures and one that is in no table; their tables stand beside them."""
    for name in ("a/1.jpg", "b/2.jpg", "b/3.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def text(separator: str, end: str = "\n", quote: str = '"') -> str:
    lines = [("path", "label"), *[(path, f"{quote}{label}{quote}") for path, label in ROWS]]
    return "".join(separator.join(line) + end for line in lines)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", text(",").encode()),
        ("mark.csv", text(",", "\r\n").encode("utf-8-sig")),
        ("semicolon.csv", text(";", "\r\n", "").encode()),
        ("windows.csv", text(";").encode("cp1252")),
        ("sep.csv", b"sep=;\r\n" + text(";", "\r\n").encode("cp1252")),
        ("tabs.csv", text("\t").encode()),
        ("tabs.tsv", text("\t", quote="").encode()),
        ("unicode.tsv", text("\t", "\r\n").encode("utf-16")),
        ("UPPER.CSV", text("|").encode()),
        ("blank.csv", text(";").encode() + b";\n\n;\n"),
        ("last.csv", text(",").replace("\n", ",\n").encode()),
        ("last_of_rows.csv", text(",").replace('"\n', '",\n').encode()),
        ("names_of_rows.csv", text(",").replace("\na", "\n1,a").replace("\nb", "\n2,b").encode()),
        ("backslash.csv", text(",").replace("/", "\\").encode()),
        ("case.csv", text(",").replace("path,label", "Path, Label ").encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_text_is_read_as_spreadsheets_write_it(place, name, content):
    (place / name).write_bytes(content)
    images = ImageFolder.of(place / name)
    assert images.paths == tuple(str(place / path) for path, _ in ROWS)
    assert images.labels == ("Bär", "cat, black")


@pytest.mark.parametrize(
    "suffix", [each for each in TABLE_SUFFIXES if each not in (".csv", ".tsv")]
)
def test_a_table_of_other_programs_is_read(place, suffix):
    frame = pd.DataFrame(ROWS, columns=["path", "label"])
    if suffix == ".parquet":
        frame.to_parquet(place / "table.parquet")
    else:
        pytest.importorskip("openpyxl")
        frame.to_excel(place / f"table{suffix}", index=False)
    assert ImageFolder.of(place / f"table{suffix}").labels == ("Bär", "cat, black")


def test_numbers_of_a_parquet_table_stay_numbers_and_an_index_may_be_the_path(place):
    frame = pd.DataFrame({"label": [7, 3]}, index=pd.Index(["a/1.jpg", "b/2.jpg"], name="path"))
    frame.to_parquet(place / "table.parquet")
    assert ImageFolder.of(place / "table.parquet").labels == (7, 3)
    assert ImageFolder.of(frame, root=place).labels == (7, 3)


def test_a_workbook_without_openpyxl_says_what_to_install(place, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    (place / "table.xlsx").write_bytes(b"PK")
    with pytest.raises(ImageSourceError, match=r"`pip install openpyxl` \(or featx\[excel\]\)"):
        ImageFolder.of(place / "table.xlsx")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.csv", b"", "No columns"),
        ("x.csv", b"path,label\n", "is empty: expected a row an image"),
        ("x.csv", b"path,label\na/1.jpg,x,y\nb/2.jpg,x,y\n", "more cells than the first line"),
        ("x.csv", b"path,label\na/1.jpg,x\nb/2.jpg,x,y,z\n", "is no table that can be read"),
        ("x.parquet", b"PAR1", "is no table that can be read"),
        ("x.xlsx", b"PK", "is no table that can be read|pip install openpyxl"),
    ],
)
def test_a_file_that_is_no_table_is_named(place, name, content, reason):
    (place / name).write_bytes(content)
    with pytest.raises(ImageSourceError, match=rf"x\..*({reason})"):
        ImageFolder.of(place / name)


def test_paths_begin_in_the_folder_of_the_table_or_the_current_one_or_the_root(
    place, tmp_path_factory, monkeypatch
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (place / "table.csv").write_text(text(","))
    (elsewhere / "table.csv").write_text(text(","))
    monkeypatch.chdir(elsewhere)
    expected = tuple(str(place / path) for path, _ in ROWS)
    assert ImageFolder.of(place / "table.csv").paths == expected
    assert ImageFolder.of("table.csv", root=place).paths == expected
    assert ImageFolder.of(elsewhere / "table.csv").paths[0] == str(elsewhere / "a" / "1.jpg")
    monkeypatch.chdir(place)
    images = ImageFolder.of(elsewhere / "table.csv")
    assert images.paths == ("a/1.jpg", "b/2.jpg")
    assert images.notes[0] == "paths of table.csv begin in the current folder, not in its own"


def test_other_columns_stay_beside_the_images(place):
    frame = pd.DataFrame(ROWS, columns=["path", "label"]).assign(patient=["p1", "p2"])
    frame.to_csv(place / "table.csv", index=False)
    images = ImageFolder.of(place / "table.csv")
    assert images.table.column("patient").tolist() == ["p1", "p2"]
    assert images.table.column("nobody") is None
    assert images.select([1]).table.column("Patient").tolist() == ["p2"]
    assert images.select([1]).paths == images.paths[1:]


def test_columns_of_other_names_are_named(place):
    frame = pd.DataFrame(ROWS, columns=["file", "species"])
    frame.to_csv(place / "table.csv", index=False)
    named = {"path_column": "file", "label_column": "species"}
    assert ImageFolder.of(place / "table.csv", **named).labels == ("Bär", "cat, black")
    assert ImageFolder.of(frame, root=place, **named).labels == ("Bär", "cat, black")
    with pytest.raises(
        ImageSourceError,
        match="has the columns file, species: expected `path`; name the one of the paths",
    ):
        ImageFolder.of(place / "table.csv")
    with pytest.raises(
        ImageSourceError, match="expected `sort`; name the one of the classes by --label"
    ):
        ImageFolder.of(frame, path_column="file", label_column="sort")


def test_a_column_is_found_whatever_its_case_unless_two_are_alike():
    table = Table(pd.DataFrame([[1, 2, 3]], columns=["Label", "LABEL", " Path"]))
    assert table.column("label") is None
    assert table.column("Label").tolist() == [1]
    assert table.column("path").tolist() == [3]


def test_pictures_beside_those_of_a_table_are_counted(place):
    (place / "table.csv").write_text(text(","))
    note = f"1 picture beside those of table.csv has no row in it: {place / 'b' / '3.jpg'}"
    assert ImageFolder.of(place / "table.csv").notes == (note,)


def test_columns_are_known_only_of_what_is_a_table(place):
    assert Table.of(place) is None
    assert Table.of(place / "a" / "1.jpg") is None
    assert Table.of("missing.csv") is None
    assert Table.of(np.zeros((2, 2))) is None


def test_classes_come_from_the_first_or_the_last_folder(tmp_path):
    for name in ("cat/old/1.jpg", "cat/new/2.jpg", "dog/new/3.jpg", "4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert ImageFolder.of(tmp_path).labels == (None, "cat", "cat", "dog")
    assert ImageFolder.of(tmp_path, classes_from="last").labels == (None, "new", "old", "new")
    assert ImageFolder.of([tmp_path], classes_from="last").classes == ("new", "old")
    with pytest.raises(OptionError, match="unknown classes_from 'middle': expected one of first,"):
        ImageFolder.of(tmp_path, classes_from="middle")


def test_of_two_columns_of_one_name_none_is_taken(place):
    rows = "path,label,label\na/1.jpg,x,y\nb/2.jpg,y,x\n"
    (place / "twice.csv").write_text(rows)
    with pytest.raises(ImageSourceError, match=r"twice\.csv has 2 columns that are called `label`"):
        ImageFolder.of(place / "twice.csv")
    others = rows.replace("label,label", "label,note,note").replace(",x\n", ",x,z\n")
    (place / "others.csv").write_text(others.replace("x,y\n", "x,y,z\n"))
    assert ImageFolder.of(place / "others.csv").labels == ("x", "y")
