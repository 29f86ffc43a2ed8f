"""Options of embedding, `--fast` and `--engine` among them: from the shell into the recipe."""

import os

import fakes
import numpy as np
import pytest

import featx
from featx.backbones.engines.choice import ENGINES

# ---------------------------------------------------------------- embed


@pytest.mark.parametrize(
    ("words", "decode", "precision"),
    [
        ((), "full", "float32"),
        (("--fast",), "scaled", "bfloat16"),
        (("--decode", "scaled", "--precision", "bfloat16"), "scaled", "bfloat16"),
        (("--decode", "scaled"), "scaled", "float32"),
        (("--precision", "bfloat16"), "full", "bfloat16"),
        (("--fast", "--decode", "full", "--precision", "float32"), "scaled", "bfloat16"),
    ],
    ids=" ".join,
)
def test_options_of_speed_go_into_the_recipe(
    featx_run, photos, tmp_path, engines, words, decode, precision
):
    out = tmp_path / "x.npz"
    document = featx_run("embed", photos, *words, "--out", out, "--json").json
    recipe = featx.Features.load(out).recipe
    part = recipe.parts[0]
    assert (part.square.decode, part.cut.precision) == (decode, precision)
    assert document["fingerprint"] == recipe.fingerprint
    assert engines == [("auto", precision, None)]
    text = featx_run("embed", photos, *words, "--out", out).out
    assert f"({recipe})" in text
    assert ("scaled" in text, "bfloat16" in text) == (
        decode == "scaled",
        precision == "bfloat16",
    ), text


def test_fast_and_slow_features_are_kept_apart(featx_run, photos, tmp_path, fake_engine):
    out = tmp_path / "x.npz"
    for expected in (18, 0):
        for words in ((), ("--fast",), ("--decode", "scaled")):
            document = featx_run("embed", photos, *words, "--out", out, "--json").json
            assert document["n_embedded"] == expected, words
    assert fake_engine.embedded == 3 * 18


def test_what_embed_says_in_json_has_the_same_keys_however_fast(
    featx_run, photos, tmp_path, engines
):
    out = tmp_path / "x.npz"
    plain = featx_run("embed", photos, "--out", out, "--json").json
    fast = featx_run("embed", photos, "--fast", "--engine", "keras", "--out", out, "--json").json
    assert list(fast) == list(plain)
    assert list(fast) == [
        *("n_images", "n_features", "n_embedded", "n_cached", "n_failed", "failed", "n_other"),
        *("notes", "n_views", "shape", "seconds", "startup_seconds"),
        *("images_per_second", "fingerprint", "out", "sidecar", "map"),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_and_the_batch_size_arrive_and_change_no_recipe(
    featx_run, photos, tmp_path, engines, engine
):
    out = tmp_path / "x.npz"
    featx_run("embed", photos, "--engine", engine, "--batch-size", 5, "--out", out)
    assert engines == [(engine, "float32", 5)]
    features = featx.Features.load(out)
    assert features.recipe == featx.embed(photos).recipe
    assert len(engines) == 1, "it is in the cache"


def test_a_processor_without_bfloat16_is_told_in_the_features(
    featx_run, photos, tmp_path, engines, native
):
    native("float32")
    out = tmp_path / "x.npz"
    lines = featx_run("embed", photos, "--fast", "--out", out).out.splitlines()
    assert "bfloat16" not in lines[1], lines
    assert "scaled" in lines[1], lines
    assert engines == [("auto", "float32", None)]
    part = featx.Features.load(out).recipe.parts[0]
    assert (part.square.decode, part.cut.precision) == ("scaled", "float32")


def test_a_run_over_many_images_hints_at_fast_in_one_line(featx_run, tmp_path, fake_engine):
    picture = fakes.draw(tmp_path / "picture.png", (200, 40, 40), size=(8, 8))
    (tmp_path / "many").mkdir()
    for number in range(2_000):
        os.link(picture, tmp_path / "many" / f"{number}.png")
    words = ["--no-cache", "--out", tmp_path / "x.npz", "--json"]
    ended = featx_run("embed", tmp_path / "many", *words)
    assert ended.json["n_images"] == 2_000
    assert ended.err.splitlines() == [
        "featx: warning: --fast (in Python fast=True) is several times faster on this processor, "
        "for nearly the same features"
    ]
    (tmp_path / "many" / "0.png").unlink()
    assert featx_run("embed", tmp_path / "many", *words).err == "", "one fewer is not many"
    fast = featx_run("embed", tmp_path / "many", "--fast", *words)
    assert fast.err == "featx: --fast takes bfloat16 on this processor\n"


@pytest.mark.parametrize("units", [("int8", "bfloat16"), ("bfloat16",), ()], ids=str)
def test_fast_says_in_one_line_what_it_takes(featx_run, photos, tmp_path, engines, native, units):
    native("float32", *units)
    words = ["embed", photos, "--fast", "--out", tmp_path / "x.npz"]
    took = next(iter(units), "float32")
    expected = [f"featx: --fast takes {took} on this processor"]
    err = featx_run(*words).err.splitlines()
    assert err[:1] == expected
    if took == "int8":
        expected.append(
            "featx: warning: calibrating efficientnet_lite0 for int8 takes 20 different pictures, "
            "and 18 can be read: bfloat16 is used instead"
        )
    assert err == expected
    assert "takes" not in featx_run(*words, "--quiet").err
    assert featx_run(*words, "--backbone", "pixels").err == ""


def test_int8_goes_into_the_recipe_and_through_a_model(
    featx_run, new_photos, tmp_path, engines, native
):
    many = fakes.draw_folder(tmp_path / "many", each=8)
    model, out = tmp_path / "m.featx", tmp_path / "x.npz"
    words = ["--precision", "int8"]
    text = featx_run("embed", many, *words, "--out", out).out
    (calibration,) = featx.Features.load(out).calibrations
    assert f", int8, calibration {calibration.digest[:12]}, weights " in text
    featx_run("train", many, *words, "--classifier", "knn", "--out", model)
    assert featx.load(model).calibrations == (calibration,)
    rows = featx_run("predict", model, new_photos, "--json").json
    labels = [row["label"] for row in rows if row["label"]]
    assert labels == ["blue", "blue", "green", "green", "red", "red"]
    ended = featx_run("evaluate", model, new_photos, "--json").json
    assert ended["accuracy"] == 1.0
    assert {precision for _, precision, _ in engines} == {"int8"}


def test_int8_on_keras_is_refused_in_one_line(featx_ends, photos, tmp_path):
    words = ["--precision", "int8", "--engine", "keras", "--out", tmp_path / "x.npz"]
    ended = featx_ends("embed", photos, *words)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        "featx: the engine keras does not compute in int8, OpenVINO does: take engine 'openvino' "
        "or 'auto', or another precision\n"
    )


