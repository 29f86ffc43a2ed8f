"""Networks that are not of the table go wherever a name of the table goes."""

from __future__ import annotations

import json

import onnx_networks
import pytest

import featx

KINDS = "resnet50,made:small_net"
RANDOM = ("--weights", "random")
pytestmark = [pytest.mark.usefixtures("made"), pytest.mark.filterwarnings("ignore:the weights of")]


@pytest.fixture
def network(tmp_path):
    """A network in a file whose path holds what divides names."""
    path = tmp_path / "a+b, c" / "clip.made"
    path.parent.mkdir()
    path.write_text("weights")
    return path


def test_a_network_of_another_kind_embeds_pictures(featx_run, photos, tmp_path):
    out = tmp_path / "photos.npz"
    shown = featx_run("embed", photos, "--backbone", "made:small_net", "--out", out).out
    assert "features 18 x 9 (made:small_net, avg pooling, 16 px" in shown
    assert featx.Features.load(out).recipe.backbone == "made:small_net"


def test_a_path_may_hold_what_divides_names(featx_run, photos, network, tmp_path):
    out = tmp_path / "photos.npz"
    joined = f"made:small_net+{network}"
    shown = featx_run("embed", photos, "--backbone", joined, "--out", out).out
    assert "features 18 x 18 (made:small_net, avg" in shown
    assert "clip.made, avg pooling" in shown
    rows = featx_run("compare", photos, "--backbones", f"{network},made:small_net", "--json").json
    assert {row["backbone"] for row in rows["candidates"]} == {"clip.made", "made:small_net"}


def test_a_file_that_is_not_there_is_one_line(featx_refuses, photos, tmp_path):
    words = f"no network at {tmp_path}/b.made: expected a file that ends in .made"
    featx_refuses(words, "embed", photos, "--backbone", tmp_path / "b.made", "--out", "x.npz")


def test_a_model_on_such_a_network_predicts(featx_run, photos, new_photos, tmp_path):
    model = tmp_path / "photos.featx"
    featx_run("train", photos, "--backbone", "made:small_net", "--out", model)
    rows = featx_run("predict", model, new_photos, "--json").json
    rows = [row for row in rows if row["outcome"] != "failed"]
    assert [row["label"] for row in rows] == [row["path"].split("/")[-2] for row in rows]


def test_kinds_are_compared_in_one_command(featx_run, photos, tmp_path):
    files = {name: tmp_path / f"c.{name}" for name in ("csv", "html", "png", "svg")}
    document = featx_run(
        *("compare", photos, "--backbones", f"{KINDS},made:small_net+resnet50", *RANDOM, "--json"),
        *("--out", files["csv"], "--report", files["html"]),
        *("--plot", files["png"], "--curves", files["svg"]),
    ).json
    found = {row["candidate"] for row in document["candidates"]}
    assert found == {"resnet50", "made:small_net", "made:small_net+resnet50"}
    assert all(file.stat().st_size > 500 for file in files.values())
    assert "made:small_net" in files["html"].read_text()


@pytest.fixture
def twins(tmp_path):
    """Name two networks of one file name, with a comma between."""
    for each in ("a", "b"):
        (tmp_path / each).mkdir()
        (tmp_path / each / "net.made").write_text(each)
    return f"{tmp_path}/a/net.made,{tmp_path}/b/net.made"


def test_two_files_of_one_name_are_told_apart(featx_run, photos, twins):
    rows = featx_run("compare", photos, "--backbones", twins, "--json").json["candidates"]
    assert len({row["candidate"] for row in rows}) == 2


def test_the_search_refuses_two_files_of_one_name(featx_refuses, photos, twins):
    words = "are different networks of one name, net.made: rename one of the files"
    featx_refuses(words, "tune", photos, "--backbones", twins, "--out", "t.featx")


def test_the_search_takes_kinds_and_joins_them(featx_run, photos, network, tmp_path):
    out = tmp_path / "t.featx"
    document = featx_run(
        *("tune", photos, "--backbones", f"{KINDS},{network}", *RANDOM, "--budget", "30"),
        *("--out", out, "--json"),
    ).json
    names = {row["backbone"] for row in document["candidates"]}
    assert {"resnet50", "made:small_net", "clip.made"} < names
    assert any(name.count("+") == 2 for name in names), names
    assert out.is_file()


