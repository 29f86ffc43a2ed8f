"""`featx backbones`."""

import pytest

from featx.backbones.table import BACKBONES


def test_backbones_are_listed_with_their_sizes_and_where_their_weights_are(
    featx_run, tmp_path, monkeypatch
):
    rows = {row["name"]: row for row in featx_run("backbones", "--json").json}
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
    rows = {row["name"]: row for row in featx_run("backbones", "--json").json}
    assert rows["resnet50"]["at_hand"] == "FEATX_WEIGHTS"
    assert rows["vgg16"]["at_hand"] is None


def test_backbones_are_a_table_for_a_person(featx_run):
    lines = featx_run("backbones").out.splitlines()
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


def test_layers_of_a_network_that_is_not_there_are_one_line_of_error(featx_refuses):
    featx_refuses("did you mean 'resnet50'", "backbones", "resnet5")
