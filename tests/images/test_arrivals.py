"""Arrivals are pictures that are new or changed, once they stay as they are for two looks."""

import os

import fakes
import pytest

from featx.errors import ImageSourceError
from featx.images import arrivals
from featx.images.arrivals import Arrivals


@pytest.fixture
def folder(tmp_path):
    return fakes.plant(tmp_path / "inbox", "a.jpg", "sub/b.png")


@pytest.fixture
def looks(folder):
    return Arrivals(str(folder), lambda path, stamp: False)


def look(looks):
    """Look once, and take what has arrived for done."""
    arrived = looks.look()
    looks.done(arrived)
    return [os.path.relpath(path, looks.folder) for path in arrived]


def write(path, text):
    """Write a file at another time than before."""
    before = path.stat().st_mtime if path.exists() else 1e9
    path.write_text(text)
    os.utime(path, (before + 5, before + 5))


def test_pictures_arrive_once_at_the_second_look(folder, looks):
    fakes.plant(folder, "notes.txt", ".hidden.jpg", "@eaDir/c.jpg")
    assert look(looks) == []
    assert looks.unfinished == [str(folder / "a.jpg"), str(folder / "sub/b.png")]
    assert look(looks) == ["a.jpg", "sub/b.png"]
    assert looks.unfinished == []
    assert look(looks) == look(looks) == []


def test_a_file_that_grows_is_waited_for(folder, looks):
    look(looks), look(looks)
    for size in range(3):
        write(folder / "new.jpg", "x" * size)
        assert look(looks) == []
        assert looks.unfinished == [str(folder / "new.jpg")]
    assert look(looks) == ["new.jpg"]


def test_what_was_not_taken_for_done_arrives_again(folder, looks):
    looks.look()
    assert (
        list(looks.look()) == list(looks.look()) == [str(folder / "a.jpg"), f"{folder}/sub/b.png"]
    )


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_picture_that_changes_arrives_again(folder, looks, change):
    look(looks), look(looks)
    if change == "size":
        write(folder / "a.jpg", "longer")
    else:
        os.utime(folder / "a.jpg", (5, 5))
    assert look(looks) == []
    assert look(looks) == ["a.jpg"]
    assert look(looks) == []


def test_a_renamed_file_arrives_and_a_removed_one_does_not_matter(folder, looks):
    look(looks), look(looks)
    (folder / "a.jpg").rename(folder / "c.jpg")
    (folder / "sub" / "b.png").unlink()
    look(looks)
    assert look(looks) == ["c.jpg"]


def test_what_is_known_from_before_does_not_arrive_unless_it_changes(folder):
    asked = []

    def is_done(path, stamp):
        asked.append(path)
        return stamp == (0, known)

    known = (folder / "a.jpg").stat().st_mtime
    os.utime(folder / "sub" / "b.png", (7, 7))
    looks = Arrivals(str(folder), is_done)
    look(looks)
    assert look(looks) == ["sub/b.png"]
    assert asked == [str(folder / "a.jpg"), str(folder / "sub" / "b.png")]
    write(folder / "a.jpg", "changed")
    look(looks)
    assert look(looks) == ["a.jpg"]


def test_a_folder_that_is_away_for_a_while_brings_nothing_twice(folder, looks):
    look(looks), look(looks)
    folder.rename(folder.with_name("away"))
    for _ in range(2):
        with pytest.raises(ImageSourceError, match=r"inbox' is not there"):
            looks.look()
    folder.mkdir()  # where a share was mounted
    assert look(looks) == look(looks) == []
    folder.rmdir()
    folder.with_name("away").rename(folder)
    assert look(looks) == look(looks) == []


def test_done_pictures_take_turns_so_that_a_look_costs_little(folder, looks, monkeypatch):
    fakes.plant(folder, *(f"{number}.jpg" for number in range(10)))
    look(looks)
    assert len(look(looks)) == 12
    monkeypatch.setattr(arrivals, "AGAIN", 3)
    asked, real = [], os.stat

    def stat(path, **options):
        if str(path).endswith((".jpg", ".png")):
            asked.append(path)
        return real(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        for _ in range(4):
            assert look(looks) == []
    assert len(asked) == len(set(asked)) == 12, "three in each of four looks, each once"
    write(folder / "9.jpg", "changed")
    found = [each for _ in range(5) for each in look(looks)]
    assert found == ["9.jpg"]


def test_links_that_lead_nowhere_are_waited_for(folder, looks):
    (folder / "c.jpg").symlink_to(folder.parent / "later.jpg")
    look(looks)
    assert look(looks) == ["a.jpg", "sub/b.png"]
    (folder.parent / "later.jpg").touch()
    look(looks)
    assert look(looks) == ["c.jpg"]
