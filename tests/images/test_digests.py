"""A digest is remembered while its file is unchanged, and is never wrong."""

import hashlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes import as_another_user

import featx
from featx.images import regular
from featx.images.digests import DigestMemo, digest_bytes, read_file
from featx.images.regular import Stamp


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photos" / "1.jpg"
    path.parent.mkdir()
    path.write_bytes(b"pixels")
    return str(path)


@pytest.fixture
def memo_path(tmp_path):
    return tmp_path / "cache" / "deep" / "digests.sqlite"


def learn(memo: DigestMemo, *paths: str) -> None:
    entries = []
    for path in paths:
        data, stamp = read_file(path)
        entries.append((path, digest_bytes(data), stamp))
    memo.remember(entries)


def wait_for_the_clock_of_the_file_system() -> None:
    time.sleep(0.03)


def test_a_digest_is_the_sha256_of_the_bytes():
    assert digest_bytes(b"pixels") == hashlib.sha256(b"pixels").hexdigest()
    assert len(digest_bytes(b"")) == 64


def test_reading_gives_the_bytes_and_the_stamp_of_the_file(photo, later):
    status = os.stat(photo)
    stamp = Stamp(6, status.st_mtime_ns, status.st_ctime_ns)
    assert read_file(photo) == (b"pixels", stamp)


@pytest.mark.parametrize("path", ["nowhere.jpg", ".", "nul\0.jpg"])
def test_reading_what_is_no_file_is_an_oserror(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=r"No such file|directory|denied|null"):
        read_file(path)


def test_a_pipe_and_a_device_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for name, kind in (("pipe.jpg", "a named pipe"), ("zero.jpg", "a device")):
        with pytest.raises(OSError, match=f"^{kind}, not a regular file$"):
            read_file(tmp_path / name)


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its whole path may be longer than one of a socket may be
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")
        with pytest.raises(OSError, match=r"^a socket, not a regular file$"):
            read_file("socket.jpg")


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(photo, monkeypatch):
    status = os.stat(photo)
    os.unlink(photo)
    os.mkfifo(photo)
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda path: status)  # taken before the pipe was there
        with pytest.raises(OSError, match=r"^a named pipe, not a regular file$"):
            read_file(photo)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(photo):
    with open(photo, "r+b") as file:
        file.truncate(3_000_000_000)  # no room on the disk is taken
    with pytest.raises(OSError, match=r"^too large: 3\.0 GB, at most 512\.0 MB$"):
        read_file(photo)


def test_a_file_that_grows_beyond_the_limit_while_it_is_read_is_refused(photo, monkeypatch):
    status = os.stat(photo)
    Path(photo).write_bytes(b"pixels and more")
    monkeypatch.setattr(os, "fstat", lambda number: status)
    assert read_file(photo)[0] == b"pixels and more"
    monkeypatch.setattr(regular, "MAX_FILE_BYTES", 9)
    with pytest.raises(OSError, match="too large"):
        read_file(photo)


def test_an_unchanged_file_is_known_to_the_next_process(photo, memo_path, later):
    with DigestMemo(memo_path) as memo:
        assert memo.known([photo]) == {}
        learn(memo, photo)
        assert memo.known([photo]) == {photo: digest_bytes(b"pixels")}
    with DigestMemo(memo_path) as memo:
        assert memo.known([photo, photo]) == {photo: digest_bytes(b"pixels")}


def test_a_path_is_known_by_any_of_its_names(photo, memo_path, later, monkeypatch):
    monkeypatch.chdir(Path(photo).parent)
    with DigestMemo(memo_path) as memo:
        learn(memo, "1.jpg")
        assert set(memo.known([photo, "1.jpg", "../photos/1.jpg"])) == {
            photo,
            "1.jpg",
            "../photos/1.jpg",
        }


def test_missing_and_impossible_paths_are_not_known(memo_path, tmp_path):
    with DigestMemo(memo_path) as memo:
        assert memo.known([str(tmp_path / "no.jpg"), "nul\0.jpg", "\ud800.jpg", ""]) == {}


def test_a_changed_byte_with_a_restored_time_is_noticed(photo, memo_path, later):
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
        before = os.stat(photo)
        wait_for_the_clock_of_the_file_system()
        Path(photo).write_bytes(b"pixelS")
        os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert os.stat(photo).st_mtime_ns == before.st_mtime_ns
        assert memo.known([photo]) == {}
        learn(memo, photo)
        assert memo.known([photo]) == {photo: digest_bytes(b"pixelS")}


def test_another_file_moved_into_place_is_noticed(photo, memo_path, later, tmp_path):
    other = tmp_path / "other.jpg"
    other.write_bytes(b"PIXELS")
    before = os.stat(photo)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
        wait_for_the_clock_of_the_file_system()
        other.replace(photo)
        assert memo.known([photo]) == {}


def test_a_file_changed_just_now_is_not_remembered(photo, memo_path):
    assert read_file(photo) == (b"pixels", None)
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
        assert memo.known([photo]) == {}


