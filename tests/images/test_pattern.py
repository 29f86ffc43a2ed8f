"""Patterns of paths match what a shell would, and name the same classes as their folder."""

import os
from pathlib import Path

import pytest

from featx.errors import ImageSourceError
from featx.features.embed import embed
from featx.images.folder import ImageFolder

NAMES = ("1.jpg", "cat/2.jpg", "cat/old/3.jpg", "cat/old/n.txt", "dog/4.png", "dog/.5.jpg")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    for name in NAMES:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return Path("photos")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*.jpg", ["1.jpg"]),
        ("photos/*/*.jpg", ["cat/2.jpg"]),
        ("photos/**/*.jpg", ["1.jpg", "cat/2.jpg", "cat/old/3.jpg"]),
        ("photos/**", ["1.jpg", "cat/2.jpg", "cat/old/3.jpg", "dog/4.png"]),
        ("photos/*", ["1.jpg", "cat/2.jpg", "cat/old/3.jpg", "dog/4.png"]),
        ("photos/**/old", ["cat/old/3.jpg"]),
        ("photos/?at/**/[0-9].*", ["cat/2.jpg", "cat/old/3.jpg"]),
        ("p*/dog/*", ["dog/4.png"]),
    ],
)
def test_a_pattern_matches_pictures_in_order(photos, pattern, expected):
    for source in (pattern, [pattern], os.path.abspath(pattern), Path(pattern)):
        images = ImageFolder.of(source)
        assert [os.path.relpath(path, photos) for path in images.paths] == expected, source


def test_classes_are_the_folders_below_the_part_without_wild_cards(photos):
    assert ImageFolder.of("photos/**/*.*").labels == ImageFolder.of("photos").labels
    assert ImageFolder.of("photos/**/*.*", classes_from="last").labels[2] == "old"
    assert ImageFolder.of("photos/cat/*.jpg").labels == (None,)
    assert ImageFolder.of("photos/**/*.*").n_other == 2


def test_a_file_may_be_called_like_a_pattern(photos):
    (photos / "a[1].jpg").touch()
    assert ImageFolder.of("photos/a[1].jpg").paths == ("photos/a[1].jpg",)


def test_links_in_a_circle_are_followed_once(photos):
    (photos / "cat" / "loop").symlink_to(photos.resolve())
    assert len(ImageFolder.of("photos/**/*.jpg")) == 3


@pytest.mark.parametrize("pattern", ["photos/*.gif", "nowhere/**/*.jpg", "cat*"])
def test_a_pattern_that_matches_nothing_is_told(photos, pattern):
    with pytest.raises(ImageSourceError, match=r"matches no picture in /.*: expected names that"):
        ImageFolder.of(pattern)


def test_a_name_too_long_for_a_file_is_none_that_is_there():
    with pytest.raises(ImageSourceError, match="does not exist"):
        embed("x" * 5_000)
