"""Images piece by piece: the same as all at once, in memory that does not grow."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import bucket as bucket_server
import pandas as pd
import pytest

from featx.errors import ImageSourceError, NoImagesError, OptionError
from featx.images.folder import ImageFolder
from featx.images.stream import stream_images

KEYS = [
    "1.jpg",
    "Ant/1.jpg",
    "ant/1.jpg",
    "ant/2.jpg",
    "ant/notes.txt",
    "ant/deep/3.jpg",
    "bee /1.jpg",
    "empty/readme.md",
    "empty/.hidden.jpg",
    "cat-/1.jpg",
    "cat/@eaDir/1.jpg",
    "cat/1.jpg",
    ".git/1.jpg",
    "zoo/readme.md",
    "zoo/1.jpg",
]
PARTS = ["train/ant/1.jpg", "train/bee/1.jpg", "val/ant/1.jpg", "val/bee/2.jpg", "x.txt"]


def together(pieces):
    """Join the pieces of a stream."""
    first = pieces[0]
    return replace(
        first,
        paths=tuple(path for each in pieces for path in each.paths),
        labels=tuple(label for each in pieces for label in each.labels),
        n_other=sum(each.n_other for each in pieces),
        parts=pieces[-1].parts,
        notes=tuple(note for each in pieces for note in each.notes),
    )


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("keys", [KEYS, PARTS], ids=["classes", "parts"])
@pytest.mark.parametrize("classes_from", ["first", "last"])
def test_pieces_of_a_bucket_are_together_what_it_holds(bucket, keys, size, classes_from):
    for key in keys:
        bucket.put(f"photos/{key}", b"")
    whole = ImageFolder.of(f"{bucket}/photos", classes_from=classes_from)
    pieces = list(stream_images(f"{bucket}/photos", size=size, classes_from=classes_from))
    assert together(pieces) == whole
    assert [len(each) for each in pieces[:-1]] == [size] * (len(pieces) - 1)
    assert 0 < len(pieces[-1]) <= size


@pytest.mark.parametrize("size", [1, 5, 18, 100])
def test_pieces_of_other_sources_are_together_what_they_hold(photos, size):
    (photos / "notes.txt").touch()
    table = pd.DataFrame({"path": sorted(map(str, photos.rglob("*.png"))), "label": "one"})
    for source, reading in (
        (photos, {}),
        (photos, {"exclude": ["blue/000.png"]}),
        (table, {"label_column": "label"}),
        ([photos / "blue"], {"root": str(photos)}),
    ):
        whole = ImageFolder.of(source, **reading)
        assert together(list(stream_images(source, size=size, **reading))) == whole


def test_options_and_patterns_hold_for_a_bucket(bucket):
    for key in KEYS:
        bucket.put(f"photos/{key}", b"")
    for source, reading in (
        (f"{bucket}/photos", {"exclude": ["ant/1.jpg"]}),
        (f"{bucket}/photos/*/1.jpg", {}),
        ([f"{bucket}/photos/ant", f"{bucket}/photos/1.jpg"], {}),
    ):
        whole = ImageFolder.of(source, **reading)
        assert together(list(stream_images(source, size=2, **reading))) == whole


def test_what_is_wrong_is_told_as_of_the_whole(bucket):
    with pytest.raises(OptionError, match="size is 0: expected 1 or more"):
        next(stream_images(str(bucket), size=0))
    with pytest.raises(NoImagesError, match="which holds no file"):
        next(stream_images(f"{bucket}/none", size=2))
    with pytest.raises(ImageSourceError, match="there is no bucket 'no-such-bucket'"):
        next(stream_images("s3://no-such-bucket/photos", size=2))


def test_a_large_bucket_is_listed_as_far_as_it_is_asked_for(monkeypatch):
    pytest.importorskip("s3fs")
    with bucket_server.pages(1_000_000) as (served, settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        pieces = list(islice(stream_images("s3://large/photos", size=2500), 2))
        assert served.asked == 6  # pages of a thousand for 5,000 pictures, and one more
        assert [path for each in pieces for path in each.paths] == [
            f"s3://large/{served.key(number)}" for number in range(5000)
        ]


LIST = """
from featx.images.stream import stream_images
from tests.benchmarks.peak import peak_bytes

n = 0
for number, piece in enumerate(stream_images("s3://large/photos", size=4000)):
    n += len(piece)
    if number == 1:
        before = peak_bytes()
print(n, (peak_bytes() - before) / 1e6)
"""


def listed(n):
    """List `n` pictures in a process of its own; return their number, and the megabytes gained."""
    with bucket_server.pages(n) as (_, settings):
        paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        run = subprocess.run(
            [sys.executable, "-c", LIST],
            env={**os.environ, **settings, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=True,
        )
    found, gained = run.stdout.split()
    return int(found), float(gained)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no memory to be measured")
@pytest.mark.parametrize("n", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_listing_takes_no_more_memory_for_more_objects(n):
    pytest.importorskip("s3fs")
    found, gained = listed(n)
    assert found == n
    assert gained < 20, f"{gained} MB more after {n:,} objects than after 8,000"
