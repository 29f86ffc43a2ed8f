"""The main job on real photographs with real weights: what only they can show."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import featx
from featx.backbones.engines.choice import ENGINES as ALL_ENGINES
from featx.backbones.engines.choice import settle_precision
from featx.learning.classifiers import CLASSIFIERS

pytestmark = pytest.mark.keras

ENGINES = [engine for engine in ALL_ENGINES if engine != "auto"]
PIPELINES = [name for name, spec in CLASSIFIERS.items() if not spec.pixels]


def run(capsys, *arguments):
    """Run a command of featx with --json and return its document."""
    from featx.cli.main import main

    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("engine", ENGINES)
def test_label_names_at_least_18_of_20_photographs(
    engine, shared, weights_dir, monkeypatch, capsys
):
    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    folder = shared / "data" / "imagenet20"
    results = run(capsys, "label", folder, "--backbone", "resnet50", "--engine", engine)
    truths = [int(re.search(r"_(\d+)\.jpg$", result["path"])[1]) for result in results]
    right = sum(
        result["labels"][0]["index"] == truth for result, truth in zip(results, truths, strict=True)
    )
    assert len(results) == 20
    assert right >= 18, f"{right} of 20 right"


def test_the_default_reaches_73_percent_on_twenty_kinds_of_groceries(shared, tmp_path, capsys):
    folder = shared / "data" / "grocery20"
    model = tmp_path / "grocery.featx"
    result = run(capsys, "train", folder / "train", "--out", model, "--test", folder / "test")
    assert len(result["classes"]) == 20
    assert result["test"]["accuracy"] >= 0.73, result


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """A cache folder in which each network is converted once for all tests that use it."""
    return tmp_path_factory.mktemp("engines")


# -- Killed, resumed, and not done twice -----------------------------------------------------------

# The command line of featx, in a process that is killed once it has written a shard.
KILLED = """
import os, signal, sys
from featx.cli.main import main
from featx.features import writer
from featx.features.store.store import FeatureStore

writer.SHARD_SECONDS = 0.0
append = FeatureStore.append

def append_and_die(*arguments):
    append(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

FeatureStore.append = append_and_die
main(sys.argv[1:])
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_run_goes_on_where_it_was_and_nothing_is_embedded_twice(
    engine, fruit, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    options = ("--engine", engine, "--input-size", 64, "--batch-size", 4)

    def embed(name, *more):
        out = tmp_path / name
        document = run(capsys, "embed", fruit / "train", "--out", out, *options, *more)
        assert document["n_failed"] == 0, document["failed"]
        return featx.Features.load(out).X, (document["n_embedded"], document["n_cached"])

    words = ["embed", fruit / "train", "--out", tmp_path / "killed.npz", *options]
    killed = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (tmp_path / "killed.npz").exists()
    (recipe,) = run(capsys, "cache", "info")["recipes"]
    assert (recipe["rows"], recipe["damaged"]) == (4, [])

    resumed, counts = embed("resumed.npz")
    assert counts == (16, 4)
    again, counts = embed("again.npz")
    assert counts == (0, 20)
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "other"))
    whole, counts = embed("whole.npz")
    assert counts == (20, 0)
    np.testing.assert_array_equal(resumed, whole)
    np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_is_trained_and_used_without_embedding_anything_twice(
    engine, fruit, tmp_path, capsys
):
    model = tmp_path / "fruit.featx"
    options = ("--engine", engine)
    size = ("--input-size", 64)
    trained = run(capsys, "train", fruit / "train", "--out", model, *size, *options)
    assert trained["features"]["shape"] == [20, 1280]
    first = run(capsys, "predict", model, fruit / "test", *options)
    assert [row["outcome"] for row in first] == ["embedded"] * 8
    again = run(capsys, "predict", model, fruit / "test", *options)
    assert [row.pop("outcome") for row in again] == ["cached"] * 8
    assert again == [{key: row[key] for key in row if key != "outcome"} for row in first]
    evaluated = run(capsys, "evaluate", model, fruit / "test", *options)
    right = sum(row["label"] in row["path"] for row in first)
    assert evaluated["accuracy"] == right / 8
    other = "keras" if engine == "openvino" else "openvino"
    cached = run(capsys, "predict", model, fruit / "test", "--engine", other)
    assert {row["outcome"] for row in cached} == {"cached"}, "features depend on no engine"


