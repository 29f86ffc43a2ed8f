"""A check finds what is wrong with a folder and leaves it as it was."""

from __future__ import annotations

import shutil

import fakes
import pytest

import featx
from featx.errors import OptionError
from featx.inspection.check import Check
from featx.inspection.findings import KINDS, Finding


@pytest.fixture
def messy(photos):
    """A folder with a copy in another class, a broken file and a blank picture."""
    shutil.copy(photos / "red" / "000.png", photos / "blue" / "copy.png")
    (photos / "green" / "bad.png").write_bytes((photos / "green" / "001.png").read_bytes()[:300])
    fakes.draw(photos / "green" / "blank.png", (255, 255, 255))
    return photos


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_clean_folder_has_no_finding(photos, fake_engine):
    checked = featx.check(photos)
    assert checked.of([kind for kind in KINDS if kind != "shortcut"]) == ()
    assert checked.n_images == 18
    assert checked.classes == {"blue": 6, "green": 6, "red": 6}
    # The whole of these pictures is of the colour of their class.
    assert "colours of the edges" in checked.summary


def test_what_is_wrong_is_found_and_nothing_is_changed(messy, fake_engine):
    before = snapshot(messy)
    checked = featx.check(messy)
    assert snapshot(messy) == before
    assert {kind: n for kind, n in checked.counts.items() if kind != "shortcut"} == {
        "unreadable": 1,
        "contradiction": 1,
        "blank": 1,
    }
    ((broken,), (both,), (blank,)) = map(checked.of, ("unreadable", "contradiction", "blank"))
    assert broken.detail.startswith("truncated")
    assert {both.label, both.other_label} == {"blue", "red"}
    assert blank.path == str(messy / "green" / "blank.png")
    assert set(checked.leave_out) == {
        str(messy / name)
        for name in ("green/bad.png", "blue/copy.png", "red/000.png", "green/blank.png")
    }


def test_nothing_is_embedded_that_is_in_the_cache(messy, fake_engine):
    featx.embed(messy)
    embedded = fake_engine.embedded
    featx.check(messy)
    assert fake_engine.embedded == embedded
    featx.train(messy)
    assert fake_engine.embedded == embedded


def test_pictures_of_a_test_are_compared_with_the_others(photos, new_photos, fake_engine):
    shutil.copy(photos / "red" / "002.png", new_photos / "red" / "leak.png")
    shutil.copy(photos / "blue" / "002.png", new_photos / "red" / "wrong.png")
    checked = featx.check(photos, test=new_photos)
    assert checked.n_test == 8
    ((leak,), (wrong,)) = map(checked.of, ("leak", "contradiction"))
    assert (leak.path, leak.other) == (
        str(photos / "red" / "002.png"),
        str(new_photos / "red" / "leak.png"),
    )
    assert {wrong.label, wrong.other_label} == {"blue", "red"}


def test_a_frame_and_a_document_have_every_finding(messy, fake_engine):
    checked = featx.check(messy)
    frame, document = checked.to_frame(), checked.to_dict()
    columns = ["kind", "path", "label", "detail", "other", "other_label", "leave_out"]
    assert list(frame) == columns
    assert list(frame.kind) == [each["kind"] for each in document["findings"]]
    assert document["counts"] == checked.counts
    assert frame.leave_out.sum() == 3
    assert "<li>" in checked._repr_html_()
    assert repr(checked).startswith("Check(21 images of 3 classes: ")


def test_a_list_of_what_to_leave_out_makes_the_next_check_quiet(messy, fake_engine, tmp_path):
    fakes.draw(messy / "red" / "#\n1.png", (0, 0, 0))
    checked = featx.check(messy)
    checked.write_list(tmp_path / "list.txt")
    text = (tmp_path / "list.txt").read_text()
    assert "\ngreen/bad.png\n" in text
    assert '\n"red/#\\n1.png"\n' in text
    again = featx.check(messy, exclude=tmp_path / "list.txt")
    assert {kind for kind in again.counts if KINDS[kind].leaves_out} == set()
    assert again.n_images == checked.n_images - len(checked.leave_out)
    assert again.notes == (f"left out, as {tmp_path / 'list.txt'} says: 5 of 22 images",)
    assert again.notes[0] in again.summary


def test_doubts_are_comments_of_the_list(cloud, tmp_path):
    doubt = Finding("mislabelled", "looks like", "a/1.jpg", "ant", other_label="bee")
    checked = Check((doubt,), 10, 0, {"ant": 5, "bee": 5}, root="a")
    checked.write_list(tmp_path / "list.txt")
    lines = (tmp_path / "list.txt").read_text().splitlines()
    assert lines[-2:] == ["# mislabelled: 1.jpg (ant): looks like bee", "# 1.jpg"]
    assert all(line.startswith("#") for line in lines if line)


def test_the_pictures_are_drawn(messy, fake_engine):
    assert len(featx.check(messy).plot(["unreadable", "contradiction"]).axes) == 3
    with pytest.raises(OptionError, match="nothing to draw"):
        featx.check(messy).plot("leak")


def test_the_gravest_findings_come_first(messy, fake_engine):
    kinds = [finding.kind for finding in featx.check(messy).findings]
    assert kinds == sorted(kinds, key=list(KINDS).index)


def test_pictures_without_classes_are_checked_for_the_rest(photos, fake_engine):
    paths = sorted(str(path) for path in photos.rglob("*.png"))
    checked = featx.check([*paths, str(photos / "missing.png")])
    assert checked.counts == {"unreadable": 1}
    assert checked.classes == {}


def test_a_folder_of_which_nothing_can_be_read_is_told_file_by_file(tmp_path, fake_engine):
    for name in ("ant/1.jpg", "bee/1.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        (tmp_path / "photos" / name).write_text("no picture")
    checked = featx.check(tmp_path / "photos")
    assert checked.counts == {"unreadable": 2, "class": 1}


def test_the_parts_of_a_data_set_are_compared(photos, tmp_path, fake_engine):
    shutil.copytree(photos, tmp_path / "set" / "train")
    fakes.draw_folder(tmp_path / "set" / "test", each=2, start=100)
    shutil.copy(photos / "red" / "002.png", tmp_path / "set" / "test" / "red" / "leak.png")
    checked = featx.check(tmp_path / "set")
    assert (checked.n_images, checked.n_test) == (18, 7)
    assert checked.counts["leak"] == 1
    assert "class" not in checked.counts
    assert "learned from train (18 images), measured on test (7 images)" in checked.notes[0]


def test_names_in_findings_do_nothing_to_a_terminal(photos, fake_engine):
    (photos / "red" / "000.png").rename(photos / "red" / "a\x1b[2J\n.png")
    shutil.copy(photos / "red" / "a\x1b[2J\n.png", photos / "red" / "b.png")
    checked = featx.check(photos)
    assert not fakes.DRIVES_A_TERMINAL.search(checked.summary)
    assert not fakes.DRIVES_A_TERMINAL.search(checked._repr_html_())


def test_an_unknown_kind_is_refused(photos, fake_engine):
    with pytest.raises(OptionError, match="unknown kind 'leek': expected any, or some of unread"):
        featx.check(photos).of("leek")


def test_parts_of_a_data_set_are_images_and_their_test(photos, tmp_path, fake_engine):
    shutil.copytree(photos, tmp_path / "set" / "train")
    shutil.copytree(photos, tmp_path / "set" / "test")
    checked = featx.check(tmp_path / "set")
    assert (checked.n_images, checked.n_test) == (18, 18)
    assert checked.counts["leak"] == 18
