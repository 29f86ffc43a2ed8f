"""Text is written as people read it, whatever bytes a name is of."""

import os
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.paths import shortener
from featx.text import (
    count,
    duration,
    listed,
    percent,
    printable,
    printable_lines,
    shortened,
    size,
    speed,
    spreadsheet_cell,
    text_of_cell,
    width,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004, "0.01 s"), (0.126, "0.13 s"), (0.999, "1.00 s"), (5.43, "5.4 s"), (75, "75.0 s")],
)
def test_times_are_written_for_a_person(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (5e12, "5.0 TB")],
)
def test_sizes_are_written_for_a_person(value, text):
    assert size(value) == text


def test_numbers_and_shares_are_written_for_a_person():
    assert [count(n, "class") for n in (0, 1, 2, 12_000)] == [
        *("0 classes", "1 class", "2 classes", "12,000 classes")
    ]
    assert count(1, "image") == "1 image"
    assert [percent(share) for share in (0.0, 0.12345, 1.0, float("nan"))] == [
        *("0.0 %", "12.3 %", "100.0 %", "-")
    ]


def test_a_speed_has_a_digit_more_where_it_is_slow_and_may_be_unknown():
    assert [speed(each) for each in (0.25, 9.96, 10.4, 250.0, float("nan"))] == [
        *("0.2", "10.0", "10", "250", "-")
    ]


def test_a_list_that_is_too_long_says_how_many_there_are_more():
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
    assert listed([]) == ""


def test_a_long_name_keeps_its_end_where_candidates_differ():
    name = "efficientnet_lite0+resnet50 avg 2 views logistic C=0.001"
    assert shortened(name, 34, 14) == "efficientnet_lite0+…gistic C=0.001"
    assert len(shortened(name, 34, 14)) == 34
    assert shortened(name, 10) == "efficient…"
    assert shortened("short", 10, 4) == "short"


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_put_into_a_page_once_it_is_printable(text):
    made = printable(text)
    assert len(made) >= len(text)
    assert made == printable(made)
    element = ElementTree.Element("p", title=made)
    read = ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8"))
    assert read.get("title") == made


def test_what_can_be_printed_stays_as_it_is():
    for name in (
        "Käfer & 日本 <b>",
        "شیر می\u200cخواهم",
        "👨\u200d👩\u200d👧 ❤\ufe0f",
        "C:\\x1b",
        "שלום",
    ):
        assert printable(name) == name
    assert printable(7) == "7"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x00\x7f\x85\x9b31m", r"\x00\x7f\x85\x9b31m"),
        ("cat\u202egpj.exe\u2069", r"cat\u202egpj.exe\u2069"),
        ("\u061c\u200e\u200f\u2028\u2029", r"\u061c\u200e\u200f\u2028\u2029"),
        ("c\u200ba\u2060t\ufeff\U000e0001", r"c\u200ba\u2060t\ufeff\U000e0001"),
        ("caf\udce9 \ud800\uffff", "caf\ufffd \ufffd\ufffd"),
    ],
)
def test_what_drives_a_terminal_turns_or_hides_is_written_as_its_escape(text, shown):
    assert printable(text) == shown
    assert printable_lines(f"one\n{text.replace(chr(10), '')}").count("\n") == 1
    assert listed([text, "b"]) == f"{shown}, b"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("cat", 3),
        ("日本", 4),
        ("e\u0301", 1),
        ("\u1112\u1161\u11ab", 2),  # a syllable in its three letters, as file systems store it
        ("👍🏽", 2),
        ("👨\u200d👩\u200d👧", 2),
        ("❤\ufe0f", 2),
        ("🇩🇪", 2),
        ("", 0),
    ],
)
def test_a_text_takes_the_columns_that_a_terminal_gives_it(text, columns):
    assert width(text) == columns
    assert width(shortened(text * 20, 10)) <= 10


def test_what_a_spreadsheet_would_run_is_text_and_comes_back():
    formulas = ["=1+1", "-x/a.jpg", "+x", "@x", "\t=1", "\r=1", "＝1", "'=1", "-", "-1-1", "-1\n"]
    for text in formulas:
        cell = spreadsheet_cell(text)
        assert cell == f"'{text}"
        assert text_of_cell(cell) == text
    for cell in ("-1", "+0.5", "-1.5e-3", "cat", "'cat'", "", -1.5, None):
        assert spreadsheet_cell(cell) is cell
    assert text_of_cell("'cat'") == "'cat'"
    assert spreadsheet_cell("caf\udce9 \ud800") == "caf\udce9 \ufffd"  # a byte, and no letter


def test_paths_are_written_relative_to_the_folder_that_they_share():
    root = os.path.join(os.sep, "home", "me", "photos")
    paths = [os.path.join(root, *end) for end in (("ant", "1.jpg"), ("bee", "2.jpg"))]
    short = shortener(paths)
    assert [short(path) for path in paths] == [os.path.join("ant", "1.jpg"), "bee/2.jpg"]


@pytest.mark.parametrize(
    ("other", "written"),
    [
        ("/srv/deep/bee/2.jpg", "bee/2.jpg"),
        ("elsewhere/deep/bee/2.jpg", "elsewhere/deep/bee/2.jpg"),
    ],
)
def test_of_paths_that_share_no_folder_none_is_written_from_the_root_on(other, written):
    paths = ["/home/me/photos/ant/1.jpg", other]
    assert [shortener(paths)(path) for path in paths] == ["ant/1.jpg", written]


def test_a_path_beside_the_shared_folder_is_written_from_its_class_on():
    short = shortener(["/data/train/ant/1.jpg", "/data/train/bee/2.jpg"])
    assert short("/secret/place/cat/3.jpg") == "cat/3.jpg"