@pytest.mark.parametrize(("seconds", "remembered"), [(-60, True), (10, False), (60, True)])
def test_a_file_dated_now_is_too_young_but_one_from_the_future_is_not(
    photo, memo_path, later, seconds, remembered
):
    moment = time.time_ns() + (seconds - 10) * 10**9  # the clock of `later` is ten seconds ahead
    os.utime(photo, ns=(moment, moment))
    assert (read_file(photo)[1] is not None) == remembered


def test_the_age_counts_when_the_file_is_read_not_when_it_is_remembered(
    photo, memo_path, monkeypatch
):
    written = os.stat(photo).st_ctime_ns
    monkeypatch.setattr(time, "time_ns", lambda: written + 1_000_000)
    data, stamp = read_file(photo)
    monkeypatch.setattr(time, "time_ns", lambda: written + 60_000_000_000)
    with DigestMemo(memo_path) as memo:
        memo.remember([(photo, digest_bytes(data), stamp)])
        assert memo.known([photo]) == {}


def test_a_date_that_sqlite_cannot_hold_is_not_remembered(photo, memo_path, caplog):
    with DigestMemo(memo_path) as memo:
        memo.remember([(photo, digest_bytes(b"pixels"), Stamp(6, 2**63, 0))])
        assert memo.known([photo]) == {}
    assert caplog.records == []


def test_a_name_that_is_not_utf_8_is_remembered(tmp_path, memo_path, later):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")
    try:
        with open(path, "wb") as file:
            file.write(b"pixels")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    with DigestMemo(memo_path) as memo:
        learn(memo, path)
        assert memo.known([path]) == {path: digest_bytes(b"pixels")}


def test_more_paths_than_a_query_takes_are_known(tmp_path, memo_path, later):
    paths = [str(tmp_path / f"{number}.jpg") for number in range(1203)]
    for path in paths:
        Path(path).write_text(path)
    with DigestMemo(memo_path) as memo:
        learn(memo, *paths)
        known = memo.known(paths)
    assert known == {path: digest_bytes(path.encode()) for path in paths}


def test_without_a_file_nothing_is_remembered(photo, later):
    with DigestMemo(None) as memo:
        learn(memo, photo)
        assert memo.known([photo]) == {}


def test_a_closed_memo_knows_nothing_and_does_not_complain(photo, memo_path, later, caplog):
    memo = DigestMemo(memo_path)
    learn(memo, photo)
    memo.close()
    memo.close()
    learn(memo, photo)
    assert memo.known([photo]) == {}
    assert caplog.records == []


@pytest.mark.parametrize("content", [b"this is not a database " * 300, b"\0" * 5000])
def test_a_file_that_is_no_database_is_replaced(photo, memo_path, later, caplog, content):
    memo_path.parent.mkdir(parents=True)
    memo_path.write_bytes(content)
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
        assert memo.known([photo]) == {photo: digest_bytes(b"pixels")}
    assert "is damaged (file is not a database): starting a fresh one" in caplog.text


def test_a_flipped_byte_anywhere_never_gives_a_wrong_digest(tmp_path, memo_path, later):
    truth = {}
    for number in range(20):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"%d" % number)
        truth[str(path)] = digest_bytes(b"%d" % number)
    with DigestMemo(memo_path) as memo:
        learn(memo, *truth)
    whole = memo_path.read_bytes()
    found = []
    for position in range(0, len(whole), 61):
        damaged = bytearray(whole)
        damaged[position] ^= 0x15
        memo_path.write_bytes(damaged)
        with DigestMemo(memo_path) as memo:
            known = memo.known(list(truth))
        assert known.items() <= truth.items(), position
        found.append(len(known))
    assert min(found) < 20, "no damage was hit"
    assert max(found) == 20, "all damage was fatal"


def test_a_folder_in_the_way_costs_only_the_memory(photo, memo_path, later, caplog):
    caplog.set_level("INFO")
    memo_path.mkdir(parents=True)
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
        assert memo.known([photo]) == {}
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "digests are not remembered in" in caplog.text


def test_a_file_in_place_of_the_folder_costs_only_the_memory(photo, memo_path, caplog):
    caplog.set_level("INFO")
    memo_path.parent.parent.write_bytes(b"")
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
        assert memo.known([photo]) == {}
    assert "digests are not remembered in" in caplog.text


