"""A model in int8 on another machine: the same probabilities, without NNCF and with no cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import fakes
import numpy as np
import pytest

import featx
from featx.backbones.framework import import_openvino
from featx.files import cache_folder

SIZE = 32

PREDICT = """
import json, sys
for name in ("nncf", "tensorflow"):
    sys.modules[name] = None
import featx
model = featx.load(sys.argv[1])
print(json.dumps(model.predict_proba(sys.argv[2], progress=False).tolist()))
"""


@pytest.fixture
def network(tmp_path):
    """A file of a small network in OpenVINO's form, of random weights."""
    openvino = import_openvino()
    opset, random = openvino.opset14, np.random.default_rng(0)
    taken = pixels = opset.parameter([-1, 3, SIZE, SIZE], np.float32, name="pixels")
    for width, made in ((3, 16), (16, 16), (16, 32)):
        weights = random.normal(size=(made, width, 3, 3)) * 1.4 / np.sqrt(9 * width)
        taken = opset.convolution(taken, weights.astype(np.float32), [2, 2], [1, 1], [1, 1], [1, 1])
        taken = opset.relu(opset.add(taken, np.full((1, made, 1, 1), 0.1, np.float32)))
    path = tmp_path / "small.xml"
    openvino.save_model(openvino.Model([taken], [pixels]), path, compress_to_fp16=False)
    (tmp_path / "small.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": SIZE})
    )
    return path


@pytest.fixture
def many(tmp_path):
    return fakes.draw_folder(tmp_path / "many", each=10)


def test_it_predicts_in_a_fresh_process_without_nncf_and_with_an_empty_cache(
    network, many, new_photos, tmp_path
):
    pytest.importorskip("nncf")
    model = featx.train(many, backbone=str(network), precision="int8", progress=False)
    part = model.recipe.parts[0]
    assert (part.cut.precision, part.cut.calibration) == ("int8", model.calibrations[0].digest)
    assert model.calibrations[0].n_pictures == 30
    assert 0.98 < model.calibrations[0].settings["cosine"] <= 1, "to features in float32"
    expected = model.predict_proba(new_photos, progress=False)
    plain = featx.train(many, backbone=str(network), progress=False)
    assert not np.array_equal(plain.predict_proba(new_photos, progress=False), expected)
    model.save(tmp_path / "m.featx")
    shutil.rmtree(cache_folder())
    environment = {**os.environ, "FEATX_CACHE": str(tmp_path / "empty")}
    words = [sys.executable, "-c", PREDICT, str(tmp_path / "m.featx"), str(new_photos)]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    np.testing.assert_allclose(json.loads(ended.stdout), expected, rtol=0, atol=1e-5)
    assert not (tmp_path / "empty" / "calibrations").exists()


def test_features_of_two_folders_are_in_int8_and_near_those_in_float32(network, many, new_photos):
    pytest.importorskip("nncf")
    for folder in (many, new_photos):
        both = [
            featx.embed(folder, str(network), precision=each, progress=False).X
            for each in ("int8", "float32")
        ]
        norms = [np.linalg.norm(each, axis=1) for each in both]
        cosines = (both[0] * both[1]).sum(axis=1) / (norms[0] * norms[1])
        assert cosines.min() > 0.98, cosines
        assert not np.array_equal(*both)


@pytest.mark.filterwarnings("ignore")
def test_where_nncf_is_missing_a_line_says_what_to_install(network, many, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(featx.FeatxError) as caught:
        featx.embed(many, str(network), precision="int8", progress=False)
    assert str(caught.value) == (
        "calibrating a network for int8 needs nncf, which is not installed: pip install "
        '"featx[int8]"'
    )


# -- Damaged files -------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path, many, fake_engine):
    """The file of a model in int8, of the fake engine."""
    path = tmp_path / "m.featx"
    options = {"backbone": "vgg16", "weights": "random", "precision": "int8"}
    with pytest.warns(UserWarning, match="are random"):
        featx.train(many, "knn", progress=False, **options).save(path)
    return path


def refused(path) -> str:
    with pytest.raises(featx.FeatxError) as caught:
        featx.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path} is no featx model, or a damaged one ("), message
    return message


def test_a_model_in_int8_holds_a_calibration(saved):
    about = fakes.about(saved)
    assert (about["format"], about["recipe"]["precision"]) == (5, "int8")
    (calibration,) = featx.load(saved).calibrations
    assert calibration.digest == about["recipe"]["calibration"]


def test_a_damaged_calibration_or_another_one_is_refused_in_one_line(saved):
    about, (calibration,) = fakes.about(saved), featx.load(saved).calibrations
    name, data = f"{calibration.digest}.calibration", calibration.to_bytes()
    other = fakes.calibration(featx.Backbone.load("vgg16", "random"), 1.0).to_bytes()
    for content in (b"", data[:-2], data[:50], data + b"\0", b"\xff" * 100):
        fakes.rewrite(saved, about, **{name: content})
        assert "calibration" in refused(saved), content
    fakes.rewrite(saved, about, **{name: other})
    assert "its calibration is another one" in refused(saved)
    fakes.rewrite(saved, about, **{name: data})
    assert featx.load(saved).calibrations == (calibration,)


def test_what_a_file_says_of_its_calibration_has_to_be_so(saved):
    about = fakes.about(saved)
    without = {**about["recipe"]}
    del without["calibration"]
    for change, reason in (
        ({"recipe": about["recipe"] | {"calibration": "ab" * 32}}, "it has no calibration"),
        ({"recipe": without}, "its recipe names no calibration"),
        ({"recipe": without | {"precision": "float32"}}, "which its recipe does not name"),
    ):
        fakes.rewrite(saved, about | change)
        assert reason in refused(saved), change
    del about["card"]
    fakes.rewrite(saved, about | {"format": 4})
    assert len(featx.load(saved).calibrations) == 1
    fakes.rewrite(saved, about | {"format": 3})
    assert "a calibration is for format 4" in refused(saved)
