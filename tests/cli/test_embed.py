"""`featx embed`."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import featx
from featx.features.options import OPTIONS, EmbedOptions, RunnerOptions, RunOptions, options_of


def test_embed_says_in_json_what_it_did(featx_run, photos, new_photos, tmp_path):
    out = tmp_path / "photos.npz"
    ended = featx_run("embed", new_photos, "--out", out, "--json")
    document = ended.json
    assert document | {"seconds": 0, "startup_seconds": 0, "images_per_second": 0} == {
        "n_images": 6,
        "n_features": 9,
        "n_embedded": 6,
        "n_cached": 0,
        "n_failed": 1,
        "failed": [
            {
                "path": str(new_photos / "green" / "bad.jpg"),
                "reason": document["failed"][0]["reason"],
            }
        ],
        "n_other": 1,
        "notes": [],
        "n_views": 0,
        "shape": [6, 9],
        "seconds": 0,
        "startup_seconds": 0,
        "images_per_second": 0,
        "fingerprint": featx.Features.load(out).recipe.fingerprint,
        "out": str(out),
        "map": None,
        "sidecar": None,
    }
    assert document["seconds"] > 0
    assert document["images_per_second"] > 0
    assert document["failed"][0]["reason"]
    again = featx_run("embed", new_photos, "--out", out, "--json").json
    assert (again["n_embedded"], again["n_cached"], again["n_failed"]) == (0, 6, 1)


def test_embed_says_to_a_person_what_it_did(featx_run, photos, new_photos, tmp_path):
    lines = featx_run("embed", new_photos, "--out", tmp_path / "x.npz").out.splitlines()
    assert lines[0].startswith("7 images: 6 embedded, 1 failed, in ")
    assert re.fullmatch(
        r".* in [\d.]+ s \([\d.]+ images/s\)( after [\d.]+ s of start-up)?", lines[0]
    )
    assert lines[1].startswith("features 6 x 9 (efficientnet_lite0, avg pooling, 224 px squash")
    assert lines[2] == "left alone, no images by name: 1 file"
    assert lines[3].startswith(f"failed: {new_photos / 'green' / 'bad.jpg'}: ")
    assert lines[4] == f"wrote {tmp_path / 'x.npz'}"
    again = featx_run("embed", new_photos, "--out", tmp_path / "x.npz").out.splitlines()
    assert again[0].startswith("7 images: 6 from the cache, 1 failed, in ")
    assert "images/s" not in again[0]


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet", ".csv"])
def test_embed_writes_every_format(featx_run, photos, tmp_path, suffix):
    out = tmp_path / f"photos{suffix}"
    featx_run("embed", photos, "--out", out)
    features = featx.Features.load(out)
    assert np.allclose(features.X, featx.embed(photos).X)
    assert features.y.tolist() == ["blue"] * 6 + ["green"] * 6 + ["red"] * 6


OTHER = {  # than the default, where there is no list of choices
    "layer": "block4_pool",
    "input_size": 64,
    "weights": "random",
    "fast": True,
    "views": 2,
    "batch_size": 3,
}


NOT_OF_RECIPES = {"progress", "root", "path_column", "label_column", "exclude"}
OF_FILES = {"preprocess"}  # networks of the table refuse it


def other_value(name):
    """Return a value of an option that is not its default."""
    option = OPTIONS[name]
    return next((each for each in option.choices if each != option.default), None) or OTHER[name]


@pytest.mark.filterwarnings("ignore:the weights of")
@pytest.mark.parametrize(
    "name",
    sorted(
        options_of(EmbedOptions).keys()
        - options_of(RunnerOptions).keys()
        - NOT_OF_RECIPES
        - OF_FILES
    ),
)
def test_every_option_of_embed_arrives(featx_run, photos, tmp_path, engines, name):
    value = str(tmp_path / "other") if name == "cache" else other_value(name)
    flag = f"--{name.replace('_', '-')}"
    words = [flag] if value is True else [flag, value]
    featx_run("embed", photos, *words, "--out", tmp_path / "x.npz")
    made, same = featx.Features.load(tmp_path / "x.npz"), featx.embed(photos, **{name: value})
    assert made.recipe == same.recipe
    assert len(made.views) == len(same.views)
    assert [each.status for each in same.outcomes] == ["cached"] * 18
    plain = featx.embed(photos)
    changes_nothing = {"views", *options_of(RunOptions)}
    assert (made.recipe == plain.recipe) == (name in changes_nothing)
    engine, _, batch_size = engines[0]
    assert engine == (value if name == "engine" else "auto")
    assert batch_size == (value if name == "batch_size" else None)


def test_options_of_the_runner_arrive(featx_ends, photos, tmp_path):
    """Embedding on Ray itself is tested by `tests/features/test_ray_runner.py`."""
    pytest.importorskip("ray.data")
    words = ["--runner", "ray", "--address", "127.0.0.1:9", "--num-workers", 2]
    ended = featx_ends("embed", photos, *words, "--num-gpus", 1, "--out", tmp_path / "x.npz")
    assert ended.status == 2
    assert "no Ray cluster at address '127.0.0.1:9'" in ended.err
    assert ended.err.count("\n") == 1, ended.err


@pytest.mark.parametrize("pooling", ["none", "flatten"])
def test_the_shape_is_that_of_the_pooling(featx_run, photos, tmp_path, pooling):
    ended = featx_run("embed", photos, "--pooling", pooling, "--out", tmp_path / "x.npz", "--json")
    assert ended.json["shape"] == ([18, 1, 1, 9] if pooling == "none" else [18, 9])
    assert ended.json["n_features"] == 9


def test_the_cache_can_be_moved_and_left_out(featx_run, photos, tmp_path, monkeypatch, fake_engine):
    out = tmp_path / "x.npz"
    user = Path(os.environ["FEATX_CACHE"])
    featx_run("embed", photos, "--out", out, "--no-cache")
    assert list(user.iterdir()) == []
    featx_run("embed", photos, "--out", out, "--cache", tmp_path / "a")
    assert list(user.iterdir()) == []
    assert (tmp_path / "a").is_dir()
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "b"))
    featx_run("embed", photos, "--out", out)
    assert (tmp_path / "b").is_dir()
    assert fake_engine.embedded == 3 * 18
    for where in ((), ("--cache", tmp_path / "a"), ("--cache", tmp_path / "b")):
        assert featx_run("embed", photos, "--out", out, *where, "--json").json["n_cached"] == 18
    assert fake_engine.embedded == 3 * 18


def test_a_run_can_stop_at_the_first_file_that_cannot_be_read(
    featx_ends, photos, new_photos, tmp_path
):
    ended = featx_ends("embed", new_photos, "--on-error", "raise", "--out", tmp_path / "x.npz")
    assert ended.status == 2
    assert ended.err.startswith(f"featx: cannot read {new_photos / 'green' / 'bad.jpg'}")
    assert not (tmp_path / "x.npz").exists()


def test_a_map_of_the_features_is_drawn(featx_run, photos, tmp_path):
    path = tmp_path / "map.svg"
    ended = featx_run("embed", photos, "--out", tmp_path / "x.npz", "--map", path)
    assert ended.out.splitlines()[-1] == f"wrote {path}"
    assert path.read_text().startswith("<?xml")


def test_a_list_in_a_table_has_a_row_for_each_picture(featx_run, photos, tmp_path):
    featx_run("embed", photos, "--out", tmp_path / "x.csv")
    frame = pd.read_csv(tmp_path / "x.csv")
    assert frame["label"].tolist() == ["blue"] * 6 + ["green"] * 6 + ["red"] * 6
    assert json.loads((tmp_path / "x.csv.json").read_text())["recipe"]["input_size"] == 224


def test_a_picture_alone_has_no_map_and_its_features(featx_run, photos, tmp_path):
    (one, *_) = sorted(photos.glob("*/*.png"))
    ended = featx_run("embed", one, "--out", tmp_path / "x.npz", "--map", tmp_path / "map.svg")
    assert "featx: warning: no map, which takes at least two pictures" in ended.err
    assert ended.out.splitlines()[-1] == f"wrote {tmp_path / 'x.npz'}"
    assert not (tmp_path / "map.svg").exists()
