"""Corrections are kept whole, once a picture, under safe names, and can be learned from."""

import csv
import os
import signal
import subprocess
import sys
import threading

import fakes
import pytest
import waits

import featx
from featx.errors import OptionError, StorageError
from featx.serving import collect
from featx.serving.collect import Collection, CorrectionError


def picture(seed=0, format="PNG") -> bytes:
    return fakes.encoded(fakes.photo(32 + seed, 24), format)


def rows(collection) -> list[dict[str, str]]:
    with collection.table.open(newline="") as file:
        return list(csv.DictReader(file))


def pictures(collection) -> list[str]:
    return os.listdir(collection.table.parent / "pictures")


def refusal(collection, data, label) -> CorrectionError:
    with pytest.raises(CorrectionError) as caught:
        collection.add(data, label)
    return caught.value


@pytest.fixture
def collection(tmp_path):
    return Collection(tmp_path / "corrections")


def test_a_correction_is_a_file_of_the_same_bytes_and_a_row(collection):
    data = picture()
    kept = collection.add(data, " pear\r", predicted="apple")
    (row,) = rows(collection)
    assert (kept.label, kept.replaced) == ("pear", False)
    assert (row["label"], row["predicted"]) == ("pear", "apple")
    assert row["path"].startswith("pictures/")
    assert row["path"].endswith(".png")
    assert row["time"].endswith("Z")
    assert (collection.table.parent / row["path"]).read_bytes() == data


def test_a_second_correction_of_a_picture_replaces_the_first(collection):
    collection.add(picture(), "pear")
    collection.add(picture(1), "plum")
    assert collection.add(picture(), "quince").replaced
    assert [row["label"] for row in rows(collection)] == ["plum", "quince"]
    assert len(pictures(collection)) == 2


def test_what_is_collected_can_be_learned_from_as_it_is(collection, fake_engine):
    for seed in range(8):
        collection.add(picture(seed), ("pear", "=plum", "none of these", "+5")[seed % 4])
    model = featx.train(collection.table, progress=False)
    assert model.classes == ("+5", "=plum", "none of these", "pear")
    assert len(model.training.features) == 8


