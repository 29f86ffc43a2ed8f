"""`featx compare`, and `--report` of the commands that have one."""

import csv

import fakes
import pytest
from PIL import Image

BACKBONES = ["--backbones", "resnet50,vgg16", "--weights", "random"]


def test_compare_writes_a_table_a_person_reads_and_one_for_scripts(featx_run, photos, tmp_path):
    out = tmp_path / "table.csv"
    ended = featx_run(
        *("compare", photos, *BACKBONES, "--poolings", "avg,max"),
        *("--classifiers", "knn,centroid", "--out", out),
    )
    lines = ended.out.splitlines()
    assert lines[0].split()[:3] == ["rank", "candidate", "accuracy"]
    assert len([line for line in lines if "resnet50 max knn" in line]) >= 1
    assert any(line.startswith("no clear winner among") for line in lines)
    assert any("5-fold stratified cross-validation, repeated 2 times" in line for line in lines)
    assert lines[-1] == f"wrote {out}"
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 8
    assert {"backbone", "pooling", "classifier", "accuracy", "accuracy_low"} <= set(rows[0])
    assert {"accuracy_high", "images_per_second", "fit_seconds", "n_features"} <= set(rows[0])
    assert all(0 <= float(row["accuracy_low"]) <= float(row["accuracy"]) for row in rows)
    assert {row["pooling"] for row in rows} == {"avg", "max"}


def test_compare_in_json_is_one_document(featx_run, photos):
    document = featx_run("compare", photos, *BACKBONES, "--classifiers", "knn", "--json").json
    assert len(document["candidates"]) == 2
    assert document["verdict"].startswith("no clear winner")
    assert document["best_accuracy_low"] <= document["best_accuracy"]
    assert document["n_images"] == 18


def test_compare_embeds_each_network_once_and_nothing_twice(featx_run, photos, fake_engine):
    command = ("compare", photos, *BACKBONES, "--poolings", "avg,max", "--classifiers", "knn")
    featx_run(*command)
    assert fake_engine.embedded == 2 * 18
    featx_run(*command)
    assert fake_engine.embedded == 2 * 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backbones", "resnet5"], "unknown backbone 'resnet5'"),
        (["--backbones", ""], "backbones '': expected different names with a comma between"),
        (["--poolings", "avg,avg"], "poolings 'avg,avg': expected different names"),
        (["--poolings", "mean"], "unknown pooling 'mean'"),
        (["--classifiers", "svn"], "unknown classifier 'svn'"),
        (["--out", "table.txt"], "cannot write table.txt: expected a name that ends in .csv"),
        (["--report", "page.pdf"], "cannot write page.pdf: expected a name that ends in .html"),
    ],
)
def test_mistakes_are_one_line_and_embed_nothing(featx_refuses, photos, options, message):
    given = ["--weights", "random"] if "--backbones" in options else BACKBONES
    featx_refuses(message, "compare", photos, *given, *options)


@pytest.mark.parametrize("command", ["train", "evaluate", "compare"])
def test_a_report_is_one_page_that_names_the_command(
    featx_run, photos, new_photos, tmp_path, command
):
    page, model = tmp_path / "page.html", tmp_path / "m.featx"
    if command == "compare":
        arguments = [photos, *BACKBONES, "--classifiers", "knn"]
    else:
        arguments = [photos, "--classifier", "knn", "--out", model]
    if command == "evaluate":
        featx_run("train", *arguments)
        arguments = [model, new_photos]
    if command == "train":
        arguments += ["--test", new_photos]
    ended = featx_run(command, *arguments, "--report", page)
    assert ended.out.splitlines()[-1] == f"wrote {page}"
    text = page.read_text()
    assert text.startswith("<!doctype html>") or text.startswith("<!DOCTYPE html>")
    assert f"featx {command}" in text
    assert "data:image/jpeg;base64," in text


def test_train_names_test_pictures_that_were_trained_on(featx_run, tmp_path):
    folder, test = tmp_path / "photos", tmp_path / "test"
    fakes.draw_folder(folder, each=8)
    fakes.draw_folder(test, each=2, start=100)
    for name in ("red", "green", "blue"):
        source = folder / name / "003.png"
        Image.open(source).save(test / name / "copy.png", compress_level=1)
    ended = featx_run("train", folder, "--out", tmp_path / "m.featx", "--test", test, "--json")
    leaks = ended.json["test_leaks"]
    assert leaks == {
        str(test / name / "copy.png"): str(folder / name / "003.png")
        for name in ("red", "green", "blue")
    }
    fair = ended.json["test_accuracy_without_leaks"]
    assert fair < ended.json["test_accuracy"]
    lines = featx_run("train", folder, "--out", tmp_path / "m.featx", "--test", test).out
    told = (
        f"3 of 9 test images are copies of training images; accuracy without them: {100 * fair:.1f}"
    )
    assert told in lines


def test_where_every_test_picture_was_trained_on_the_accuracy_says_nothing(featx_run, tmp_path):
    folder = fakes.draw_folder(tmp_path / "photos", each=8)
    ended = featx_run("train", folder, "--out", tmp_path / "m.featx", "--test", folder)
    assert "24 of 24 test images are copies of training images, so that accuracy says nothing" in (
        ended.out
    )


@pytest.mark.parametrize("command", ["compare", "train", "tune"])
def test_a_report_tells_each_note_once(featx_run, photos, tmp_path, command):
    for path in sorted((photos / "red").iterdir())[3:]:
        path.unlink()  # fewer than there are folds
    options = {
        "compare": [*BACKBONES, "--classifiers", "knn"],
        "train": ["--classifier", "knn", "--out", tmp_path / "m.featx"],
        "tune": ["--budget", "1s", "--classifiers", "knn", *BACKBONES],
    }[command]
    page = tmp_path / "page.html"
    out = featx_run(command, photos, *options, "--report", page).out
    [note] = [line for line in out.splitlines() if "fewer" in line or "folds:" in line]
    assert page.read_text().count(note.split(":")[0].split(";")[0]) == 1, note
