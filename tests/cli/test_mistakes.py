"""A mistake of the user is one line on stderr and status 2, never a traceback."""

import errno
import os

import fakes
import numpy as np
import pytest

import featx
from featx.errors import UnknownLayerError


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Put everything in place that the commands below name; none of them changes it."""
    root = tmp_path_factory.mktemp("places")
    photos = fakes.draw_folder(root / "photos")
    for name in ("empty", "no_pictures", "broken", "folder.npz"):
        (root / name).mkdir()
    (root / "no_pictures" / "notes.txt").write_text("notes")
    (root / "broken" / "bad.jpg").write_text("no picture")
    (root / "text.featx").write_text("no model")
    fakes.draw(root / "one" / "red" / "1.png", (200, 0, 0))
    fakes.draw(root / "one" / "red" / "2.png", (210, 0, 0))
    fakes.draw(root / "one" / "blue" / "1.png", (0, 0, 200))
    fakes.draw(root / "tigers" / "tiger" / "1.png", (200, 100, 0))
    with fakes.install():
        featx.train(photos, "knn", cache=False).save(root / "fruit.featx")
    return root


MISTAKES = {
    "unknown command": ("embedd", "No such command 'embedd'"),
    "unknown option of all": ("--fast", "No such option"),
    "unknown option": ("embed photos --slow", "No such option"),
    "no path": ("embed --out x.npz", "Missing argument 'PATH...' (see `featx embed --help`)"),
    "no out": ("embed photos", "Missing option '--out' (see `featx embed --help`)"),
    "a precision in percent": (
        "train photos --out x.featx --reject 95",
        "reject is 95.0: expected the precision that answers shall have, a number between 0 and 1",
    ),
    "a missing folder": ("embed nowhere --out x.npz", "'nowhere' does not exist"),
    "an empty folder": ("embed empty --out x.npz", "no images in 'empty', which holds no file"),
    "no pictures": ("embed no_pictures --out x.npz", "no images in 'no_pictures', which has 1 oth"),
    "none readable": ("embed broken --out x.npz", "the image cannot be read (broken/bad.jpg:"),
    "unknown backbone": (
        "embed photos --backbone resnet5 --out x.npz",
        "unknown backbone 'resnet5': did you mean 'resnet50'?",
    ),
    "unknown pooling": (
        "embed photos --pooling mean --out x.npz",
        "Invalid value for '--pooling': 'mean' is not one of 'avg', 'max', 'token', 'flatten'",
    ),
    "unknown resize": ("embed photos --resize zoom --out x.npz", "Invalid value for '--resize'"),
    "unknown filter": (
        "embed photos --interpolation cubic --out x.npz",
        "Invalid value for '--interpolation'",
    ),
    "unknown decoding": (
        "embed photos --decode draft --out x.npz",
        "Invalid value for '--decode': 'draft' is not one of 'full', 'scaled'",
    ),
    "unknown decoding beside fast": (
        "train photos --fast --decode scaled/1 --out m.featx",
        "Invalid value for '--decode': 'scaled/1' is not one of 'full', 'scaled'",
    ),
    "unknown precision": (
        "embed photos --precision float16 --out x.npz",
        "Invalid value for '--precision': 'float16' is not one of 'float32', 'bfloat16'",
    ),
    "unknown engine": (
        "embed photos --engine torch --out x.npz",
        "Invalid value for '--engine': 'torch' is not one of 'auto', 'openvino', 'keras'",
    ),
    "unknown engine of a model": (
        "predict fruit.featx photos --engine onnx",
        "Invalid value for '--engine': 'onnx' is not one of 'auto', 'openvino', 'keras'",
    ),
    "fast with a value": (
        "embed photos --fast=yes --out x.npz",
        "Option '--fast' does not take a value",
    ),
    "a model is as fast as it was trained": (
        "predict fruit.featx photos --fast",
        "No such option",
    ),
    "similar among nothing": ("similar photos", "Missing option '--among'"),
    "similar among pictures": (
        "similar one --among photos",
        "'photos' holds no features: expected features, or a file of them, as `featx embed",
    ),
    "similar among what is not there": ("similar one --among x.npz", "'x.npz' does not exist"),
    "no similar pictures": ("similar one --among x.npz -n 0", "Invalid value for '-n': 0 is not"),
    "a service of no model": ("serve text.featx", "text.featx is no featx model"),
    "a service for others without a token": (
        "serve fruit.featx --host 0.0.0.0",
        "host '0.0.0.0' can be reached by other machines: expected a token",
    ),
    "a service with a short token": (
        "serve fruit.featx --token short",
        "the token has 5 characters: expected 8 at least",
    ),
    "a service for every site": (
        "serve fruit.featx --allow-origin *",
        "the origin '*' to allow: expected a site",
    ),
    "a service by no name": (
        "serve fruit.featx --allow-host https://fruit.example.com",
        "the host 'https://fruit.example.com' to allow: expected a name alone",
    ),
    "a port beyond the last": (
        "serve fruit.featx --port 70000",
        "Invalid value for '--port': 70000 is not in the range",
    ),
    "two backbones": (
        "embed photos --backbone vgg16,resnet50 --out x.npz",
        "Invalid value for '--backbone': 'vgg16,resnet50' names several networks: expected one",
    ),
    "unknown on-error": (
        "embed photos --on-error ignore --out x.npz",
        "Invalid value for '--on-error': 'ignore' is not one of 'skip', 'raise'",
    ),
    "a negative size": (
        "embed photos --input-size -5 --out x.npz",
        "input size -5 does not fit efficientnet_lite0: expected 32 to 4096 pixels",
    ),
    "a huge size": ("embed photos --input-size 100000 --out x.npz", "input size 100000 does not"),
    "no number": (
        "embed photos --input-size big --out x.npz",
        "Invalid value for '--input-size': 'big' is not a valid integer",
    ),
    "an empty batch": (
        "embed photos --batch-size 0 --out x.npz",
        "batch size 0: expected a whole number from 1 up",
    ),
    "missing weights": ("embed photos --weights no.h5 --out x.npz", "no weights at "),
    "weights that are no weights": (
        "embed photos --weights text.featx --out x.npz",
        "/text.featx is no weights file of efficientnet_lite0",
    ),
    "an unknown format": (
        "embed photos --out x.txt",
        "cannot write x.txt: expected a name that ends in .npz, .npy, .parquet, .csv",
    ),
    "no such place": ("embed photos --out no/x.npz", "cannot write no/x.npz: there is no such fol"),
    "a folder in the way": ("embed photos --out folder.npz", "cannot write folder.npz: it is a fo"),
    "a file as a cache": (
        "embed photos --cache text.featx --out x.npz",
        "Invalid value for '--cache': 'text.featx' is a file, not a folder",
    ),
    "training without classes": (
        "train photos/red --out m.featx",
        "the images have no classes: expected a sub-folder for each class",
    ),
    "training on one class": (
        "train tigers --out m.featx",
        "all images are of one class, 'tiger': expected at least two classes",
    ),
    "training on one picture": (
        "train one --out m.featx",
        "class blue has only one readable image: expected at least two of each class",
    ),
    "unknown classifier": (
        "train photos --classifier svn --out m.featx",
        "Invalid value for '--classifier': 'svn' is not one of 'logistic', 'mlp', 'pca-mlp'",
    ),
    "a missing test folder": (
        "train photos --test nowhere --out m.featx",
        "'nowhere' does not exist",
    ),
    "a test folder of others": (
        "train photos --test tigers --out m.featx",
        "the model knows none of the classes tiger: expected blue, green, red",
    ),
    "a test folder without classes": (
        "train photos --test photos/red --out m.featx",
        "no class for ",
    ),
    "no place for the model": ("train photos --out no/m.featx", "cannot write no/m.featx: there"),
    "no model": ("predict missing.featx photos", "no model file missing.featx: expected one that"),
    "a file that is no model": (
        "predict text.featx photos",
        "text.featx is no featx model, or a damaged one (no archive); train it again",
    ),
    "a model at an address": (
        "predict s3://bucket/m.featx photos",
        "s3://bucket/m.featx is an address: expected a model file of this machine",
    ),
    "a folder as a model": ("predict photos photos", "no model file photos"),
    "nothing to predict": ("predict fruit.featx", "Missing argument 'PATH...'"),
    "a missing picture": (
        "predict fruit.featx gone.jpg",
        "the image cannot be read (gone.jpg: no such file or directory in ",
    ),
    "no table": (
        "predict fruit.featx photos --out x.txt",
        "cannot write x.txt: expected a name that ends in .csv",
    ),
    "no picture": (
        "predict fruit.featx photos --gallery x.bmp",
        "cannot write x.bmp: expected a name that ends in .png, .jpg, .pdf, .svg",
    ),
    "no place for the gallery": (
        "predict fruit.featx photos --gallery no/x.png",
        "cannot write no/x.png: there is no such folder; create it first",
    ),
    "moved weights that are not there": (
        "predict fruit.featx photos --weights no.pth",
        "no weights at ",
    ),
    "judging by others": (
        "evaluate fruit.featx tigers",
        "the model knows none of the classes tiger: expected blue, green, red",
    ),
    "judging without classes": ("evaluate fruit.featx photos/red", "no class for "),
    "too many labels": (
        "label photos --top 1001",
        "Invalid value for '--top': 1001 is not in the range 1<=x<=1000",
    ),
    "no labels": ("label photos --top 0", "Invalid value for '--top': 0 is not in the range"),
    "labels of joined networks": (
        "label photos --backbone resnet50+xception",
        "backbone 'resnet50+xception': expected one network of the table",
    ),
    "labels of pixels": ("label photos --backbone pixels", "backbone 'pixels': expected one net"),
    "labels of an unknown network": ("label photos --backbone vgg", "unknown backbone 'vgg'"),
    "a cache that is a file": (
        "cache info --cache text.featx",
        "Invalid value for '--cache': 'text.featx' is a file, not a folder",
    ),
    "unknown cache command": ("cache empty", "No such command 'empty' (see `featx cache --help`)"),
}


@pytest.mark.parametrize(("line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    featx_ends, places, monkeypatch, fake_engine, line, message
):
    monkeypatch.chdir(places)
    before, embedded = sorted(places.rglob("*")), fake_engine.embedded
    for more in ([], ["--json"]):
        ended = featx_ends(*line.split(), *more)
        assert ended.status == 2
        assert ended.out == ""
        assert ended.err.count("\n") == 1, ended.err
        assert ended.err.startswith("featx: ")
        assert message in ended.err
        if not message.startswith("/"):  # the end of a path
            assert ended.err.startswith(f"featx: {message}")
    assert sorted(places.rglob("*")) == before
    assert fake_engine.embedded == embedded, "it was found only after the embedding"


def test_a_network_without_the_layer_is_told(featx_ends, photos, tmp_path):
    def refuse(request):
        raise UnknownLayerError("vgg16 has no layer 'x': expected one of its 19 layers")

    with fakes.install(refuse):
        ended = featx_ends("embed", photos, "--layer", "x", "--out", tmp_path / "x.npz")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "featx: vgg16 has no layer 'x': expected one of its 19 layers\n"


def test_a_model_on_other_weights_is_refused_with_both_digests(
    featx_ends, featx_run, photos, tmp_path
):
    weights = tmp_path / "resnet50.h5"
    weights.write_bytes(b"first")
    model = tmp_path / "m.featx"
    words = ["--classifier", "knn", "--backbone", "resnet50", "--weights", weights]
    featx_run("train", photos, *words, "--out", model)
    first = featx.load(model).recipe.parts[0].weights[:12]
    weights.write_bytes(b"second")
    for command in ("predict", "evaluate"):
        ended = featx_ends(command, model, photos)
        assert (ended.status, ended.out) == (2, "")
        second = featx.Backbone.load("resnet50", weights).digest[:12]
        assert first in ended.err
        assert second in ended.err
    weights.rename(tmp_path / "moved.h5")
    (tmp_path / "moved.h5").write_bytes(b"first")
    ended = featx_run("evaluate", model, photos, "--weights", tmp_path / "moved.h5", "--json")
    assert ended.json["accuracy"] == 1.0


@pytest.mark.parametrize(
    "line",
    [
        "embed photos --out x.npz",
        "embed photos --out x.csv",
        "train photos --classifier knn --out x.featx",
        "predict fruit.featx photos --out x.csv",
        "predict fruit.featx photos --gallery x.png",
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(
    featx_ends, places, monkeypatch, fake_engine, line
):
    monkeypatch.chdir(places)
    featx.embed("photos")  # so that there is room for the cache
    before = sorted(places.rglob("*"))

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ended = featx_ends(*line.split())
    name = line.split()[-1]
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        f"featx: cannot write {name}: the disk is full; make room or choose another folder\n"
    )
    assert sorted(places.rglob("*")) == before


def test_a_class_of_which_one_picture_can_be_read_is_told(featx_ends, photos, tmp_path):
    for path in sorted((photos / "red").iterdir())[1:]:
        path.write_bytes(b"")
    ended = featx_ends("train", photos, "--out", tmp_path / "m.featx")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("featx: class red has only one readable image")


def test_bad_pictures_among_good_ones_are_listed_and_the_rest_is_done(featx_run, photos, tmp_path):
    red = photos / "red"
    (red / "a text.jpg").write_text("no picture")
    (red / "empty.jpg").touch()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    fakes.Image.fromarray(noise).save(red / "cut.jpg")
    whole = (red / "cut.jpg").read_bytes()
    (red / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "notes.txt").write_text("no image by name")
    document = featx_run("embed", photos, "--out", tmp_path / "x.npz", "--json").json
    assert (document["n_images"], document["n_embedded"], document["n_other"]) == (18, 18, 1)
    assert [os.path.basename(each["path"]) for each in document["failed"]] == [
        *("a text.jpg", "cut.jpg", "empty.jpg")
    ]
    reasons = [each["reason"] for each in document["failed"]]
    assert "not an image" in reasons[0]
    assert "truncated" in reasons[1]
    assert "empty" in reasons[2]
    features = featx.Features.load(tmp_path / "x.npz")
    assert features.paths.tolist() == sorted(map(str, photos.glob("*/0*.png")))
    assert np.array_equal(features.X, featx.embed(features.paths.tolist(), cache=False).X)


@pytest.mark.parametrize("command", ["train", "compare", "tune"])
def test_a_class_without_a_readable_picture_is_told_not_dropped(
    featx_ends, photos, tmp_path, command
):
    (photos / "violet").mkdir()
    for number in range(3):
        (photos / "violet" / f"{number}.png").write_text("no picture")
    out = tmp_path / "m.featx"
    options = {
        "train": ["--out", out],
        "compare": ["--backbones", "efficientnet_lite0"],
        "tune": ["--out", out, "--backbones", "efficientnet_lite0"],
    }
    ended = featx_ends(command, photos, *options[command])
    assert ended.status == 2
    assert f"class violet has no readable image ({photos}/violet/0.png: " in ended.err
    assert ended.err.count("\n") == 1
    assert not out.exists()
