"""`featx backbones`."""

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
