"""The main job on real photographs with real weights: what only they can show."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys

import pytest
from conftest import ROOT
from PIL import Image

pytestmark = pytest.mark.keras


def run(capsys, *arguments):
    """Run a command of featx with --json and return its document."""
    from featx.cli.main import main

    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return json.loads(out)


def test_label_names_at_least_18_of_20_photographs(shared, weights_dir, monkeypatch, capsys):
    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    folder = shared / "data" / "imagenet20"
    results = run(capsys, "label", folder, "--backbone", "resnet50")
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
    assert result["test_accuracy"] >= 0.73, result


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
