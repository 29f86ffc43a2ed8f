"""`featx tune`."""

import pytest

import featx

QUICK = ["--backbones", "resnet50,vgg16", "--classifiers", "centroid,knn", "--weights", "random"]


def test_tune_finds_a_model_and_says_what_to_expect(featx_run, photos, new_photos, tmp_path):
    out, page = tmp_path / "m.featx", tmp_path / "page.html"
    ended = featx_run(
        *("tune", photos, *QUICK, "--budget", "2m", "--out", out),
        *("--test", new_photos, "--report", page),
    )
    lines = ended.out.splitlines()
    assert lines[0].split()[:3] == ["candidate", "accuracy", "lead,"]
    assert any("was chosen among" in line for line in lines)
    assert any(line.startswith("expect ") and "look like none of them" in line for line in lines)
    assert (
        "test accuracy 100.0 % (61.0 to 100.0): 6 of 6 images right, 1 file not readable" in lines
    )
    assert lines[-2:] == [f"wrote {out}", f"wrote {page}"]
    assert len(featx.load(out).classes) == 3
    assert "featx tune" in page.read_text()


def test_tune_in_json_is_one_document(featx_run, photos):
    words = ["--backbones", "resnet50", "--classifiers", "centroid", "--weights", "random"]
    document = featx_run("tune", photos, *words, "--budget", "1h", "--json").json
    assert document["best"] == document["candidates"][0]["candidate"]
    assert document["accuracy_low"] <= document["accuracy"] <= document["accuracy_high"]
    assert document["accuracy_elsewhere"] <= 1
    assert document["budget"] == 3600
    assert document["n_images"] == 18
    assert document["skipped"] == {}
    assert document["test"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "soon"], "budget 'soon': expected a time above 0, such as '90s', '5m'"),
        (["--backbones", "resnet5"], "unknown backbone 'resnet5'"),
        (["--backbones", "vgg16,"], "backbones 'vgg16,': expected different names"),
        (["--classifiers", "cnn"], "classifier 'cnn' learns from pixels"),
        (["--classifiers", "svn"], "unknown classifier 'svn'"),
        (["--report", "page.pdf"], "cannot write page.pdf: expected a name that ends in .html"),
    ],
)
def test_mistakes_are_one_line_and_embed_nothing(featx_refuses, photos, options, message):
    featx_refuses(message, "tune", photos, *QUICK, *options)
