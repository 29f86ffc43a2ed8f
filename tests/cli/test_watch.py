"""`featx watch`."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fakes
import pytest
import waits

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(tmp_path):
    return tmp_path / "labels.csv"


def test_a_line_is_printed_for_each_picture(featx_run, model, new_photos, table):
    words = ["watch", model, new_photos, "--out", table, "--once", "--every", 0.01]
    ended = featx_run(*words)
    lines = ended.out.splitlines()
    assert lines[0] == f"{new_photos}/blue/100.png  blue  100.0 %"
    assert lines[4].startswith(f"{new_photos}/green/bad.jpg  -  failed: ")
    assert lines[7:] == [
        "7 pictures: 6 labelled (blue 2, green 2, red 2), 1 failed",
        f"added to {table}",
    ]
    assert ended.err == ""
    assert featx_run(*words).out == "0 pictures\n"


def test_json_is_a_document_in_a_line_for_each_picture(featx_run, model, new_photos, table):
    ended = featx_run(
        "watch", model, new_photos, "--out", table, "--once", "--every", 0.01, "--json", "--top", 2
    )
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert len(rows) == 7
    assert (rows[0]["label"], rows[0]["top_2"]) == ("blue", "green")
    assert rows[4]["probability"] is None
    assert ended.err.splitlines() == [
        "7 pictures: 6 labelled (blue 2, green 2, red 2), 1 failed",
        f"added to {table}",
    ]
    with table.open(newline="") as source:
        assert [row["path"] for row in csv.DictReader(source)] == [row["path"] for row in rows]


def test_a_quiet_watch_prints_nothing(featx_run, model, new_photos, table):
    ended = featx_run("watch", model, new_photos, "--out", table, "--once", "--every", 0.01, "-q")
    assert (ended.out, ended.err) == ("", "")
    assert len(table.read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing"], "'missing' does not exist: expected a folder to watch"),
        (["."], "Missing option '--out'"),
        ([".", "--out", "x.xlsx"], "expected a name that ends in .csv"),
        ([".", "--out", "x.csv", "--every", "0"], "--every"),
        ([".", "--out", "other.csv"], "other.csv has no column"),
    ],
)
def test_mistakes_are_one_line(featx_ends, model, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.csv").write_text("path,label\n")
    words = [*words, "--out", "x.csv"] if words == ["missing"] else words
    ended = featx_ends("watch", model, *words)
    assert ended.status == 2
    assert ended.out == ""
    assert message in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_second_watch_is_refused(featx_ends, model, new_photos, table):
    import featx

    with featx.watch(model, new_photos, table):
        ended = featx_ends("watch", model, new_photos, "--out", table, "--once")
    assert ended.status == 2
    assert ended.err == (
        f"featx: another process is adding to {table}: let that end, or name another file\n"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_summary(model, new_photos, table, tmp_path, number):
    out, err = tmp_path / "out", tmp_path / "err"
    child = fakes.forked(["watch", model, new_photos, "--out", table, "--every", 0.02], out, err)
    try:
        waits.until(lambda: out.exists() and out.read_text().count("\n") >= 7, "7 lines on stdout")
        os.kill(child, number)
        _, status = os.waitpid(child, 0)
    except BaseException:
        os.kill(child, signal.SIGKILL)  # else it would watch for ever
        raise
    assert os.waitstatus_to_exitcode(status) == 0
    assert out.read_text().splitlines()[7:] == [
        "7 pictures: 6 labelled (blue 2, green 2, red 2), 1 failed",
        f"added to {table}",
    ]
    assert err.read_text() == f"featx: watching {new_photos}; Ctrl-C ends it\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_watches_that_are_killed_at_any_moment_lose_and_double_nothing():
    words = [sys.executable, "-m", "tests.torture_watch", "--kills", "24"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "each of 60 pictures is labelled once" in ended.stdout