# A command of featx in a process of its own, which then says what it has loaded.
PREDICT = """
import sys
from featx.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted({"tensorflow", "keras", "openvino"} & sys.modules.keys()), file=sys.stderr)
"""


def test_a_photograph_is_predicted_without_tensorflow_once_the_network_is_converted(
    fruit, tmp_path, monkeypatch, capsys
):
    """The same again comes from the cache; so each photograph here is a new one."""
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "fruit.featx"
    photos = sorted((fruit / "test").glob("*/*.jpg"))
    run(capsys, "train", fruit / "train", "--out", model, "--engine", "openvino")
    first = run(capsys, "predict", model, photos[0], "--engine", "openvino", "--no-cache")

    def predict(*words):
        words = [*map(str, words), "--engine", "openvino", "--json"]
        command = [sys.executable, "-c", PREDICT, "predict", str(model), *words]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout), ended.stderr.splitlines()

    assert predict(photos[0], "--no-cache") == (first, ["openvino"])
    new, loaded = predict(photos[1])
    assert (new[0]["outcome"], loaded) == ("embedded", ["openvino"])
    again, loaded = predict(photos[1])
    assert (again[0].pop("outcome"), loaded) == ("cached", [""])
    del new[0]["outcome"]
    assert again == new


# -- Fast ----------------------------------------------------------------------------------------


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("data", "backbone", "most"),
    [
        ("fruit_pair", "resnet50", 1),
        ("fruit_pair", "efficientnet_lite0", 1),
        ("grocery20", "efficientnet_lite0", 5),
        slow("grocery20", "resnet50", 5),
    ],
)
@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_fast_features_are_as_good_for_every_classifier(
    data, backbone, most, precision, shared, weights_dir, engines, monkeypatch
):
    """Of 120 photographs a few are on the edge and fall to either side, which evens out."""
    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    monkeypatch.setenv("FEATX_CACHE", str(engines))
    if settle_precision(precision, "openvino") != precision:
        pytest.skip(f"this processor does not compute in {precision}")
    faster = {"decode": "scaled", "precision": precision}
    right = {}
    for fast in (False, True):
        train, test = (
            featx.embed(
                shared / "data" / data / part, backbone, progress=False, **(faster if fast else {})
            )
            for part in ("train", "test")
        )
        for classifier in PIPELINES:
            model = featx.train(train, classifier)
            right[classifier, fast] = round(model.evaluate(test).accuracy * len(test))
    gains = {name: right[name, True] - right[name, False] for name in PIPELINES}
    assert max(map(abs, gains.values())) <= most, gains
    assert abs(sum(gains.values())) <= 2 * len(gains), gains


# -- The classic example -------------------------------------------------------------------------


def run_example(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["twenty_images.py", *map(str, arguments)])
    runpy.run_path(str(ROOT / "examples" / "twenty_images.py"), run_name="__main__")
    return capsys.readouterr().out


def test_the_classic_example_gets_all_ten_test_photographs_right(
    shared, weights_dir, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    picture = tmp_path / "result.png"
    printed = run_example(monkeypatch, capsys, shared / "data" / "fruit_pair", "--out", picture)
    assert "20 pictures -> 20 x 100352 features" in printed
    assert "10 of 10 test pictures right" in printed
    with Image.open(picture) as image:
        assert min(image.size) > 300, image.size


@pytest.mark.parametrize("layout", ["drawn fruit", "fruits-360"])
def test_the_classic_example_runs_on_other_folders(
    layout, fruit, fake_engine, tmp_path, monkeypatch, capsys
):
    folder = fruit
    if layout == "fruits-360":
        folder = tmp_path / "fruits-360"
        for part, name in (("train", "Training"), ("test", "Test")):
            for kind in ("banana", "strawberry"):
                shutil.copytree(fruit / part / kind, folder / name / f"{kind.title()} 1")
            shutil.copytree(fruit / part / "banana", folder / name / "Apple")
    printed = run_example(
        monkeypatch,
        capsys,
        folder,
        "--backbone",
        "efficientnet_lite0",
        "--out",
        tmp_path / "result.png",
    )
    assert "20 pictures -> 20 x 9 features" in printed
    assert re.search(r"\d of 8 test pictures right", printed)