@pytest.mark.parametrize("label", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@sum(1)", "'=1"])
def test_a_formula_is_text_to_a_spreadsheet_and_itself_to_featx(collection, label):
    collection.add(picture(), label)
    assert rows(collection)[0]["label"] == f"'{label}"
    collection.add(picture(1), "pear")  # reads the row and writes it again
    assert rows(collection)[0]["label"] == f"'{label}"


@pytest.mark.parametrize(
    "label",
    ["", "  ", "a\nb", "a\x00b", "\ud800", "a\ufffd", "\u202eabc", "x" * 10_000, None, 7],
    ids=lambda label: ascii(label)[:20],
)
def test_a_label_that_is_no_name_is_refused(collection, label):
    error = refusal(collection, picture(), label)
    assert error.code == "label"
    assert "\n" not in str(error)
    assert len(str(error)) < 200
    assert not collection.table.exists()


def test_what_the_model_said_is_printable_and_short(collection):
    collection.add(picture(), "pear", predicted="=a\nb\ud800" + "x" * 10_000)
    (row,) = rows(collection)
    assert row["predicted"].startswith("'=a\\nb\N{REPLACEMENT CHARACTER}x")
    assert len(row["predicted"]) < 210


def test_what_is_no_picture_is_refused(collection):
    error = refusal(collection, b"no picture", "pear")
    assert error.code == "picture"
    assert pictures(collection) == []


@pytest.mark.parametrize(
    ("format", "suffix"), [("JPEG", ".jpg"), ("TIFF", ".tif"), ("WEBP", ".webp"), ("PPM", ".ppm")]
)
def test_a_file_is_called_as_what_it_is(collection, format, suffix):
    collection.add(picture(format=format), "pear")
    assert rows(collection)[0]["path"].endswith(suffix)


def test_many_at_once_are_all_kept(collection, tmp_path):
    other = Collection(tmp_path / "corrections")  # of a second server
    threads = [
        threading.Thread(target=each.add, args=(picture(seed), f"class {seed}"))
        for seed in range(24)
        for each in (collection, other)
    ]
    for each in threads:
        each.start()
    waits.for_threads(*threads)
    labels = {f"class {seed}" for seed in range(24)}
    assert sorted(row["label"] for row in rows(collection)) == sorted(labels)


def test_a_table_that_another_process_holds_for_long_is_told(collection, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(collect, "LOCKED_SECONDS", 0.2)
    told = []
    with open(collection.table.parent / ".lock", "ab") as held:  # by one that is stopped
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(
            target=lambda: told.append(refusal(collection, picture(), "pear")), daemon=True
        )
        waiting.start()
        waiting.join(20)
        assert told, "it waits for the lock"
    assert told[0].code == "storage"
    assert not collection.add(picture(), "pear").replaced


def test_a_collection_goes_on_where_another_one_ended(collection):
    collection.add(picture(), "pear")
    again = Collection(collection.table.parent)
    again.add(picture(1), "plum")
    assert [row["label"] for row in rows(again)] == ["pear", "plum"]


def test_what_a_person_has_changed_in_the_table_stays(collection):
    collection.add(picture(), "pear")
    text = collection.table.read_text().replace("pear", "quince").replace("time", "time,note")
    collection.table.write_text(text.replace("Z", "Z,seen"))
    collection.add(picture(1), "plum")
    first, second = rows(collection)
    assert (first["label"], first["note"]) == ("quince", "seen")
    assert (second["label"], second["note"]) == ("plum", "")


def test_there_is_a_limit_to_pictures_and_to_bytes(tmp_path):
    few = Collection(tmp_path / "few", most_pictures=2)
    for seed in range(2):
        few.add(picture(seed), "pear")
    error = refusal(few, picture(2), "pear")
    assert error.code == "limit"
    assert "2 pictures" in str(error)
    few.add(picture(1), "plum")  # takes no more room
    small = Collection(tmp_path / "small", most_bytes=len(picture()))
    small.add(picture(), "pear")
    assert refusal(small, picture(1), "pear").code == "limit"


def test_a_full_disk_is_told_without_a_path_and_nothing_is_left(collection, monkeypatch):
    collection.add(picture(), "pear")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(collect, "write_rows", full)
    error = refusal(collection, picture(1), "plum")
    assert error.code == "full"
    assert str(error) == "the disk of the server is full"
    assert len(pictures(collection)) == 1
    assert [row["label"] for row in rows(collection)] == ["pear"]


def test_a_table_that_was_damaged_is_told_without_a_path(collection):
    collection.table.write_text("no,table\n")
    error = refusal(collection, picture(), "pear")
    assert error.code == "storage"
    assert str(collection.table.parent) not in str(error)
    assert collection.table.read_text() == "no,table\n"


def test_a_folder_that_cannot_be_used_is_told_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        Collection(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot write"):
        featx.serve(tmp_path / "missing.featx", collect=tmp_path / "file")
    (tmp_path / "corrections.csv").write_text("name;class\n")
    with pytest.raises(OptionError, match=r"corrections\.csv has the columns"):
        Collection(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_whenever_a_server_is_killed_the_table_is_whole(collection):
    """A process that adds on and on is killed; what it had written is there."""
    code = (
        "import sys, fakes; from featx.serving.collect import Collection\n"
        "collection = Collection(sys.argv[1])\n"
        "for seed in range(10**6):\n"
        "    collection.add(fakes.encoded(fakes.photo(16 + seed % 400, 16)), f'class {seed % 7}')\n"
        "    print(seed, flush=True)\n"
    )
    path = os.pathsep.join([os.path.dirname(fakes.__file__), *sys.path])
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(collection.table.parent)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        for _ in range(9):
            last = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = rows(Collection(collection.table.parent))
        assert len(kept) >= last + 1
        assert all((collection.table.parent / row["path"]).is_file() for row in kept)
