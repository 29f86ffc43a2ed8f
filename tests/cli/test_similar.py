"""`featx similar`."""

import fakes
import pytest
from PIL import Image


@pytest.fixture
def features(featx_run, photos, tmp_path):
    """The path of features of photographs that colour tells apart."""
    path = tmp_path / "photos.npz"
    featx_run("embed", photos, "--out", path)
    return path


def test_the_most_similar_pictures_are_a_table(featx_run, features, tmp_path):
    new = fakes.draw(tmp_path / "new.png", (210, 10, 10))
    lines = featx_run("similar", new, "--among", features, "-n", 3).out.splitlines()
    assert lines[0].split() == ["path", "label", "similarity"]
    assert [line.split()[1] for line in lines[1:4]] == ["red"] * 3
    assert lines[4:] == ["the 3 most similar of 18 pictures (exact)"]


def test_several_queries_are_named_in_the_table(featx_run, features, new_photos):
    out = featx_run("similar", new_photos, "--among", features, "-n", 2).out
    header, *lines, summary, failed = out.splitlines()
    assert header.split() == ["query", "path", "label", "similarity"]
    assert len(lines) == 12
    assert summary == "the 2 most similar of 18 pictures for each picture of the query (exact)"
    assert failed.startswith(f"failed: {new_photos / 'green' / 'bad.jpg'}: ")


def test_json_has_the_similar_pictures_of_each_query(featx_run, features, photos):
    path = photos / "red" / "000.png"
    document = featx_run("similar", path, "--among", features, "-n", 2, "--json").json
    assert document["n_searched"] == 18
    assert document["failed"] == []
    [query] = document["queries"]
    assert query["path"] == str(path)
    assert [each["label"] for each in query["similar"]] == ["red", "red"]
    assert str(path) not in {each["path"] for each in query["similar"]}
    assert document["gallery"] is None


def test_the_gallery_shows_them(featx_run, features, new_photos, tmp_path):
    out = tmp_path / "similar.png"
    ended = featx_run("similar", new_photos, "--among", features, "-n", 2, "--gallery", out)
    assert ended.out.splitlines()[-1] == f"wrote {out}"
    with Image.open(out) as drawn:
        assert drawn.width > 300


def test_features_are_a_query_too(featx_run, features):
    document = featx_run("similar", features, "--among", features, "-n", 1, "--json").json
    assert len(document["queries"]) == 18
    assert all(each["path"] != each["similar"][0]["path"] for each in document["queries"])