# ---------------------------------------------------------------- models and labels


def test_a_model_is_used_as_fast_as_it_was_trained(
    featx_run, photos, new_photos, tmp_path, engines, native
):
    model = tmp_path / "m.featx"
    words = ["--fast", "--classifier", "knn", "--test", new_photos, "--out", model, "--json"]
    document = featx_run("train", photos, *words).json
    assert document["test"]["accuracy"] == 1.0
    recipe = featx.load(model).recipe
    part = recipe.parts[0]
    assert (part.square.decode, part.cut.precision) == ("scaled", "bfloat16")
    assert document["features"]["fingerprint"] == recipe.fingerprint
    (new_photos / "red" / "one more.png").write_bytes(
        fakes.draw(tmp_path / "x.png", (201, 41, 39)).read_bytes()
    )
    rows = featx_run("predict", model, new_photos, "--json").json
    assert [row["outcome"] for row in rows].count("embedded") == 1, "the others were tested on"
    labels = ["blue", "blue", "green", "green", None, "red", "red", "red"]
    assert [row["label"] for row in rows] == labels
    ended = featx_run("evaluate", model, new_photos, "--json").json
    assert ended["accuracy"] == 1.0
    assert {precision for _, precision, _ in engines} == {"bfloat16"}


def test_a_fast_model_predicts_where_there_is_no_bfloat16(
    featx_run, photos, new_photos, tmp_path, engines, native
):
    model = tmp_path / "m.featx"
    featx_run("train", photos, "--fast", "--classifier", "knn", "--out", model)
    fast = featx_run("predict", model, new_photos, "--json").json
    native("float32")
    slow = featx_run("predict", model, new_photos, "--json").json
    assert [row["label"] for row in slow] == [row["label"] for row in fast]
    assert [precision for _, precision, _ in engines] == ["bfloat16", "float32"]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_model_runs_on_the_engine_that_is_named(featx_run, model, new_photos, engines, command):
    featx_run(command, model, new_photos, "--engine", "keras", "--batch-size", 3)
    assert engines == [("keras", "float32", 3)]


def test_train_says_the_same_keys_in_json_however_fast(featx_run, photos, tmp_path, engines):
    words = ["--classifier", "knn", "--out", tmp_path / "m.featx", "--json"]
    plain = featx_run("train", photos, *words).json
    fast = featx_run("train", photos, "--fast", "--engine", "keras", *words).json
    assert list(fast) == list(plain)
    assert list(fast["features"]) == list(plain["features"])
    assert fast["features"]["fingerprint"] != plain["features"]["fingerprint"]
    assert engines == [("auto", "float32", None), ("keras", "bfloat16", None)]


@pytest.mark.filterwarnings("ignore:the weights of")
def test_label_may_be_fast_and_says_the_same_keys(featx_run, photos, guessing):
    picture = photos / "red" / "000.png"
    plain = featx_run("label", picture, "--weights", "random", "--json").json
    words = ["--fast", "--engine", "keras", "--weights", "random", "--json"]
    fast = featx_run("label", picture, *words).json
    assert guessing == [("auto", "float32", None), ("keras", "bfloat16", None)]
    assert [each["outcome"] for each in plain + fast] == ["embedded", "embedded"]
    assert fast == plain
    assert fast[0]["labels"][0]["name"] == "golden_retriever"


def test_features_of_a_fast_run_are_the_fast_ones(featx_run, tmp_path, fake_engine):
    """A photograph large enough to be scaled: other pixels, and close ones."""
    big = fakes.photo(1800, 1350)
    big.save(tmp_path / "big.jpg")
    vectors = {}
    for name, words in (("slow", ()), ("fast", ("--fast",))):
        featx_run("embed", tmp_path / "big.jpg", *words, "--out", tmp_path / f"{name}.npz")
        vectors[name] = featx.Features.load(tmp_path / f"{name}.npz").X
    difference = np.abs(vectors["fast"] - vectors["slow"]).max()
    assert 0 < difference < 5, difference
