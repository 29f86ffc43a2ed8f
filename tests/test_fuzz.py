"""Damaged pictures decode or fail with a reason; `python -m tests.fuzz` tries many more."""

from __future__ import annotations

import os
import signal

import fuzz
import pytest

IMAGES = int(os.environ.get("FEATX_FUZZ_IMAGES", 1_500))


@pytest.fixture(scope="module")
def files():
    return fuzz.seeds()


def test_damaged_pictures_decode_or_fail_with_a_reason(files):
    report = fuzz.fuzz(files, 0, range(IMAGES))
    assert report.escapes == []
    assert report.images == IMAGES
    assert 0.05 < report.decoded / IMAGES < 0.95, report


def test_there_is_a_picture_of_every_format_that_pillow_writes_and_featx_reads():
    fields = {(data[:4], len(data)) for data in fuzz.pictures()}
    assert len(fields) > 80, len(fields)


@pytest.mark.parametrize("number", [0, 7])
def test_an_image_is_told_by_the_seed_and_its_number(files, number):
    assert fuzz.mutated(files, 3, number) == fuzz.mutated(files, 3, number)
    assert fuzz.mutated(files, 3, number) != fuzz.mutated(files, 4, number)


def test_what_escapes_crashes_or_hangs_is_told_with_its_number(files, monkeypatch):
    def decode(data, squares):
        if data == fuzz.mutated(files, 0, 2):
            raise SystemExit("out")
        if data == fuzz.mutated(files, 0, 4):
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(data, squares)

    whole = fuzz.decode_all
    monkeypatch.setattr(fuzz, "decode_all", decode)
    report = fuzz.in_a_process(files, 0, range(4, 6))
    report.add(fuzz.in_a_process(files, 0, range(2, 3)))
    assert report.escapes == [
        "seed 0, image 4: the process ends by -15",
        "seed 0, image 2: SystemExit: out",
    ]
    assert report.images == 3
