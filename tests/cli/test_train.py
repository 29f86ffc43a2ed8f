"""`featx train`."""

import shutil

import fakes
import pytest
from PIL import Image

import featx
from featx.learning.classifiers import CLASSIFIERS


def test_train_says_in_json_how_good_the_model_is(featx_run, photos, new_photos, tmp_path):
    out = tmp_path / "fruit.featx"
    document = featx_run("train", photos, "--out", out, "--test", new_photos, "--json").json
    model = featx.load(out)
    whole = dict.fromkeys(("precision", "recall", "f1"), 1.0)
    assert document.pop("seconds") > document["features"]["seconds"]
    assert document | {"features": 0} == {
        "classifier": "logistic",
        "classes": ["blue", "green", "red"],
        "features": 0,
        "validation": {
            "accuracy": 1.0,
            "accuracy_low": pytest.approx(0.789, abs=1e-3),
            "accuracy_high": 1.0,
            "balanced_accuracy": 1.0,
            "balanced_accuracy_low": pytest.approx(0.789, abs=1e-3),
            "balanced_accuracy_high": 1.0,
            "weakest_class": "blue",
            "weakest_recall": 1.0,
            "weakest_recall_low": pytest.approx(0.555, abs=1e-3),
            "weakest_recall_high": 1.0,
            "n_images": 18,
            "n_failed": 0,
            "n_unfamiliar": None,
            "failed": [],
            "contradictions": [],
            "notes": [],
            "classes": [{"class": name, **whole, "support": 6} for name in model.classes],
            "method": "5-fold stratified cross-validation, repeated 2 times; 95 % interval by "
            "Wilson with the correction of Nadeau and Bengio",
            "folds": 5,
            "repeats": 2,
            "n_groups": None,
            "std": 0.0,
            "twins": [],
        },
        "rejection": None,
        "familiarity": model.familiarity.to_dict(),
        "test": {
            "accuracy": 1.0,
            "accuracy_low": pytest.approx(0.610, abs=1e-3),
            "accuracy_high": 1.0,
            "balanced_accuracy": 1.0,
            "balanced_accuracy_low": pytest.approx(0.610, abs=1e-3),
            "balanced_accuracy_high": 1.0,
            "weakest_class": "blue",
            "weakest_recall": 1.0,
            "weakest_recall_low": pytest.approx(0.342, abs=1e-3),
            "weakest_recall_high": 1.0,
            "n_images": 6,
            "n_failed": 1,
            "n_unfamiliar": 0,
            "failed": [
                {
                    "path": f"{new_photos}/green/bad.jpg",
                    "reason": "not an image that Pillow can read",
                }
            ],
            "leaks": {},
            "accuracy_without_leaks": 1.0,
            "unknown_classes": [],
            "accuracy_without_unknown": 1.0,
            "contradictions": [],
            "notes": [],
            "classes": [{"class": name, **whole, "support": 2} for name in model.classes],
        },
        "dataset_shift": None,
        "next_steps": [],
        "out": str(out),
        "report": None,
    }
    features = document["features"]
    assert features | {"seconds": 0, "startup_seconds": 0, "images_per_second": 0} == {
        "n_images": 18,
        "n_features": 9,
        "n_embedded": 18,
        "n_cached": 0,
        "n_failed": 0,
        "failed": [],
        "n_other": 0,
        "notes": [],
        "n_views": 0,
        "shape": [18, 9],
        "seconds": 0,
        "startup_seconds": 0,
        "images_per_second": 0,
        "fingerprint": model.recipe.fingerprint,
    }
    assert features["seconds"] > 0
    assert features["images_per_second"] > 0


def test_train_says_to_a_person_how_good_the_model_is(featx_run, photos, new_photos, tmp_path):
    out = tmp_path / "fruit.featx"
    lines = featx_run(
        "train", photos, "--classifier", "centroid", "--out", out, "--test", new_photos
    ).out.splitlines()
    assert lines[0].startswith("18 images: 18 embedded, in ")
    assert lines[1].startswith("features 18 x 9 (efficientnet_lite0")
    assert lines[2:] == [
        "3 classes (blue, green, red), classifier centroid: cross-validated accuracy "
        "100.0 % (78.9 to 100.0), "
        "5 folds, 2 times",
        "test accuracy 100.0 % (61.0 to 100.0): 6 of 6 images right, 1 file not readable",
        f"failed: {new_photos / 'green' / 'bad.jpg'}: not an image that Pillow can read",
        f"wrote {out}",
    ]


