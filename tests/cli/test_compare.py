"""`featx compare`."""

import csv

import fakes
import numpy as np
import pytest

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


def test_compare_recommends_within_a_margin(featx_run, photos):
    command = ("compare", photos, *BACKBONES, "--classifiers", "knn")
    for options, within in (((), 0.02), (("--within", "0.9"), 0.9)):
        document = featx_run(*command, *options, "--json").json
        chosen = document["recommendation"]
        assert chosen["within"] == within
        assert document["verdict"].endswith(chosen["verdict"])
        assert chosen["verdict"] in featx_run(*command, *options).out.splitlines()
    assert chosen["shown"]


@pytest.mark.parametrize(("suffix", "begins"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_compare_draws_the_candidates(featx_run, photos, tmp_path, suffix, begins):
    path = tmp_path / f"forest.{suffix}"
    ended = featx_run("compare", photos, *BACKBONES, "--classifiers", "knn", "--plot", path)
    assert path.read_bytes().startswith(begins)
    assert ended.out.splitlines()[-1] == f"wrote {path}"


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
        (["--within", "2"], "within 2.0: expected a share of 1, such as 0.02 for 2 points"),
        (["--out", "table.txt"], "cannot write table.txt: expected a name that ends in .csv"),
        (
            ["--plot", "x.doc"],
            "cannot write x.doc: expected a name that ends in .png, .svg, .pdf",
        ),
        (["--report", "page.pdf"], "cannot write page.pdf: expected a name that ends in .html"),
    ],
)
def test_mistakes_are_one_line_and_embed_nothing(featx_refuses, photos, options, message):
    given = ["--weights", "random"] if "--backbones" in options else BACKBONES
    featx_refuses(message, "compare", photos, *given, *options)


@pytest.fixture
def patients(tmp_path, fake_engine):
    """Four pictures of each of ten patients, each patient of one colour and one class."""
    random = np.random.default_rng(0)
    for patient in range(10):
        color = random.integers(40, 215, 3)
        for one in range(4):
            name = f"patient_{patient:02d}_{one}.png"
            fakes.draw(
                tmp_path / "scans" / "ab"[patient % 2] / name, color, seed=10 * patient + one
            )
    return tmp_path / "scans"


@pytest.mark.parametrize("command", ["compare", "train"])
def test_groups_are_a_pattern_over_names(featx_run, patients, tmp_path, command):
    more = {"compare": [*BACKBONES, "--classifiers", "knn"], "train": ["--out", tmp_path / "m"]}
    pattern = ["--groups", r"patient_(\d+)"]
    ended = featx_run(command, patients, *more[command], *pattern)
    assert "10 groups" in ended.out
    apart = featx_run(command, patients, *more[command], *pattern, "--json").json
    document = apart if command == "compare" else apart["validation"]
    assert r"10 groups by the pattern patient_(\d+) kept together" in document["method"]


def test_groups_are_a_column_of_a_table(featx_run, patients, tmp_path):
    rows = [f"{path},{path.parent.name},{path.name[:10]}" for path in patients.rglob("*.png")]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label,patient", *rows]))
    ended = featx_run(
        "compare", table, *BACKBONES, "--classifiers", "knn", "--groups", "patient", "--json"
    )
    assert "10 groups by the column patient kept together" in ended.json["method"]


def test_a_pattern_that_is_none_is_refused(featx_refuses, photos):
    message = "groups 'patient' has no part in parentheses: expected a pattern with a part in"
    featx_refuses(message, "compare", photos, *BACKBONES, "--groups", "patient")


def test_too_few_photographs_for_curves_take_nothing_from_a_comparison(featx_run, photos, tmp_path):
    for folder in photos.iterdir():
        for path in sorted(folder.iterdir())[2:]:
            path.unlink()
    curves = tmp_path / "curves.png"
    words = ("compare", photos, *BACKBONES, "--classifiers", "knn,centroid", "--curves", curves)
    ended = featx_run(*words)
    assert "featx: warning: no learning curves: " in ended.err
    assert ended.out.startswith("rank")
    assert not curves.exists()