def test_a_locked_file_costs_only_the_memory(photo, memo_path, later, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr("featx.images.memo.WAIT_S", 0.05)
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
        other = sqlite3.connect(memo_path)
        other.execute("BEGIN IMMEDIATE")
        learn(memo, photo)
        assert "digests are not remembered in" in caplog.text
        assert "locked" in caplog.text
        assert memo.known([photo]) == {}
        other.close()
    with DigestMemo(memo_path) as memo:
        assert memo.known([photo]) == {photo: digest_bytes(b"pixels")}


DAMAGES = {
    "a table of another shape": lambda path: tables(path, "CREATE TABLE digests_1 (path TEXT)"),
    "a view in its place": lambda path: tables(path, "CREATE VIEW digests_1 AS SELECT 1 AS path"),
    "names that are no text": lambda path: patched(path, b"digests_1", b"\xff\xfegests_1"),
    "a name that SQLite cannot tell of": lambda path: patched(
        path, b"CREATE TABLE", b"CREATE TABLF", b"digests_1", b"digest\xf3_1"
    ),
    "a cell that is none": lambda path: path.write_bytes(
        path.read_bytes()[:4105] + bytes([path.read_bytes()[4105] ^ 8]) + path.read_bytes()[4106:]
    ),
    "a statement that is none": lambda path: patched(path, b"CREATE TABLE", b"CREATE TABEL"),
    "a form of the future": lambda path: path.write_bytes(
        path.read_bytes()[:18] + b"\x09\x09" + path.read_bytes()[20:]
    ),
    "text among the digests": lambda path: tables(
        path, "UPDATE digests_1 SET digest = 'text', seal = CAST(x'ff' AS TEXT)"
    ),
    "half of it": lambda path: path.write_bytes(path.read_bytes()[:4100]),
}


def tables(path: Path, statement: str) -> None:
    """Change the database by a statement; a CREATE takes the place of what there was."""
    if statement.startswith("CREATE"):
        path.unlink()
    with sqlite3.connect(path) as other:
        other.execute(statement)
    other.close()


def patched(path: Path, *olds_and_news: bytes) -> None:
    whole = path.read_bytes()
    for old, new in zip(olds_and_news[::2], olds_and_news[1::2], strict=True):
        assert old in whole
        whole = whole.replace(old, new)
    path.write_bytes(whole)


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_is_wrong_the_memo_is_made_anew(photo, memo_path, later, damage):
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
    DAMAGES[damage](memo_path)
    with DigestMemo(memo_path) as memo:
        assert memo.known([photo]) == {}
        learn(memo, photo)
    with DigestMemo(memo_path) as memo:
        assert memo.known([photo]) == {photo: digest_bytes(b"pixels")}


def test_damage_that_comes_up_later_costs_one_round(photo, memo_path, later):
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
        memo_path.write_bytes(b"damaged " * 2000)
        learn(memo, photo)
        assert memo.known([photo]) == {photo: digest_bytes(b"pixels")}


def test_several_processes_that_find_damage_at_once_make_one_memo(tmp_path, memo_path):
    paths = [str(tmp_path / f"{number}.jpg") for number in range(40)]
    for path in paths:
        Path(path).write_text(path)
    memo_path.parent.mkdir(parents=True)
    memo_path.write_bytes(b"damaged " * 2000)
    processes = [started(memo_path, paths[start::4]) for start in range(4)]
    for process in processes:
        _, complaint = process.communicate(timeout=60)
        assert b"Traceback" not in complaint, complaint.decode()
        assert process.returncode == 0
    with DigestMemo(memo_path) as memo:
        known = memo.known(paths)
        assert known.items() <= {path: digest_bytes(path.encode()) for path in paths}.items()
        memo.remember([(paths[0], digest_bytes(b"new"), Stamp(*stamp_of(paths[0])))])
        assert memo.known(paths[:1]) == {paths[0]: digest_bytes(b"new")}


def stamp_of(path: str) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="root only")
@pytest.mark.parametrize("log", ["DELETE", "WAL"])
def test_a_memo_that_may_only_be_read_is_read(photo, memo_path, later, log):
    with DigestMemo(memo_path) as memo:
        learn(memo, photo)
    with sqlite3.connect(memo_path) as other:
        other.execute(f"PRAGMA journal_mode = {log}")
    other.close()
    before = memo_path.read_bytes()

    def read():
        with DigestMemo(memo_path) as memo:
            learn(memo, photo)  # in vain, and without a word
        with DigestMemo(memo_path) as memo:
            assert memo.known([photo]) == {photo: digest_bytes(b"pixels")}

    as_another_user(read, memo_path.parents[2])
    assert memo_path.read_bytes() == before


LEARN = """
import os, sys
from pathlib import Path
from featx.images.digests import DigestMemo, Stamp, digest_bytes

with DigestMemo(Path(sys.argv[1])) as memo:
    for path in sys.argv[2:]:
        status = os.stat(path)
        stamp = Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        memo.remember([(path, digest_bytes(Path(path).read_bytes()), stamp)])
"""


def started(memo_path: Path, paths: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", LEARN, str(memo_path), *paths],
        env={**os.environ, "PYTHONPATH": str(Path(featx.__file__).parents[1])},
        stderr=subprocess.PIPE,
    )


def test_two_processes_remember_at_once(tmp_path, memo_path):
    paths = [str(tmp_path / f"{number}.jpg") for number in range(80)]
    for path in paths:
        Path(path).write_text(path)
    processes = [started(memo_path, paths[start::2]) for start in range(2)]
    for process in processes:
        _, complaint = process.communicate(timeout=60)
        assert complaint == b"", complaint
    with DigestMemo(memo_path) as memo:
        known = memo.known(paths)
    assert known == {path: digest_bytes(path.encode()) for path in paths}
