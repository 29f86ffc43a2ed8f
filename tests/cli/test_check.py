"""`featx check`."""

import shutil

import pytest

import featx


@pytest.fixture
def messy(photos):
    shutil.copy(photos / "red" / "000.png", photos / "blue" / "copy.png")
    (photos / "green" / "bad.png").write_text("no picture")
    return photos


def test_check_lists_what_is_wrong(featx_run, messy):
    lines = featx_run("check", messy).out.splitlines()
    assert lines[:5] == [
        "20 images of 3 classes: 3 findings",
        "1 file that cannot be read:",
        "  green/bad.png: not an image that Pillow can read",
        "1 picture in two classes:",
        "  red/000.png: a copy of blue/copy.png",
    ]


def test_check_in_json_is_the_document_of_python(featx_run, messy):
    document = featx_run("check", messy, "--json").json
    assert document == featx.check(messy).to_dict() | {"list": None, "report": None}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([], 0),
        (["--fail-on", "leak"], 0),
        (["--fail-on", "unreadable"], 1),
        (["--fail-on", "leak,contradiction"], 1),
        (["--fail-on", "leak", "--fail-on", "contradiction"], 1),
        (["--fail-on", "any"], 1),
    ],
)
def test_check_fails_on_the_kinds_that_it_is_told(featx_ends, messy, words, status):
    ended = featx_ends("check", messy, *words)
    assert (ended.status, ended.err) == (status, "")
    assert "green/bad.png" in ended.out


def test_a_kind_that_there_is_not_is_refused_before_the_work(featx_refuses, photos):
    featx_refuses(
        "unknown kind 'leek': expected any, or some of", "check", photos, "--fail-on=leek"
    )
    featx_refuses("expected different names", "check", photos, "--fail-on", "leak,,blank")


def test_the_list_is_what_every_command_leaves_out(featx_run, messy, tmp_path):
    file = tmp_path / "list.txt"
    assert featx_run("check", messy, "--list", file).out.splitlines()[-1] == f"wrote {file}"
    line = f"left out, as {file} says: 3 of 20 images"
    assert line in featx_run("check", messy, "--exclude", file).out
    out = ("--out", tmp_path / "x.npz")
    assert line in featx_run("embed", messy, "--exclude", file, *out).out
    assert line in featx_run("train", messy, "--exclude", file, "--out", tmp_path / "m.featx").out
    assert featx_run("check", messy, "--list", file, "--json").json["list"] == str(file)


def test_a_list_that_cannot_be_read_is_one_line(featx_refuses, photos):
    words = ("train", photos, "--out", "m.featx", "--exclude", "none.txt")
    featx_refuses("exclude 'none.txt' cannot be read: No such file or directory", *words)


def test_the_report_is_written_with_the_command(featx_run, messy, tmp_path):
    page = tmp_path / "x.html"
    assert featx_run("check", messy, "--report", page).out.splitlines()[-1] == f"wrote {page}"
    assert f"featx check {messy} --report {page}" in page.read_text()


def test_features_cannot_be_looked_at(featx_ends, messy, featx_run, tmp_path):
    featx_run("embed", messy, "--out", tmp_path / "x.npz")
    ended = featx_ends("check", tmp_path / "x.npz")
    assert ended.status == 2
    assert ended.err == ("featx: features cannot be looked at: expected the pictures themselves\n")


@pytest.mark.parametrize("name", ["red/0.png", "labels.csv"])
def test_no_picture_or_table_is_lost_to_a_file_of_its_name(featx_refuses, photos, name):
    file = photos / name
    file.write_bytes(b"mine")
    line = f"to {file}: a picture or a table is called so, and could be lost; choose another name"
    featx_refuses(f"cannot write a list of paths {line}", "check", photos, "--list", file)
    featx_refuses(f"cannot write a model {line}", "train", photos, "--out", file)
    featx_refuses(f"cannot write a model {line}", "tune", photos, "--budget=1s", "--out", file)
    assert file.read_bytes() == b"mine"