def test_without_a_test_folder_there_is_no_test_accuracy(featx_run, photos, tmp_path):
    ended = featx_run(
        "train", photos, "--classifier", "knn", "--out", tmp_path / "m.featx", "--json"
    )
    assert ended.json["test"] is None


@pytest.mark.parametrize("classifier", [name for name in CLASSIFIERS if name != "cnn"])
def test_every_classifier_can_be_trained_and_used(
    featx_run, photos, new_photos, tmp_path, classifier
):
    out = tmp_path / "m.featx"
    featx_run("train", photos, "--classifier", classifier, "--out", out)
    rows = featx_run("predict", out, new_photos, "--json").json
    assert [row["label"] for row in rows] == [
        *("blue", "blue", "green", "green", None, "red", "red")
    ]
    shares = [row["probability"] for row in rows]
    assert shares.pop(4) is None
    assert 0.3 < min(shares) <= max(shares) <= 1, shares


@pytest.mark.filterwarnings("ignore:the weights of")
def test_the_options_of_embedding_go_into_the_model(featx_run, photos, tmp_path):
    words = ["--backbone", "vgg16", "--weights", "random", "--pooling", "max", "--input-size", "64"]
    out = tmp_path / "m.featx"
    featx_run("train", photos, "--classifier", "knn", *words, "--out", out)
    [part] = featx.load(out).recipe.parts
    assert (part.backbone, part.cut.pooling, part.square.size) == ("vgg16", "max", 64)


def test_training_embeds_each_picture_once(featx_run, photos, new_photos, tmp_path, fake_engine):
    words = ["--classifier", "knn", "--batch-size", 4, "--out", tmp_path / "m.featx"]
    featx_run("train", photos, "--test", new_photos, *words)
    assert fake_engine.embedded == 18 + 6
    featx_run("train", photos, "--test", new_photos, *words)
    assert fake_engine.embedded == 18 + 6


def test_train_says_from_where_the_model_answers_and_what_to_expect(featx_run, photos, tmp_path):
    words = ["train", photos, "--out", tmp_path / "m.featx", "--reject", 0.9]
    document = featx_run(*words, "--json").json
    rejection = featx.load(tmp_path / "m.featx").rejection
    assert document["rejection"] == rejection.to_dict()
    assert rejection.target == 0.9
    assert str(rejection) in featx_run(*words).out.splitlines()
    assert "precision 100.0 % (78.9 to 100.0), coverage 100.0 % (78.9" in str(rejection)


def test_classes_count_alike_where_that_is_asked_for(featx_run, photos, tmp_path):
    (photos / "red" / "000.png").unlink()
    options = ("--class-weight", "balanced", "--out", tmp_path / "fruit.featx", "--json")
    assert featx_run("train", photos, *options).json["classifier"] == "logistic balanced"
    options = ("--backbones", "efficientnet_lite0", *options[:2], "--json")
    document = featx_run("compare", photos, *options).json
    assert [each["classifier"] for each in document["candidates"]] == ["logistic balanced"]


def test_a_classifier_without_weights_of_classes_is_told(featx_refuses, photos, tmp_path):
    options = ("--classifier", "knn", "--class-weight", "balanced", "--out", tmp_path / "m.featx")
    known = "classifier 'knn' takes no class_weight: expected one of logistic, svm, svd-svm"
    featx_refuses(known, "train", photos, *options)


def test_a_precision_out_of_reach_is_one_line_and_no_model(featx_ends, photos, tmp_path):
    out = tmp_path / "m.featx"
    ended = featx_ends("train", photos, "--classifier", "knn", "--out", out, "--reject", 0.97)
    assert (ended.status, ended.out, out.exists()) == (2, "", False)
    assert ended.err == (
        "featx: a precision of 0.97 is out of reach with these 18 images: the surest answers, "
        "100 % of the images, reach 0.93; ask for no more, add images, or train without reject\n"
    )


