"""Tables of paths and labels, in every command that takes labels."""

import shutil

import pandas as pd
import pytest

import featx


@pytest.fixture
def pile(photos, tmp_path):
    """The photographs in one folder, and their rows."""
    (tmp_path / "pile").mkdir()
    rows = []
    for path in sorted(photos.rglob("*.png")):
        name = f"{path.parent.name}_{path.name}"
        shutil.copy(path, tmp_path / "pile" / name)
        rows.append((name, path.parent.name))
    return tmp_path / "pile", pd.DataFrame(rows, columns=["path", "label"])


def test_labels_of_a_table_are_one_option_in_every_command(featx_run, pile, tmp_path):
    folder, frame = pile
    frame.to_csv(tmp_path / "labels.csv", index=False, sep=";", encoding="utf-8-sig")
    labels = ("--labels", tmp_path / "labels.csv", "--json")
    model = tmp_path / "m.featx"
    trained = featx_run("train", folder, *labels, "--out", model, "--test", folder).json
    assert trained["classes"] == ["blue", "green", "red"]
    assert trained["test"]["n_images"] == 18
    assert featx_run("evaluate", model, folder, *labels).json["accuracy"] == 1
    featx_run("embed", folder, *labels, "--out", tmp_path / "x.npz")
    assert featx.Features.load(tmp_path / "x.npz").classes == ("blue", "green", "red")
    one = ("--backbones", "efficientnet_lite0")
    assert featx_run("compare", folder, *labels, *one).json["n_images"] == 18
    tuned = featx_run("tune", folder, *labels, *one, "--budget", 1, "--classifiers", "knn").json
    assert tuned["classes"] == ["blue", "green", "red"]


def test_a_table_alone_is_a_source_with_columns_of_any_name(featx_run, pile, tmp_path):
    folder, frame = pile
    frame.columns = ["File name", "Species"]
    frame.to_csv(folder / "table.tsv", sep="\t", index=False)
    names = ("--path-column", "file name", "--label-column", "species")
    ended = featx_run("train", folder / "table.tsv", *names, "--out", tmp_path / "m.featx")
    assert "3 classes (blue, green, red)" in ended.out
    frame[["File name"]].to_csv(tmp_path / "paths.csv", index=False)
    new = ("--path-column", "File name", "--root", folder, "--json")
    rows = featx_run("predict", tmp_path / "m.featx", tmp_path / "paths.csv", *new).json
    assert [row["label"] for row in rows] == frame["Species"].tolist()


def test_pictures_without_a_row_and_rows_without_a_picture_are_a_line(featx_run, pile, tmp_path):
    folder, frame = pile
    frame.loc[0, "path"] = "gone.png"
    frame.to_csv(tmp_path / "labels.csv", index=False)
    ended = featx_run(
        "train", folder, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "m.featx"
    )
    assert ended.out.splitlines()[2:4] == [
        f"1 of 18 pictures has no row in labels.csv and is left out: {folder}/blue_000.png",
        "1 of 18 rows of labels.csv has no picture: gone.png",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["labels.csv"], "labels.csv has the columns path, sort: expected `label`; name the one"),
        (["labels.csv", "--label-column", "kind"], "has the columns path, sort: expected `kind`"),
        (["photos", "--labels", "labels.csv"], "has the columns path, sort: expected `label`"),
        (["photos", "--labels", "gone.csv"], "labels 'gone.csv' does not exist: expected"),
        (["photos", "--labels", "photos"], "labels 'photos' is no table: expected"),
        (["photos", "--classes-from", "middle"], "'middle' is not one of 'first', 'last'"),
    ],
)
def test_a_table_that_does_not_fit_is_a_mistake(featx_refuses, photos, tmp_path, words, message):
    (tmp_path / "labels.csv").write_text("path,sort\nphotos/red/0.png,red\n")
    featx_refuses(message, "train", *words, "--out", "m.featx")
