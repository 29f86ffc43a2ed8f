"""Calibrations that come with featx belong to the networks of the table, and keep their promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.calibration_settings import settings_for
from featx.backbones.shipped import FOLDER, SUFFIX, shipped_calibration
from featx.backbones.table import BACKBONES
from featx.errors import WeightsError
from featx.images.decode import decode_all
from featx.images.square import Square

SHIPPED = {path.stem: path for path in sorted(FOLDER.glob(f"*{SUFFIX}"))}
QUICK = ("efficientnet_lite0", "resnet50")
LEAST_MEAN = {"efficientnet_lite0": 0.99}  # of the others 0.995


def read(name):
    return Calibration.from_bytes(SHIPPED[name].read_bytes())


def slow_but_for_few(names):
    return [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in names]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_calibration_is_of_a_network_of_the_table(name):
    calibration = read(name)
    assert calibration.network == name
    assert (calibration.layer, calibration.input_size) == (None, BACKBONES[name].input_size)
    assert calibration.n_pictures == 128
    assert calibration.settings["left_out"] == settings_for(name).to_dict()["left_out"]
    assert calibration.ranges
    assert calibration.kernels


def test_shipped_calibrations_are_small():
    sizes = {name: path.stat().st_size for name, path in SHIPPED.items()}
    assert max(sizes.values()) < 200_000, sizes


@pytest.mark.parametrize("name", SHIPPED)
def test_it_serves_the_weights_it_was_measured_with_at_the_last_layer_and_usual_size(name):
    calibration = read(name)
    size = BACKBONES[name].input_size
    known = Backbone(name, calibration.weights, size, 32, "none", preprocess=np.asarray)
    assert shipped_calibration(known, None, size) == calibration
    assert shipped_calibration(known, None, size + 1) is None
    assert shipped_calibration(known, "block1", size) is None
    assert shipped_calibration(replace(known, digest="0" * 64), None, size) is None
    assert shipped_calibration(replace(known, name="mine"), None, size) is None


@pytest.mark.keras
@pytest.mark.parametrize("name", slow_but_for_few(SHIPPED))
def test_vectors_in_int8_are_near_those_in_float32(
    name, shared, weights_dir, monkeypatch, request_for, open_openvino, engines
):
    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    try:
        backbone = Backbone.load(name)
    except WeightsError as error:
        pytest.skip(str(error))
    calibration = shipped_calibration(backbone, None, backbone.input_size)
    assert calibration is not None, "the weights of this network are known"
    files = sorted((shared / "data" / "imagenet20").glob("*.jpg"))
    square = [Square(backbone.input_size)]
    pictures = np.stack([decode_all(path.read_bytes(), square)[0][0] for path in files])
    settings = {"precision": "int8", "calibration": calibration.digest}
    exact, rounded = (
        np.concatenate([engine.embed_batch(each[None]) for each in pictures])
        for engine in (
            open_openvino(backbone, engines),
            open_openvino(replace(backbone, calibration=calibration), engines, **settings),
        )
    )
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(rounded, axis=1)
    cosines = (exact * rounded).sum(axis=1) / lengths
    assert LEAST_MEAN.get(name, 0.995) < cosines.mean() < 0.99999, "it was to be rounded"
