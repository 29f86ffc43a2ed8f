"""`featx label`."""

import pytest


@pytest.mark.filterwarnings("ignore:the weights of")
def test_label_names_what_pictures_show(featx_run, guessing, new_photos):
    rows = featx_run(
        "label", new_photos / "green", "--top", 2, "--weights", "random", "--json"
    ).json
    assert [row["path"].split("/")[-1] for row in rows] == ["100.png", "101.png", "bad.jpg"]
    assert [row["outcome"] for row in rows] == ["embedded", "embedded", "failed"]
    assert rows[0]["labels"] == [
        {
            "index": 207,
            "wnid": "n02099601",
            "name": "golden_retriever",
            "probability": pytest.approx(0.7),
        },
        {
            "index": 208,
            "wnid": "n02099712",
            "name": "Labrador_retriever",
            "probability": pytest.approx(0.2),
        },
    ]
    assert rows[2]["labels"] == []
    assert rows[2]["reason"]


def test_label_gives_a_line_for_each_picture(featx_run, guessing, new_photos):
    lines = featx_run("label", new_photos / "green", "--top", "1").out.splitlines()
    assert lines[0].split() == ["path", "labels"]
    assert lines[1].endswith("100.png  golden_retriever 70.0 %")
    assert "failed: " in lines[3]
