"""Calibrations: told apart by what they say, and read back only where they are sound."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from featx.backbones.calibration import (
    ActivationRange,
    BiasCorrection,
    Calibration,
    Kernel,
    Place,
)
from featx.errors import StorageError


@pytest.fixture
def calibration():
    numbers = np.random.default_rng(0).normal(size=(2, 1, 3, 1, 1)).astype(np.float32)
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    convolution = Place("Convolution", 0, 0)
    return Calibration(
        network="mine",
        weights="ab" * 32,
        layer="first",
        input_size=16,
        n_pictures=128,
        settings={"preset": "mixed", "left_out": [["Convolution", 1]]},
        ranges=(
            ActivationRange((convolution,), np.float32(-1.5), np.float32(2.5), 256),
            ActivationRange((Place("Add", 2, 1), Place("Add", 3, 0)), low, high, 255),
        ),
        kernels=(Kernel(Place("Convolution", 0, 1), (4, 3, 3, 3), (0,)),),
        corrections=(BiasCorrection(Place("Add", 0, 1), numbers[0]),),
    )


def test_a_calibration_comes_back_from_its_bytes(calibration):
    again = Calibration.from_bytes(calibration.to_bytes())
    assert again == calibration
    assert again.to_bytes() == calibration.to_bytes()
    assert again.ranges[1].before == calibration.ranges[1].before
    np.testing.assert_array_equal(again.ranges[1].low, calibration.ranges[1].low)
    np.testing.assert_array_equal(again.corrections[0].values, calibration.corrections[0].values)
    assert again.kernels == calibration.kernels
    assert again.settings == calibration.settings
    assert hash(again) == hash(calibration)


def test_its_repr_is_one_line(calibration):
    digest = calibration.digest[:12]
    assert repr(calibration) == f"Calibration(mine, layer first, 16 px, 128 pictures: {digest})"
    last = replace(calibration, layer=None, n_pictures=1, network="mi\x1bne")
    assert repr(last) == rf"Calibration(mi\x1bne, 16 px, 1 picture: {last.digest[:12]})"


def test_the_digest_changes_with_everything_that_is_said(calibration):
    moved = replace(calibration.corrections[0], values=calibration.corrections[0].values + 1e-6)
    changed = {
        "network": "other",
        "weights": "cd" * 32,
        "layer": None,
        "input_size": 32,
        "n_pictures": 20,
        "settings": {"preset": "performance"},
        "ranges": calibration.ranges[:1],
        "kernels": (replace(calibration.kernels[0], axes=(1,)),),
        "corrections": (moved,),
    }
    assert changed.keys() == Calibration.__dataclass_fields__.keys()
    digests = {name: replace(calibration, **{name: each}).digest for name, each in changed.items()}
    assert len({calibration.digest, *digests.values()}) == 1 + len(changed), digests


def damaged(data):
    """Give some hundred ways in which the bytes of a file may be wrong."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            changed[place] = rng.integers(256)
        yield bytes(changed)
    for _ in range(100):
        yield data[: rng.integers(len(data))]
        yield data + rng.bytes(rng.integers(1, 9))
        yield rng.bytes(rng.integers(200))


def test_damaged_bytes_are_refused_in_a_line_or_say_something_else(calibration):
    data, messages = calibration.to_bytes(), []
    for changed in damaged(data):
        try:
            read = Calibration.from_bytes(changed)
        except StorageError as error:
            messages.append(str(error))
        else:
            assert changed == data or read.digest != calibration.digest
    assert len(messages) > 300
    odd = [each for each in messages if "\n" in each or "calibrate again" not in each]
    assert odd == []


def said(calibration, **changes):
    magic, text, raw = calibration.to_bytes().split(b"\n", 2)
    return b"\n".join([magic, json.dumps(json.loads(text) | changes).encode(), raw])


@pytest.mark.parametrize(
    "changes",
    [
        {"ranges": None},
        {"ranges": [{"before": [["Add", 0, 0]], "levels": 256, "shape": [1 << 30, 1 << 30]}]},
        {"ranges": [{"before": [["Add", 0, 0]], "levels": 256, "shape": [1] * 100}]},
        {"ranges": [{"before": [["Add", 0, 0]], "levels": 1 << 20, "shape": []}]},
        {"ranges": [{"before": [["Add", 0, -1]], "levels": 256, "shape": []}]},
        {"ranges": [{"before": [], "levels": 256, "shape": []}]},
        {"kernels": [{"at": ["Add", 0, 0], "shape": [3], "axes": [1]}]},
        {"kernels": [{"at": ["Add", 0], "shape": [3], "axes": [0]}]},
        {"corrections": [{"at": "Add", "shape": [3]}]},
        {"corrections": []},
        {"network": 3},
        {"network": "x" * 100_000},
        {"layer": ["first"]},
        {"n_pictures": 1.5},
        {"n_pictures": True},
        {"settings": []},
    ],
    ids=str,
)
def test_what_is_no_calibration_is_refused_in_a_line(calibration, changes):
    with pytest.raises(StorageError, match="calibrate again"):
        Calibration.from_bytes(said(calibration, **changes))


def test_numbers_that_are_none_are_refused(calibration):
    data = calibration.to_bytes()
    for number in (np.nan, np.inf):
        with pytest.raises(StorageError, match="not finite"):
            Calibration.from_bytes(data[:-4] + np.float32(number).tobytes())


def test_deep_nesting_is_refused_in_a_line():
    with pytest.raises(StorageError, match="calibrate again"):
        Calibration.from_bytes(b"featx calibration 1\n" + b"[" * 1_000_000)
