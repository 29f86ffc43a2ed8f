"""`featx evaluate`."""

import os

import pytest

import featx


def test_evaluate_counts_each_class_in_json(featx_run, model, new_photos):
    (new_photos / "red" / "100.png").rename(new_photos / "green" / "wrong.png")
    document = featx_run("evaluate", model, new_photos, "--json").json
    assert document["accuracy"] == pytest.approx(5 / 6)
    assert (document["n_images"], document["n_failed"]) == (6, 1)
    reason = "not an image that Pillow can read"
    assert document["failed"] == [{"path": f"{new_photos}/green/bad.jpg", "reason": reason}]
    assert [row["class"] for row in document["classes"]] == ["blue", "green", "red"]
    assert document["classes"][1] == {
        "class": "green",
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "support": 3,
    }


def test_evaluate_gives_a_table_for_a_person(featx_run, model, new_photos):
    (new_photos / "red" / "100.png").rename(new_photos / "green" / "wrong.png")
    lines = featx_run("evaluate", model, new_photos).out.splitlines()
    assert lines == [
        "accuracy 83.3 % (43.6 to 97.0): 5 of 6 images right, 1 file not readable",
        "classes of 1 to 3 images: balanced accuracy 88.9 % (46.1 to 98.7), lowest recall 66.7 % "
        "(20.8 to 93.9), of green",
        "class  precision  recall    f1  support",
        "blue        1.00    1.00  1.00        2",
        "green       1.00    0.67  0.80        3",
        "red         0.50    1.00  0.67        1",
        f"failed: {new_photos}/green/bad.jpg: not an image that Pillow can read",
    ]


def test_evaluate_tells_coverage_and_precision_beside_the_accuracy(
    featx_run, unsure, photos, tmp_path
):
    model, test = unsure
    document = featx_run("evaluate", model, test, "--json").json
    result = featx.load(model).evaluate(test)
    for name in ("coverage", "precision"):
        each = getattr(result, name)
        assert [document[name + end] for end in ("", "_low", "_high")] == [
            *(each.value, each.low, each.high)
        ]
    assert (document["coverage"], document["precision"]) == (6 / 7, 1.0)
    line = (
        f"precision of its answers 100.0 % (61.0 to 100.0): 6 of 7 images, "
        f"coverage {result.coverage}"
    )
    assert featx_run("evaluate", model, test).out.splitlines()[1] == line
    words = ["train", photos, "--out", tmp_path / "m.featx", "--reject", 0.9, "--test", test]
    assert line in featx_run(*words).out.splitlines()
    assert featx_run(*words, "--json").json["test"]["coverage"] == 6 / 7
    lines = featx_run("evaluate", model, test, "--report", tmp_path / "x.html").out.splitlines()
    assert lines[1] == line
    assert "precision of its answers" in (tmp_path / "x.html").read_text().lower()


def test_less_than_the_precision_asked_for_is_said_to_be_less(featx_run, unsure):
    """No threshold helps against pictures of another kind than those of training."""
    model, test = unsure
    (test / "red").rename(test / "swapped")
    (test / "green").rename(test / "red")
    (test / "swapped").rename(test / "green")
    line = featx_run("evaluate", model, test).out.splitlines()[1]
    assert line.startswith("precision of its answers 33.3 % (9.7 to 70.0): 6 of 7 images, coverage")
    assert line.endswith("; less than the 0.9 asked for: these are not like the training images")


def test_a_model_that_answers_nothing_has_no_precision(featx_run, unsure):
    model, test = unsure
    for name in ("blue", "green"):
        for path in (test / name).iterdir():
            path.unlink()
    for path in (test / "red").glob("1*.png"):
        path.unlink()
    ended = featx_run("evaluate", model, test)
    assert ended.out.splitlines()[1:3] == [
        "no class, since no picture is in the folder: blue (it is empty), green (it is empty)",
        "it answers none of these images: coverage 0.0 % (0.0 to 79.3)",
    ]
    assert featx_run("evaluate", model, test, "--json").json["precision"] is None


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX only")
def test_a_class_whose_name_is_no_utf8_is_judged_like_others(featx_run, photos, tmp_path):
    os.rename(os.fsencode(photos / "red"), os.fsencode(photos) + b"/caf\xe9")
    featx_run("train", photos, "--out", tmp_path / "m.featx")
    document = featx_run("evaluate", tmp_path / "m.featx", photos, "--json").json
    assert [each["support"] for each in document["classes"]] == [6, 6, 6]
