"""Output is text for a person or one JSON document, whatever the terminal can show."""

import io
import json
import logging
import sys

import numpy as np
import pytest

from featx.cli.output import complain, emit, is_quiet, short_warnings, table


@pytest.mark.parametrize(("encoding", "printed"), [("latin-1", "± caf?"), ("utf-8", "± caf\ufffd")])
def test_output_in_an_encoding_that_lacks_letters_is_no_obstacle(monkeypatch, encoding, printed):
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    emit({}, "± caf\udce9", as_json=False)
    assert stream.buffer.getvalue().decode(encoding) == f"{printed}\n"


def test_a_table_aligns_its_columns():
    assert table(["a", "n"], [["long", 7], ["x", 1234]], right=("n",)).splitlines() == [
        "a        n",
        "long     7",
        "x     1234",
    ]


def test_wide_letters_and_marks_keep_the_columns():
    rows = [["日本", 1], ["e\u0301te\u0301", 2], ["a\nb", 3]]
    assert table(["class", "n"], rows, right=("n",)).splitlines() == [
        "class  n",
        "日本   1",
        "e\u0301te\u0301    2",
        r"a\nb   3",
    ]


def test_nothing_printed_drives_the_terminal_and_lines_stay_lines(capsys):
    emit({}, "one\n\x1b[2Jtwo\u202e", as_json=False, out="a\nwrote b.csv")
    assert capsys.readouterr().out == "one\n\\x1b[2Jtwo\\u202e\nwrote a\\nwrote b.csv\n"
    complain("no \x1b]0;title\x07 \u2066")
    assert capsys.readouterr().err == "featx: no \\x1b]0;title\\x07 \\u2066\n"


def test_json_holds_plain_values_only(capsys):

    emit({"a": np.float32(0.5), "b": [np.int64(2), float("nan")], "c": (None,)}, "", as_json=True)
    assert "".join(capsys.readouterr().out.split()) == '{"a":0.5,"b":[2,null],"c":[null]}'


def test_warnings_are_lines_unless_the_command_is_quiet(capsys):
    logger = logging.getLogger("featx")
    level = logger.level
    for given, expected in [
        (logging.ERROR, []),
        (level, ["featx: warning: hot"]),
        (logging.DEBUG, ["featx: warning: hot", "featx: found it"]),
    ]:
        with short_warnings():
            logger.setLevel(given)
            logger.warning("hot")
            logger.info("found it")
            assert is_quiet() == (given == logging.ERROR)
        assert capsys.readouterr().err.splitlines() == expected
        assert logger.level == level


def test_the_level_that_a_library_sets_for_all_makes_no_command_quiet(capsys):
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with short_warnings():
            logging.getLogger("featx").warning("hot")
            emit({}, "done", as_json=False, out="x.npz")
    finally:
        root.setLevel(level)
    assert tuple(capsys.readouterr()) == ("done\nwrote x.npz\n", "featx: warning: hot\n")


def test_a_quiet_command_prints_its_result_unless_a_file_has_it(featx_run, photos, tmp_path):
    out = tmp_path / "x.npz"
    ended = featx_run("embed", photos, "-q", "--out", out)
    assert (ended.out, ended.err) == ("", "")
    assert featx_run("embed", photos, "-q", "--out", out, "--json").json["out"] == str(out)
    model = tmp_path / "m.featx"
    ended = featx_run("train", photos, "--classifier", "knn", "-q", "--out", model)
    assert (ended.out, ended.err) == ("", "")
    assert "accuracy" in featx_run("evaluate", model, photos, "-q").out


def test_a_verbose_command_says_what_is_embedded_and_by_what(featx_run, photos, tmp_path):
    lines = featx_run("embed", photos, "-v", "--out", tmp_path / "x.npz").err.splitlines()
    assert lines[0] == "featx: 18 of 18 images are to embed"
    assert lines[1].startswith("featx: efficientnet_lite0 runs on fake, opened in")


def test_a_complaint_is_one_line(capsys):
    complain("two\nlines and  a\ttab caf\udce9")
    assert capsys.readouterr() == ("", "featx: two lines and a tab caf\ufffd\n")


def test_files_that_were_written_stand_last_in_text_and_in_json(capsys):
    files = {"out": "a.csv", "report": None}
    emit({"n": 1}, "text", as_json=False, **files)
    assert capsys.readouterr().out == "text\nwrote a.csv\n"
    emit({"n": 1}, "text", as_json=True, **files)
    assert json.loads(capsys.readouterr().out) == {"n": 1, "out": "a.csv", "report": None}
    emit([{"n": 1}], "text", as_json=True, **files)
    assert json.loads(capsys.readouterr().out) == [{"n": 1}]
