"""`--fast`, `--decode`, `--precision` and `--engine`: from the shell into the recipe."""

import fakes
import numpy as np
import pytest

import featx
import featx.features.running
from featx.features import advice


@pytest.fixture
def engines(monkeypatch, fake_engine):
    """What engines were opened for: the engine asked for, the precision, the batch size."""
    opened = []

    def open_engine(backbone, **options):
        opened.append(tuple(options[key] for key in ("engine", "precision", "batch_size")))
        return fakes.open_fake(backbone, **options)

    monkeypatch.setattr(featx.features.running, "open_engine", open_engine)
    return opened


# ---------------------------------------------------------------- embed


@pytest.mark.parametrize(
    ("words", "decode", "precision"),
    [
        ((), "full/1", "float32"),
        (("--fast",), "scaled/1", "bfloat16"),
        (("--decode", "scaled", "--precision", "bfloat16"), "scaled/1", "bfloat16"),
        (("--decode", "scaled"), "scaled/1", "float32"),
        (("--precision", "bfloat16"), "full/1", "bfloat16"),
        (("--fast", "--decode", "full", "--precision", "float32"), "scaled/1", "bfloat16"),
    ],
    ids=" ".join,
)
def test_options_of_speed_go_into_the_recipe(
    featx_run, photos, tmp_path, bfloat16, engines, words, decode, precision
):
    out = tmp_path / "x.npz"
    document = featx_run("embed", photos, *words, "--out", out, "--json").json
    recipe = featx.Features.load(out).recipe
    assert (recipe.decode, recipe.precision) == (decode, precision)
    assert document["fingerprint"] == recipe.fingerprint
    assert engines == [("auto", precision, None)]
    text = featx_run("embed", photos, *words, "--out", out).out
    assert f"({recipe})" in text
    assert ("scaled" in text, "bfloat16" in text) == (
        decode == "scaled/1",
        precision == "bfloat16",
    ), text


def test_fast_and_slow_features_are_kept_apart(featx_run, photos, tmp_path, bfloat16, fake_engine):
    out = tmp_path / "x.npz"
    for expected in (18, 0):
        for words in ((), ("--fast",), ("--decode", "scaled")):
            document = featx_run("embed", photos, *words, "--out", out, "--json").json
            assert document["n_embedded"] == expected, words
    assert fake_engine.embedded == 3 * 18


def test_what_embed_says_in_json_has_the_same_keys_however_fast(
    featx_run, photos, tmp_path, bfloat16
):
    out = tmp_path / "x.npz"
    plain = featx_run("embed", photos, "--out", out, "--json").json
    fast = featx_run("embed", photos, "--fast", "--engine", "keras", "--out", out, "--json").json
    assert list(fast) == list(plain)
    assert list(fast) == [
        *("n_images", "n_features", "n_embedded", "n_cached", "n_failed", "failed", "n_other"),
        *("shape", "seconds", "images_per_second", "fingerprint", "out"),
    ]


@pytest.mark.parametrize("engine", ["auto", "openvino", "keras"])
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
    featx_run, photos, tmp_path, bfloat16, engines
):
    bfloat16.gives("float32")
    out = tmp_path / "x.npz"
    lines = featx_run("embed", photos, "--fast", "--out", out).out.splitlines()
    assert "bfloat16" not in lines[1], lines
    assert "scaled" in lines[1], lines
    assert engines == [("auto", "float32", None)]
    recipe = featx.Features.load(out).recipe
    assert (recipe.decode, recipe.precision) == ("scaled/1", "float32")


def test_advice_in_a_slow_run_is_one_line_on_stderr(
    featx_run, photos, tmp_path, monkeypatch, fake_engine
):
    for name in ("_FIRST_SECONDS", "_SLOW_SECONDS"):
        monkeypatch.setattr(advice, name, 0.0)
    monkeypatch.setattr(fake_engine, "bfloat16_speedup", 8.0)
    monkeypatch.setattr(fake_engine, "seconds_per_batch", 0.05)
    words = ["--batch-size", 3, "--out", tmp_path / "x.npz", "--json"]
    ended = featx_run("embed", photos, *words)
    assert ended.json["n_embedded"] == 18
    (line,) = [line for line in ended.err.splitlines() if "--fast" in line]
    assert line.startswith("featx: warning: --fast (in Python fast=True) would be about "), line
    assert ended.err.count("\n") == 1, ended.err


# ---------------------------------------------------------------- models and labels


def test_a_model_is_used_as_fast_as_it_was_trained(
    featx_run, photos, new_photos, tmp_path, bfloat16, engines
):
    model = tmp_path / "m.featx"
    words = ["--fast", "--classifier", "knn", "--test", new_photos, "--out", model, "--json"]
    document = featx_run("train", photos, *words).json
    assert document["test_accuracy"] == 1.0
    recipe = featx.load(model).recipe
    assert (recipe.decode, recipe.precision) == ("scaled/1", "bfloat16")
    assert document["fingerprint"] == recipe.fingerprint
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
    featx_run, photos, new_photos, tmp_path, bfloat16, engines
):
    model = tmp_path / "m.featx"
    featx_run("train", photos, "--fast", "--classifier", "knn", "--out", model)
    fast = featx_run("predict", model, new_photos, "--json").json
    bfloat16.gives("float32")
    slow = featx_run("predict", model, new_photos, "--json").json
    assert [row["label"] for row in slow] == [row["label"] for row in fast]
    assert [precision for _, precision, _ in engines] == ["bfloat16", "bfloat16", "float32"]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_model_runs_on_the_engine_that_is_named(featx_run, model, new_photos, engines, command):
    featx_run(command, model, new_photos, "--engine", "keras", "--batch-size", 3)
    assert engines == [("keras", "float32", 3)]


def test_train_says_the_same_keys_in_json_however_fast(featx_run, photos, tmp_path, bfloat16):
    words = ["--classifier", "knn", "--out", tmp_path / "m.featx", "--json"]
    plain = featx_run("train", photos, *words).json
    fast = featx_run("train", photos, "--fast", "--engine", "keras", *words).json
    assert list(fast) == list(plain)
    assert fast["fingerprint"] != plain["fingerprint"]


@pytest.mark.filterwarnings("ignore:the weights of")
def test_label_may_be_fast_and_says_the_same_keys(featx_run, photos, bfloat16, guessing):
    picture = photos / "red" / "000.png"
    plain = featx_run("label", picture, "--weights", "random", "--json").json
    assert {asked for asked, _ in bfloat16} == {"float32"}
    bfloat16.clear()
    words = ["--fast", "--engine", "keras", "--weights", "random", "--json"]
    fast = featx_run("label", picture, *words).json
    assert set(bfloat16) == {("bfloat16", "keras")}
    assert [each["outcome"] for each in plain + fast] == ["embedded", "embedded"]
    assert fast == plain
    assert fast[0]["labels"][0]["name"] == "golden_retriever"


def test_features_of_a_fast_run_are_the_fast_ones(featx_run, tmp_path, bfloat16, fake_engine):
    """A photograph large enough to be scaled: other pixels, and close ones."""
    big = fakes.photo(1800, 1350)
    big.save(tmp_path / "big.jpg")
    vectors = {}
    for name, words in (("slow", ()), ("fast", ("--fast",))):
        featx_run("embed", tmp_path / "big.jpg", *words, "--out", tmp_path / f"{name}.npz")
        vectors[name] = featx.Features.load(tmp_path / f"{name}.npz").X
    difference = np.abs(vectors["fast"] - vectors["slow"]).max()
    assert 0 < difference < 5, difference
