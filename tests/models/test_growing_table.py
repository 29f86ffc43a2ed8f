"""A table that grows keeps whole rows, whatever ends the process, and has one writer."""

import csv
import subprocess
import sys

import pytest

from featx.errors import OptionError, StorageError
from featx.models.growing_table import GrowingTable
from featx.models.prediction_table import FileState, read_rows, write_rows

COLUMNS = ["path", "label", "reason", "bytes", "modified"]
STATE = FileState(12, "2026-01-01T00:00:00.000000Z")


def row(path, **more):
    return {"path": path, "label": "cat", "reason": None, **STATE.to_dict(), **more}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.csv"


def grow(path, *paths):
    with GrowingTable(path, COLUMNS) as table:
        table.add([row(each) for each in paths])


def paths_in(path):
    return [each["path"] for each in read_rows(path)[1]]


def test_rows_are_added_and_known_again(path):
    with GrowingTable(path, COLUMNS) as table:
        assert not table.has("a.png", STATE)
        table.add([row("a.png"), row("=1+1.png", label=None)])
        assert table.has("a.png", STATE)
    with GrowingTable(path, COLUMNS) as table:
        assert table.has("=1+1.png", STATE)
        assert not table.has("a.png", FileState(13, STATE.modified))
        assert table.labels == {"cat"}
        table.add([row("a.png", bytes=13)])
        assert table.has("a.png", FileState(13, STATE.modified))
    assert paths_in(path) == ["a.png", "=1+1.png", "a.png"]


def test_the_same_bytes_are_written_as_by_a_table_that_is_written_whole(path, tmp_path):
    rows = [row("a, b.png"), row("caf\udce9\n.png", reason='say "x"'), row("-x.png", label=None)]
    rows.append(row("b.png", label="no letter \ud800"))
    with GrowingTable(path, COLUMNS) as table:
        for each in rows:
            table.add([each])
    write_rows(tmp_path / "whole.csv", COLUMNS, rows)
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_wherever_the_last_row_is_cut_it_is_removed_and_the_others_stay(path, caplog):
    grow(path, "a.png", 'line\n"two", three.png')
    whole = path.read_bytes()
    first = len(whole.splitlines(keepends=True)[0]) + len(whole.splitlines(keepends=True)[1])
    for end in range(first + 1, len(whole)):
        caplog.clear()
        path.write_bytes(whole[:end])
        grow(path, "b.png")
        assert paths_in(path) == ["a.png", "b.png"], whole[:end]
        assert "was cut short, as a kill or a power cut leaves it: it is removed" in caplog.text


def test_zero_bytes_after_a_power_cut_are_removed(path):
    grow(path, "a.png")
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    grow(path, "b.png")
    assert paths_in(path) == ["a.png", "b.png"]


@pytest.mark.parametrize("end", [0, 1, 10, 36])
def test_a_header_that_is_cut_is_written_again(path, end):
    grow(path, "a.png")
    path.write_bytes(path.read_bytes()[:end])
    grow(path, "b.png")
    assert read_rows(path)[0] == COLUMNS
    assert paths_in(path) == ["b.png"]


def test_columns_of_others_stay_and_have_no_value_in_new_rows(path):
    write_rows(path, ["seen by", *reversed(COLUMNS)], [row("a.png") | {"seen by": "me"}])
    grow(path, "b.png")
    rows = read_rows(path)[1]
    assert [(each["path"], each["seen by"], each["label"]) for each in rows] == [
        *(("a.png", "me", "cat"), ("b.png", "", "cat"))
    ]


def test_rows_that_somebody_has_made_short_stay(path):
    grow(path, "a.png")
    path.write_bytes(path.read_bytes() + b"note\r\n\r\n")
    grow(path, "b.png")
    assert [each["path"] for each in read_rows(path)[1] if each["path"]] == [
        *("a.png", "note", "b.png")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\na,b\n", r"x\.csv has no column reason, bytes, modified: expected the col"),
        ("a letter", r"x\.csv is no table: expected the columns path, label, reason"),
        ("path,label\x1b[2J\n", r"x\.csv has no column label, reason"),
        ('path,label,reason,bytes,modified\n"' + "a\n" * 20, "a quote is open from byte 33 on"),
        ("path,label,reason,bytes,modified\n" + "a" * 200_000, "field larger than field limit"),
    ],
)
def test_a_table_of_another_shape_is_refused_and_stays(path, content, message):
    path.write_bytes(content.encode())
    with pytest.raises(OptionError, match=message):
        GrowingTable(path, COLUMNS)
    assert path.read_bytes() == content.encode()


def test_only_one_process_adds_to_a_table(path):
    with (
        GrowingTable(path, COLUMNS),
        pytest.raises(OptionError, match=r"another process is adding to .*x\.csv: let that end"),
    ):
        GrowingTable(path, COLUMNS)
    grow(path, "a.png")


def test_the_lock_goes_with_the_process_that_held_it(path):
    code = (
        "import os, sys; from featx.models.growing_table import GrowingTable;"
        "table = GrowingTable(sys.argv[1], sys.argv[2:]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, path, *COLUMNS], check=False)
    grow(path, "a.png")
    assert paths_in(path) == ["a.png"]


def test_a_table_that_somebody_changes_is_told_and_read_again(path):
    with GrowingTable(path, COLUMNS) as table:
        table.add([row("a.png")])
        assert table.is_current()
        write_rows(path, COLUMNS, [row("b.png")])  # as `featx predict --only-new` does
        assert not table.is_current()
        table.open_again()
        assert table.is_current()
        assert table.has("b.png", STATE)
        assert not table.has("a.png", STATE)
        path.unlink()
        assert not table.is_current()
        table.open_again()
        table.add([row("c.png")])
        path.write_text(path.read_text() + "d.png,cat,,12,x\n")
        assert not table.is_current()
    assert paths_in(path) == ["c.png", "d.png"]


def test_a_disk_that_is_full_leaves_whole_rows(path, monkeypatch):
    import os

    written, room = os.write, iter([5, 0])

    def write(number, content):
        some = next(room)
        if not some:
            raise OSError(28, "No space left on device")
        return written(number, content[:some])

    with GrowingTable(path, COLUMNS) as table:
        table.add([row("a.png")])
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(StorageError, match="the disk is full"):
                table.add([row("b.png")])
        assert paths_in(path) == ["a.png"]
        assert not table.has("b.png", STATE)
        table.add([row("c.png")])
    assert paths_in(path) == ["a.png", "c.png"]


def test_a_name_that_is_no_csv_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"expected a name that ends in \.csv"):
        GrowingTable(tmp_path / "x.xlsx", COLUMNS)


def test_a_table_is_read_by_others_while_it_grows(path):
    """Whole rows are there after each addition, without closing the file."""
    with GrowingTable(path, COLUMNS) as table:
        for number in range(3):
            table.add([row(f"{number}.png")])
            with path.open(newline="") as source:
                assert [len(each) for each in csv.reader(source)] == [5] * (number + 2)