def test_train_names_test_pictures_that_were_trained_on(featx_run, photos, tmp_path):
    test = fakes.draw_folder(tmp_path / "test", each=2, start=100)
    fakes.draw(test / "green" / "is red.png", (200, 40, 40), seed=1)
    for name in ("red", "green", "blue"):
        source = photos / name / "003.png"
        Image.open(source).save(test / name / "copy.png", compress_level=1)
    words = ["--classifier", "knn", "--out", tmp_path / "m.featx", "--test", test]
    ended = featx_run("train", photos, *words, "--json")
    assert ended.json["test"]["leaks"] == {
        str(test / name / "copy.png"): str(photos / name / "003.png")
        for name in ("red", "green", "blue")
    }
    assert ended.json["test"]["accuracy"] == 9 / 10
    assert ended.json["test"]["accuracy_without_leaks"] == 6 / 7
    told = "3 of 10 test images are copies of training images; accuracy without them: 85.7 %"
    assert told in featx_run("train", photos, *words).out


def test_where_every_test_picture_was_trained_on_the_accuracy_says_nothing(
    featx_run, photos, tmp_path
):
    words = ["--classifier", "knn", "--out", tmp_path / "m.featx", "--test", photos]
    told = "18 of 18 test images are copies of training images, so that accuracy says nothing"
    assert told in featx_run("train", photos, *words).out


@pytest.fixture
def awkward(photos):
    """The photographs with a file that is empty, a class that is, and a picture in two classes."""
    (photos / "blue" / "bad.jpg").touch()
    (photos / "cow").mkdir()
    shutil.copy(photos / "blue" / "000.png", photos / "red" / "copy.png")
    return photos


@pytest.mark.parametrize("command", ["train", "compare", "tune"])
def test_what_is_lost_is_said_once_at_the_shell(featx_run, awkward, tmp_path, command):
    words = {
        "train": ["--out", tmp_path / "m.featx"],
        "compare": ["--backbones", "efficientnet_lite0"],
        "tune": ["--backbones", "efficientnet_lite0", "--budget", "0.01"],
    }[command]
    ended = featx_run(command, awkward, *words)
    for said in ("bad.jpg: empty file", "cow (it is empty)", "a contradiction, 1 picture in"):
        assert ended.out.count(said) == 1, ended.out
    assert "warning" not in ended.err


def test_a_table_of_paths_trains_at_the_shell(featx_run, photos, tmp_path):
    rows = [f"{path.relative_to(photos)},{path.parent.name}" for path in photos.glob("*/*.png")]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    words = ("train", tmp_path / "t.csv", "--out", tmp_path / "m.featx")
    document = featx_run(*words, "--root", photos, "--json").json
    assert (document["classes"], document["features"]["n_images"]) == (["blue", "green", "red"], 18)
    featx_run("evaluate", tmp_path / "m.featx", tmp_path / "t.csv", "--root", photos)


def test_memory_is_kept_within_and_told(featx_run, photos, tmp_path):
    out = tmp_path / "m.featx"
    ended = featx_run("train", photos, "--memory", "1.5 GB", "--out", out)
    assert "learned within 1.5 GB: as ever, since all features fit" in ended.out
    document = featx_run("train", photos, "--memory", "2GB", "--out", out, "--json").json
    assert document["fit"] == "within 2.0 GB: as ever, since all features fit"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--memory", "much"], "memory is 'much': expected a number of bytes, or a text such as"),
        (["--memory", "1MB"], "memory of 1.0 MB is too little to learn 3 classes from 18 images"),
        (["--memory", "1GB", "--report", "r.html"], "--report draws all features at once"),
    ],
)
def test_a_memory_that_cannot_be_kept_within_is_one_line(
    featx_ends, photos, tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    ended = featx_ends("train", photos, *words, "--out", "m.featx")
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "m.featx").exists()