def test_pictures_are_checked_with_such_a_network(featx_run, photos):
    found = featx_run("check", photos, "--backbone", "made:small_net", "--json").json
    assert found["n_images"] == 18


@pytest.mark.parametrize("name", ["made:small_net", "pixels", "made:small_net+resnet50"])
def test_labels_of_imagenet_need_a_network_of_the_table(featx_refuses, photos, name):
    words = f"backbone '{name}': expected one network of the table of `featx backbones`"
    featx_refuses(words, "label", photos, "--backbone", name)


def test_an_unknown_kind_is_answered_with_a_near_one(featx_refuses, photos):
    words = "unknown backbone 'mad:small_net': did you mean 'made:small_net'? expected"
    featx_refuses(words, "compare", photos, "--backbones", "resnet50,mad:small_net", *RANDOM)


@pytest.mark.parametrize("command", ["compare", "tune"])
def test_a_wrong_name_is_told_before_any_weights_are_fetched(featx_refuses, photos, command):
    out = ("--out", photos.parent / "t.featx") if command == "tune" else ()
    words = "unknown backbone 'resnet5': did you mean 'resnet50'?"
    names = "vgg16,made:small_net+resnet5"
    featx_refuses(words, command, photos, "--backbones", names, *out)


def test_the_cache_lists_and_clears_such_networks_by_name(featx_run, photos):
    featx_run("embed", photos, "--backbone", "made:small_net", "--out", photos.parent / "x.npz")
    assert "made:small_net, avg pooling" in featx_run("cache", "info").out
    featx_run("cache", "clear", "made:small_net")
    assert "made:small_net" not in featx_run("cache", "info").out


@pytest.fixture
def onnx_files(tmp_path):
    """A convolutional network and a transformer in files, for pictures of 32 px."""
    pytest.importorskip("onnx")
    made = {"conv": onnx_networks.convolutional(32), "vit": onnx_networks.transformer(32)}
    return [onnx_networks.write(tmp_path / f"{name}.onnx", net) for name, net in made.items()]


def test_networks_in_files_and_a_network_of_a_kind_are_compared_and_predict(
    featx_run, photos, new_photos, onnx_files, tmp_path
):
    conv, vit = onnx_files
    names = f"{conv},{vit},made:small_net,{vit}+made:small_net"
    how = ("--preprocess", "clip", "--input-size", 32)
    rows = featx_run("compare", photos, "--backbones", names, *how, "--json").json["candidates"]
    found = {row["backbone"] for row in rows}
    assert found == {"conv.onnx", "vit.onnx", "made:small_net", "vit.onnx+made:small_net"}
    model = tmp_path / "photos.featx"
    featx_run("train", photos, "--backbone", vit, *how, "--out", model)
    before = featx_run("predict", model, new_photos, "--json").json
    aside = vit.rename(tmp_path / "aside.onnx")
    moved = featx_run("predict", model, new_photos, "--weights", aside, "--json").json
    assert [row["probability"] for row in moved] == [row["probability"] for row in before]


def test_what_pixels_go_through_first_is_said_at_the_shell(
    featx_run, featx_refuses, photos, onnx_files, tmp_path
):
    out = tmp_path / "photos.npz"
    embed = ("embed", photos, "--backbone", onnx_files[0], "--out", out)
    featx_refuses("does not say what its pixels go through first", *embed)
    featx_refuses("preprocess 'torhc': expected one of caffe", *embed, "--preprocess", "torhc")
    words = "preprocess 'torch' is for networks in files"
    featx_refuses(words, "embed", photos, "--preprocess", "torch", "--out", out)
    featx_run(*embed, "--preprocess", "0.5/0.25")
    backbone = featx.Backbone.from_onnx(onnx_files[0], (0.5, 0.25))
    assert featx.Features.load(out).recipe == featx.embed(photos, backbone, progress=False).recipe


def test_a_page_of_training_names_the_network(featx_run, photos, tmp_path):
    page, model = tmp_path / "t.html", tmp_path / "t.featx"
    featx_run(*("train", photos, "--backbone", "made:small_net", "--out", model, "--report", page))
    assert "made:small_net" in page.read_text()
    assert json.loads(featx_run("evaluate", model, photos, "--json").out)["accuracy"] > 0.5
