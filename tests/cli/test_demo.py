"""`featx demo`: the main job on the sample images."""

import re

import fakes
import numpy as np
import pytest
from PIL import Image

import featx
from featx.cli import demo as module
from featx.cli.demo import sample_images


@pytest.fixture
def samples(tmp_path, monkeypatch, fake_engine):
    """Stand in for the drawn fruit: two classes that colour tells apart."""
    names = ("green", "red")
    fakes.draw_folder(tmp_path / "samples" / "train", names, each=5)
    fakes.draw_folder(tmp_path / "samples" / "test", names, each=2, start=50)
    monkeypatch.setattr(module, "sample_images", lambda: tmp_path / "samples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_demo_says_in_a_line_a_step_what_happened_and_how_long_it_took(featx_run, samples):
    ended = featx_run("demo", "--out", "results")
    steps = ended.out.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in steps] == ["embed", "train", "predict", "gallery"]
    assert all(re.fullmatch(r"\w+ +\d+\.\d s   \S.*", line) for line in steps), steps
    assert "10 drawn pictures -> 10 x 9 features (10 embedded, 0 from the cache)" in steps[0]
    assert "green and red: 100.0 % right in 5-fold cross-validation" in steps[1]
    assert "4 of 4 held-out pictures right" in steps[2]
    assert steps[3].endswith("look at results/gallery.png")
    assert "featx train PHOTOS --out my.featx\n  featx predict my.featx PICTURE" in ended.out
    assert ended.err == ""


def test_the_demo_leaves_features_a_model_and_a_gallery(featx_run, samples):
    featx_run("demo")
    results = samples / "demo"
    assert sorted(path.name for path in results.iterdir()) == [
        *("fruit.featx", "gallery.png", "train.npz")
    ]
    assert featx.Features.load(results / "train.npz").X.shape == (10, 9)
    model = featx.load(results / "fruit.featx")
    assert model.evaluate(samples / "samples" / "test").accuracy == 1.0
    with Image.open(results / "gallery.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    assert (np.abs(pixels - [26, 127, 55]).max(axis=1) < 8).sum() > 1000


def test_the_demo_in_json_is_one_document(featx_run, samples):
    ended = featx_run("demo", "--json")
    assert [step["step"] for step in ended.json["steps"]] == [
        "embed",
        "train",
        "predict",
        "gallery",
    ]
    assert [ended.json[key]["accuracy"] for key in ("validation", "test")] == [1.0, 1.0]
    assert ended.json["out"] == "demo"
    assert ended.err.startswith("embed ")


def test_a_second_demo_embeds_nothing(featx_run, samples, fake_engine):
    featx_run("demo")
    before = fake_engine.embedded
    assert "(0 embedded, 10 from the cache)" in featx_run("demo").out
    assert fake_engine.embedded == before


def test_a_place_that_cannot_be_written_is_told(featx_ends, samples):
    (samples / "file").touch()
    for out in ("file", "file/demo"):
        ended = featx_ends("demo", "--out", out)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith(f"featx: cannot write {out}: ")
        assert ended.err.count("\n") == 1


def test_missing_sample_images_are_told(featx_ends, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "sample_images", lambda: sample_images(tmp_path / "lib" / "featx"))
    ended = featx_ends("demo")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"featx: the sample images are not at {tmp_path / 'lib'}")
    assert not (tmp_path / "demo").exists()


def test_the_sample_images_are_found_in_the_checkout(fruit):
    if not fruit.is_dir():
        pytest.skip("data/fruit has not been drawn")
    assert sample_images() == fruit
