"""Every command that takes pictures takes them from archives as it does from a folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from fakes import draw_folder
from packed import shards_of, table_of, zip_of

import featx
from featx.images.packed.container_file import ContainerFile

pytestmark = pytest.mark.filterwarnings("ignore::featx.ImageSourceWarning")


@pytest.fixture
def packed(photos, tmp_path, monkeypatch):
    """The folder `photos` and the archive `photos.zip`, with a file that is no picture."""
    monkeypatch.chdir(tmp_path)
    (photos / "green" / "bad.png").write_bytes(b"no picture")
    zip_of(photos, Path("photos.zip"))
    return "photos.zip"


def test_embed_gives_the_rows_of_the_folder(packed, fake_engine, featx_run):
    of_zip = featx_run("embed", packed, "--out", "zip.npz", "--cache", "zip", "--json").json
    of_folder = featx_run("embed", "photos", "--out", "folder.npz", "--json").json
    assert of_zip["shape"] == of_folder["shape"] == [18, 9]
    assert of_zip["failed"][0]["path"] == "zip://green/bad.png::photos.zip"
    assert of_zip["failed"][0]["reason"] == of_folder["failed"][0]["reason"]
    made, expected = featx.Features.load("zip.npz"), featx.Features.load("folder.npz")
    np.testing.assert_array_equal(made.X, expected.X)
    assert made.labels == expected.labels
    with np.load("zip.npz") as held:
        assert held["relative_paths"][0] == "photos.zip/blue/000.png"


def test_a_second_run_reads_no_picture_of_an_archive_again(packed, fake_engine, monkeypatch):
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10_000_000_000)
    first = featx.embed(packed)
    read = []
    whole = ContainerFile.read
    monkeypatch.setattr(
        ContainerFile,
        "read",
        lambda file, start, size: read.append(size) or whole(file, start, size),
    )
    again = featx.embed(packed)
    assert again.X.tobytes() == first.X.tobytes()
    assert len(read) == 1  # the picture that is damaged


def test_a_folder_and_an_archive_of_the_same_pictures_are_one_in_the_cache(packed, fake_engine):
    featx.embed("photos")
    n = fake_engine.embedded
    featx.embed(packed)
    assert fake_engine.embedded == n


def test_commands_that_learn_and_predict_take_archives(packed, fake_engine, featx_run):
    featx_run("train", packed, "--out", "m.featx")
    predicted = {}
    for source in ("photos", packed):
        rows = featx_run("predict", "m.featx", source, "--json").json
        predicted[source] = [row.get("label") for row in rows]
    assert predicted[packed] == predicted["photos"]
    measured = [
        featx_run("evaluate", "m.featx", each, "--json").json["accuracy"]
        for each in (packed, "photos")
    ]
    assert measured[0] == measured[1]
    text = featx_run("predict", "m.featx", packed, "--copy-to", "sorted").out
    assert "copies in sorted: 19 pictures" in text
    assert Path("sorted/red/000.png").read_bytes() == Path("photos/red/000.png").read_bytes()
    one = featx_run("predict", "m.featx", "photos.zip/red/000.png", "--json").json
    assert [row["path"] for row in one] == ["zip://red/000.png::photos.zip"]


def test_compare_check_and_explain_take_archives(packed, fake_engine, featx_run):
    network = ("--backbones", "efficientnet_lite0", "--classifiers", "knn")
    tables = [featx_run("compare", each, *network, "--json").json for each in (packed, "photos")]
    assert tables[0]["candidates"][0]["accuracy"] == tables[1]["candidates"][0]["accuracy"]
    found = featx_run("check", packed, "--list", "bad.txt", "--json").json
    assert any(each["path"] == "zip://green/bad.png::photos.zip" for each in found["findings"])
    kept = featx_run("embed", packed, "--exclude", "bad.txt", "--out", "x.npz", "--json").json
    assert (kept["n_images"], kept["n_failed"]) == (18, 0)


def test_features_of_an_archive_find_their_pictures_where_it_has_moved(packed, fake_engine):
    featx.embed(packed).save("a.npz")
    for folder in ("there",):
        Path(folder).mkdir()
        os.rename("a.npz", f"{folder}/a.npz")
        os.rename(packed, f"{folder}/photos.zip")
    loaded = featx.Features.load("there/a.npz")
    assert loaded.paths[0].startswith("zip://blue/000.png::")
    assert os.path.samefile(loaded.paths[0].partition("::")[2], "there/photos.zip")


def test_shards_are_trained_on_with_the_labels_in_them(photos, fake_engine, featx_run, tmp_path):
    shards_of(photos, tmp_path / "shards")
    document = featx_run("train", tmp_path / "shards", "--out", tmp_path / "m.featx", "--json").json
    assert sorted(document["classes"]) == ["blue", "green", "red"]
    held = draw_folder(tmp_path / "new", each=2, start=50)
    shards_of(held, tmp_path / "new_shards", n=2)
    measured = featx_run("evaluate", tmp_path / "m.featx", tmp_path / "new_shards", "--json").json
    assert measured["accuracy"] == 1


def test_a_bad_archive_is_a_mistake_of_one_line(tmp_path, photos, fake_engine, featx_ends):
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"PK\3\4 and no more")
    fruit = featx.train(tmp_path / "photos", progress=False)
    fruit.save(tmp_path / "m.featx")
    for command in (
        ("embed", bad, "--out", tmp_path / "x.npz"),
        ("predict", tmp_path / "m.featx", bad),
    ):
        ended = featx_ends(*command)
        assert ended.status == 2
        assert ended.err.count("\n") == 1
        assert "cut off: its list of members is missing" in ended.err
        assert str(bad) in ended.err


def test_a_table_of_pictures_is_trained_on_and_measured_by_its_parts(
    photos, fake_engine, featx_run, tmp_path
):
    table_of(photos, tmp_path / "data" / "train-0.parquet", names=["red", "green", "blue"])
    held = draw_folder(tmp_path / "new", each=2, start=50)
    table_of(held, tmp_path / "data" / "test-0.parquet", names=["red", "green", "blue"])
    document = featx_run("train", tmp_path / "data", "--out", tmp_path / "m.featx", "--json").json
    assert document["classes"] == ["blue", "green", "red"]
    assert document["test"]["accuracy"] == 1
    rows = featx_run(
        "predict", tmp_path / "m.featx", tmp_path / "data" / "test-0.parquet", "--json"
    )
    assert rows.json[0]["path"].startswith("parquet://image/0::")
    copies = tmp_path / "copies"
    featx_run("predict", tmp_path / "m.featx", tmp_path / "data", "--copy-to", copies)
    assert sorted(each.name for each in (copies / "red").iterdir())[0].endswith(".png")
