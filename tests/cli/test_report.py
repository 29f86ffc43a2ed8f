"""`--report` of the commands that have one."""

import pytest

from featx.cli.report import short_name

BACKBONES = ["--backbones", "resnet50,vgg16", "--weights", "random"]


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
    assert text.startswith("<!DOCTYPE html>")
    assert f"featx {command}" in text
    assert "data:image/jpeg;base64," in text


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
    said = note.split(":")[0].split(";")[0]
    assert page.read_text().count(said[0].upper() + said[1:]) == 1, note


@pytest.mark.parametrize(
    ("folder", "name"),
    [("photos/fruit/train", "fruit/train"), ("/photos", "photos"), ("../train/", "train")],
)
def test_a_report_names_a_folder_by_its_last_two_parts(folder, name):
    assert short_name(folder) == name


def test_a_report_names_the_folder_that_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_name(".") == tmp_path.name
