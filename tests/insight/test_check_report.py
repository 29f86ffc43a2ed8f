"""The report of a check shows what was found, and asks nothing of a network."""

from __future__ import annotations

import re
import shutil

import fakes
import pytest

import featx
from featx.errors import StorageError
from featx.inspection.check import Check
from featx.inspection.findings import Finding


def write(path, checked, **more):
    featx.write_check_report(path, checked, title="fruit", **more)
    return path.read_text()


def test_findings_are_shown_by_kind_with_their_pictures(photos, fake_engine, tmp_path):
    shutil.copy(photos / "red" / "000.png", photos / "blue" / "copy.png")
    (photos / "green" / "bad.png").write_text("no picture")
    html = write(tmp_path / "x.html", featx.check(photos), command="featx check photos")
    assert re.findall(r"<h2>(.*?)</h2>", html)[:2] == [
        "1 file that cannot be read",
        "1 picture in two classes",
    ]
    assert "a copy of the other" in html
    assert "not an image that Pillow can read" in html
    assert html.count('class="pair"') == 1
    assert len(re.findall(r"background-image:url\(data:image/jpeg", html)) >= 2
    assert "<code>featx check photos</code>" in html
    assert not re.search(r"(?:src|href)=\"(?!#)", html)


def test_nothing_wrong_says_what_was_looked_for(tmp_path):
    html = write(tmp_path / "x.html", Check((), 20, 0, {"ant": 10, "bee": 10}))
    assert "20 images of 2 classes: nothing is wrong" in html
    assert "pictures in two classes" in html


def test_names_are_escaped_and_printable(tmp_path):
    name = "a/<script>\x1b\u202e.png"
    finding = Finding("dark", "99 % <b>", name, "<i>", other_label=None)
    html = write(tmp_path / "x.html", Check((finding,), 1, 0, {"<i>": 1}, notes=("<u>",)))
    assert not re.search(r"<script>\\|<i>|<u>|99 % <b>", html)
    assert not fakes.DRIVES_A_TERMINAL.search(html)


def test_only_so_many_are_shown_and_the_rest_is_counted(tmp_path):
    many = tuple(Finding("dark", "dark", f"a/{n}.png") for n in range(100))
    html = write(tmp_path / "x.html", Check(many, 200, 0, {}))
    assert html.count("<li") == 60
    assert "40 more are not shown." in html


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StorageError, match="there is no such folder"):
        write(tmp_path / "none" / "x.html", Check((), 1, 0, {}))
