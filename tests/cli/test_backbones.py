"""`featx backbones`."""

from dataclasses import replace

import fakes
import onnx_networks
import pytest

import featx
from featx.backbones.kinds import KINDS, Kind, registered
from featx.backbones.network import Cut
from featx.backbones.openvino_network import cut_openvino_network
from featx.backbones.table import BACKBONES

NAMES = fakes.made_names()


@pytest.fixture
def missing():
    """A kind of network that needs what is not installed."""
    kind = Kind(
        "missing",
        lambda name: name.startswith("missing:"),
        "no.such.module:load",
        usage="missing:NAME",
        text="networks of a package that is not there",
        modules=("no_such_module",),
        install="featx[missing]",
        lister="no.such.module:names",
    )
    with registered(kind):
        yield kind


def test_backbones_are_listed_with_their_sizes_and_where_their_weights_are(
    featx_run, tmp_path, monkeypatch
):
    rows = {row["name"]: row for row in featx_run("backbones", "--json").json["networks"]}
    assert list(rows) == list(BACKBONES)
    assert rows["efficientnet_lite0"] == {
        "name": "efficientnet_lite0",
        "input_size": 224,
        "n_features": 1280,
        "parameters": 3413024,
        "weights": "package",
        "at_hand": "package",
    }
    assert rows["resnet50"]["at_hand"] is None
    (tmp_path / BACKBONES["resnet50"].with_top.name).touch()
    monkeypatch.setenv("FEATX_WEIGHTS", str(tmp_path))
    rows = {row["name"]: row for row in featx_run("backbones", "--json").json["networks"]}
    assert rows["resnet50"]["at_hand"] == "FEATX_WEIGHTS"
    assert rows["vgg16"]["at_hand"] is None


def test_backbones_are_a_table_for_a_person(featx_run):
    networks, kinds = featx_run("backbones").out.split("\n\n")
    lines = networks.splitlines()
    assert lines[0].split() == [
        "name",
        "px",
        "features",
        "parameters",
        "weights",
        "from",
        "at",
        "hand",
    ]
    assert len(lines) == 1 + len(BACKBONES)
    assert "resnet50" in lines[1 + list(BACKBONES).index("resnet50")]
    assert {len(line.split()) for line in lines[1:]} == {7}
    ends = {line.index(" M ") for line in lines[1:]}
    assert len(ends) == 1, "the numbers are not aligned"
    named = [line.split("  ")[0] for line in kinds.splitlines()]
    assert named == ["other networks", *(kind.usage for kind in KINDS if kind.usage)]


def test_every_kind_is_listed_with_whether_it_is_installed_and_what_to_install(
    featx_run, made, missing
):
    rows = {row["name"]: row for row in featx_run("backbones", "--json").json["kinds"]}
    assert rows["made:NAME"] == {
        "name": "made:NAME",
        "what": "networks of a test",
        "installed": True,
        "install": None,
    }
    assert not rows["missing:NAME"]["installed"]
    lines = featx_run("backbones").out.splitlines()
    here, there = (next(line for line in lines if line.startswith(each)) for each in ("ma", "mi"))
    assert here.split("  ")[-1].strip() == "yes"
    assert there.split("  ")[-1].strip() == 'no: pip install "featx[missing]"'


def test_the_networks_of_a_kind_are_listed_by_the_beginning_of_their_names(featx_run, made):
    assert featx_run("backbones", "made:").out.splitlines() == NAMES
    assert featx_run("backbones", "MADE:", "--json").json == NAMES


def test_a_kind_that_is_not_installed_says_what_to_install(featx_refuses, missing):
    featx_refuses(
        'lists its networks once it is installed: pip install "featx[missing]"',
        "backbones",
        "missing:",
    )


def test_a_search_goes_through_all_kinds_that_are_installed(featx_run, made, missing):
    found = featx_run("backbones", "--search", "RESNET50", "--json").json
    assert found == ["resnet50", "resnet50_v2"]
    assert featx_run("backbones", "--search", "small_net").out.splitlines() == ["made:small_net"]


def test_a_search_that_finds_nothing_says_where_it_could_not_look(featx_refuses, made, missing):
    words = (
        "no name of a network holds 'dinov2'; to look in missing, pip install \"featx[missing]\""
    )
    featx_refuses(words, "backbones", "--search", "dinov2")
    with registered(replace(missing, name="lost")):
        words = 'to look in lost and missing, pip install "featx[missing]"'
        featx_refuses(words, "backbones", "--search", "dinov2")


def test_a_search_takes_no_name_beside_it(featx_refuses):
    featx_refuses("leave 'resnet50' out", "backbones", "resnet50", "--search", "net")


@pytest.mark.keras
def test_the_layers_of_a_network_are_listed_with_their_sizes(featx_run):
    document = featx_run("backbones", "resnet50", "--json").json
    assert (document["name"], document["input_size"]) == ("resnet50", 224)
    sizes = {row["layer"]: row["shape"] for row in document["layers"]}
    assert sizes["conv4_block6_out"] == [14, 14, 1024]
    assert sizes["conv5_block3_out"] == [7, 7, 2048]
    assert len(sizes) == 174, "all but the pixels"
    lines = featx_run("backbones", "resnet50").out.splitlines()
    assert lines[0].split() == ["layer", "size"]
    assert "  ".join(lines[1:]).split("conv4_block6_out", 1)[1].strip().startswith("14 x 14 x 1024")


def test_the_layers_of_a_network_in_a_file_are_listed_as_the_network_has_them(featx_run, tmp_path):
    pytest.importorskip("onnx")
    path = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional())
    document = featx_run("backbones", path, "--json").json
    assert (document["name"], document["input_size"]) == ("net.onnx", 224)
    sizes = {row["layer"]: row["shape"] for row in document["layers"]}
    assert {len(shape) for shape in sizes.values()} == {1, 3}
    for layer, shape in sizes.items():
        backbone = featx.Backbone.from_onnx(path, "none", layer=layer)
        cut = cut_openvino_network(backbone, Cut(layer, "none"), ("none",), 224)
        read = [each.get_length() for each in list(cut.output(0).get_partial_shape())[1:]]
        assert sorted(read) == sorted(shape), layer


def test_pixels_have_no_layers(featx_refuses):
    featx_refuses("pixels are no network", "backbones", "pixels")


def test_layers_of_a_network_that_is_not_there_are_one_line_of_error(featx_refuses):
    featx_refuses("did you mean 'resnet50'", "backbones", "resnet5")
