"""`featx explain`, and what other commands explain."""

import explained
import fakes
import numpy as np
import pytest
from PIL import Image

RED, GREEN = (210, 40, 40), (40, 200, 40)


@pytest.fixture
def model(featx_run, tmp_path):
    """The path of a model that tells red from green, on an engine that has maps."""
    with fakes.install(explained.MapEngine):
        folder = fakes.draw_folder(tmp_path / "photos", ("green", "red"))
        path = tmp_path / "m.featx"
        words = ("--weights", "random", "--input-size", 32)
        featx_run("train", folder, "--out", path, *words)
        yield path


@pytest.fixture
def both(tmp_path):
    """A picture that is red on the left and green on the right."""
    return explained.half_and_half(tmp_path / "new" / "both.png", RED, (90, 150, 40))


def complaints(ended) -> list[str]:
    """Return the lines on stderr but for warnings, such as that of random weights."""
    return [line for line in ended.err.splitlines() if "warning" not in line]


@pytest.mark.parametrize("name", ["why.png", "why.svg", "why.pdf", "why.jpg"])
def test_pictures_are_drawn_beside_what_decided(featx_run, model, both, tmp_path, name):
    out = tmp_path / name
    lines = featx_run("explain", model, both, "--out", out).out.splitlines()
    assert lines[0].split("  ")[0] == "path"
    assert both in lines[1]
    assert "class map, exact" in lines[1]
    assert lines[2] == f"wrote {out}"
    if name.endswith((".png", ".jpg")):
        with Image.open(out) as drawn:
            assert drawn.width > 300


@pytest.mark.parametrize("link", [False, True])
def test_no_drawing_takes_the_place_of_a_picture_that_it_explains(
    featx_ends, model, both, tmp_path, link
):
    with open(both, "rb") as file:
        before = file.read()
    out = tmp_path / "why.png" if link else both
    if link:
        out.symlink_to(both)
    ended = featx_ends("explain", model, both, "--out", out)
    assert ended.status == 2
    assert complaints(ended) == [
        f"featx: cannot write {out}: it is one of the pictures to explain; name another file"
    ]
    with open(both, "rb") as file:
        assert file.read() == before


def test_a_class_may_be_asked_for(featx_run, model, both):
    rows = {
        label: featx_run("explain", model, both, "--label", label, "--json").json[0]
        for label in ("green", "red")
    }
    for label, row in rows.items():
        assert row["label"] == label
        assert np.mean(row["heat"]) == pytest.approx(row["decision"], abs=1e-4)
    left, right = (np.array(rows["red"]["heat"])[:, half] for half in (slice(0, 4), slice(4, 8)))
    assert left.mean() > right.mean()
    assert rows["red"]["probability"] + rows["green"]["probability"] == pytest.approx(1)


def test_a_folder_and_a_table_are_explained_and_bad_pictures_told(featx_run, model, both, tmp_path):
    (tmp_path / "new" / "bad.jpg").write_text("no picture")
    ended = featx_run("explain", model, tmp_path / "new")
    assert len(ended.out.splitlines()) == 2
    assert "bad.jpg" in ended.err
    assert "not an image that Pillow can read" in ended.err
    table = tmp_path / "list.csv"
    table.write_text(f"path\n{both}\n")
    assert len(featx_run("explain", model, table).out.splitlines()) == 2


def test_a_page_names_the_command(featx_run, model, both, tmp_path):
    out = tmp_path / "why.html"
    featx_run("explain", model, both, "--out", out)
    html = out.read_text()
    assert "Why m.featx answers what it does" in html
    assert f"featx explain {model}" in html


def test_masks_take_the_budget_that_is_given(featx_run, model, both):
    words = ("explain", model, both, "--method", "masks", "--budget", 64)
    assert featx_run(*words, "--json").json[0]["budget"] == 64
    assert "64 masks, an estimate" in featx_run(*words).out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--label", "blue"], "expected one of green, red"),
        (["--budget", "3"], "budget 3: expected"),
        (["--out", "why.gif"], "why.gif"),
        (["--out", "none/why.png"], "there is no such folder"),
    ],
)
def test_a_mistake_is_one_line(featx_ends, model, both, words, message):
    ended = featx_ends("explain", model, both, *words)
    assert ended.status == 2
    assert ended.out == ""
    [line] = complaints(ended)
    assert message in line


def test_pictures_that_are_not_there_or_cannot_be_read_are_one_line(featx_ends, model, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    for path in ("bad.jpg", "none.jpg"):
        ended = featx_ends("explain", model, tmp_path / path)
        assert ended.status == 2
        [line] = complaints(ended)
        assert path in line


def test_evaluate_makes_a_page_of_its_mistakes(featx_run, model, tmp_path):
    root = tmp_path / "test"
    explained.half_and_half(root / "green" / "wrong.png", RED, (120, 90, 40))
    explained.half_and_half(root / "red" / "right.png", RED, RED)
    out = tmp_path / "mistakes.html"
    ended = featx_run("evaluate", model, root, "--explain", out)
    assert ended.out.splitlines()[-1] == f"wrote {out}"
    html = out.read_text()
    assert "Mistakes of m.featx on" in html
    assert "1 of 2 images is mistaken" in html
    assert html.count("<figure") == 3
    report = tmp_path / "report.html"
    featx_run("evaluate", model, root, "--report", report)
    assert "speaks for either class" in report.read_text()


def test_the_report_of_training_shows_what_spoke_for_mistakes(featx_run, model, tmp_path):
    folder = tmp_path / "photos"
    explained.half_and_half(folder / "green" / "red.png", RED, RED)
    words = ("--out", tmp_path / "x.featx", "--weights", "random", "--input-size", 32)
    report = tmp_path / "report.html"
    featx_run("train", folder, *words, "--test", folder, "--report", report)
    html = report.read_text()
    assert html.count("speaks for either class") == 2
    assert "To the finished model" in html
    featx_run("train", folder, *words, "--classifier", "knn", "--report", report)
    assert "speaks for either class" not in report.read_text(), "masks would take long"
