"""The scripts in `examples/`: each runs, says what it found and draws it; a mistake is one line.

The classic one, on photographs, is in `test_main_job.py`, the notebook in `test_notebook.py`.
"""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import fakes
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from sklearn.feature_selection import VarianceThreshold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

import featx
from featx.errors import WeightsError

EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
ACCURACY = r"\d+\.\d % \(\d+\.\d to \d+\.\d\)"
STRANGE = r"(?:, \d+ unfamiliar)?"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a script, check its picture, and return what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(script, *words):
        out = tmp_path / "out" / f"{script}.png"
        out.parent.mkdir(exist_ok=True)
        monkeypatch.setattr(sys, "argv", [script, *map(str, words), "--out", str(out)])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        printed = capsys.readouterr().out
        assert printed.endswith(f"look at {out}\n")
        with Image.open(out) as image:
            width, height = image.size
            shades = np.asarray(image.convert("L")).std()
        assert 400 <= width <= 1600, f"{width} x {height}"
        assert 150 <= height <= 1600, f"{width} x {height}"
        assert shades > 5, "the picture is blank"
        return printed

    return run


def fails(script, tmp_path, monkeypatch, capsys, *words):
    """Run a script that ends in one line of error before it prints anything; return the line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    return err.rstrip("\n")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_uses_public_names_only(script):
    tree = ast.parse((EXAMPLES / script).read_text())
    modules = [each.module for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    modules += [
        name.name for each in ast.walk(tree) if isinstance(each, ast.Import) for name in each.names
    ]
    assert [name for name in modules if name.startswith("featx")] == ["featx"]
    used = {
        each.attr
        for each in ast.walk(tree)
        if isinstance(each, ast.Attribute) and getattr(each.value, "id", None) == "featx"
    }
    assert used - set(featx.__all__) == set()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_bad_folder_is_one_line(script, tmp_path, monkeypatch, capsys):
    missing = tmp_path / "missing"
    assert str(missing) in fails(script, tmp_path, monkeypatch, capsys, missing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("out", ["nowhere/x.png", "x.foo", "x", "folder.png"])
def test_a_picture_that_cannot_be_written_is_told_before_the_work(
    out, script, fake_engine, tmp_path, monkeypatch, capsys
):
    (tmp_path / "folder.png").mkdir()
    line = fails(script, tmp_path, monkeypatch, capsys, "--out", out)
    assert line == f"error: cannot write {out}: expected a .png or .jpg in an existing folder"
    assert fake_engine.embedded == 0
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


@pytest.mark.parametrize("script", ["tuning.py", "save_load_predict.py"])
@pytest.mark.parametrize("model", ["nowhere/x.featx", "."])
def test_a_model_that_cannot_be_written_is_told_before_the_work(
    model, script, fake_engine, tmp_path, monkeypatch, capsys
):
    line = fails(script, tmp_path, monkeypatch, capsys, "--model", model)
    assert line == f"error: cannot write {model}: expected a file in an existing folder"
    assert fake_engine.embedded == 0


def test_an_error_of_the_system_is_one_line_as_well(fake_engine, tmp_path, monkeypatch, capsys):
    fakes.draw_folder(tmp_path / "photos" / "train", ["blue"], each=1)
    (tmp_path / "photos" / "test").mkdir()

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    line = fails("twenty_images.py", tmp_path, monkeypatch, capsys, tmp_path / "photos")
    assert line == f"error: [Errno 13] Permission denied: '{tmp_path}/photos'"


@pytest.mark.parametrize(
    ("test", "words"),
    [("missing", "'missing' does not exist"), ("cars", "the model knows none of the classes car")],
)
def test_tuning_tells_test_pictures_of_no_use_before_the_search(
    test, words, fake_engine, tmp_path, monkeypatch, capsys
):
    fakes.draw(tmp_path / "cars" / "car" / "1.png", (0, 0, 0))
    assert words in fails("tuning.py", tmp_path, monkeypatch, capsys, "--test", test)
    assert fake_engine.embedded == 0


# -- Real networks ---------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """Let ImageNet's labels come from nowhere; the networks that are asked are kept."""
    kept = []

    def label(paths, top, backbone):
        kept.append(backbone)
        if backbone == "vgg19":
            raise WeightsError("cut off")
        guesses = (featx.Label(7, "n7", "cock", 0.5),) * top
        return [
            featx.Labelled(path, guesses, featx.Outcome("embedded", path=path))
            if Path(path).stat().st_size
            else featx.Labelled(path, (), featx.Outcome("failed", "empty", path=path))
            for path in paths
        ]

    monkeypatch.setattr(featx, "label", label)
    return kept


def test_imagenet_top3_asks_the_network_that_needs_no_download_unless_others_are_named(run, asked):
    run("imagenet_top3.py")
    assert asked == ["efficientnet_lite0"]
    run("imagenet_top3.py", "--networks", "resnet50", "efficientnet_lite0", "resnet50")
    assert asked[1:] == ["resnet50", "efficientnet_lite0"], "each is asked once"


def test_imagenet_top3_goes_on_without_a_network_and_names_what_it_cannot_read(
    run, asked, tmp_path
):
    fakes.draw(tmp_path / "photos" / "1.png", (200, 40, 40))
    (tmp_path / "photos" / "2.png").write_bytes(b"")
    words = ["--networks", "vgg19", "efficientnet_lite0", "vgg16"]
    printed = run("imagenet_top3.py", tmp_path / "photos", *words)
    assert "vgg19 is left out: cut off\n" in printed
    assert asked == ["vgg19", "efficientnet_lite0", "vgg16"]
    assert printed.count("  1.png: cock 50.0 %, cock 50.0 %, cock 50.0 %\n") == 2
    assert printed.count(f"failed: {tmp_path}/photos/2.png: empty\n") == 1


def test_imagenet_top3_tells_a_network_that_there_is_not_before_any_work(
    asked, tmp_path, monkeypatch, capsys
):
    words = ["--networks", "efficientnet_lite0", "vgg61"]
    line = fails("imagenet_top3.py", tmp_path, monkeypatch, capsys, *words)
    assert line == "error: unknown network 'vgg61': `featx backbones` lists all names"
    assert asked == []


@pytest.mark.keras
def test_imagenet_top3_leaves_out_a_network_without_weights_and_names_the_strawberry(
    run, monkeypatch
):
    monkeypatch.setenv("FEATX_WEIGHTS_URL", "http://localhost:9")  # where nobody answers
    words = ["--networks", "efficientnet_lite0", "vgg16"]
    printed = run("imagenet_top3.py", "--most", 1, *words)
    assert re.search(r"^efficientnet_lite0\n  strawberry_11.jpg: strawberry \d", printed, re.M)
    left_out = re.findall(r"^(\w+) is left out: cannot fetch the weights of \1: ", printed, re.M)
    assert left_out == ["vgg16"], printed


def small(run, *words):
    printed = run("small_pictures.py", *words, "--backbone", "pixels")
    found = re.findall(rf"^(\w+) +test accuracy {ACCURACY}, test loss \d\.\d\d$", printed, re.M)
    assert found == ["cnn", "pixels"], printed
    return printed


@pytest.mark.keras
def test_small_pictures_are_learned_from_scratch_and_by_features(run):
    printed = small(run, "--each", 5, "--test", 3, "--epochs", 3)
    assert "50 pictures to learn from, 30 to test with" in printed


@pytest.mark.keras
@pytest.mark.parametrize("layout", ["npz", "folder"])
def test_small_pictures_come_in_an_array_file_or_a_folder(layout, run, tmp_path):
    source = tmp_path / "cifar10.npz"
    if layout == "npz":
        x, y = fakes.draw_array(each=5)
        y = y[:, None]  # as Keras has CIFAR-10
        np.savez(source, x_train=x, y_train=y, x_test=x[:6], y_test=y[:6])
    else:
        source = tmp_path / "photos"
        fakes.draw_folder(source / "train", each=5)
        fakes.draw_folder(source / "test", each=2, start=5)
    printed = small(run, source, "--each", 4, "--epochs", 2)
    assert "12 pictures to learn from, 6 to test with" in printed


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "classes"),
    [("mnist", [0, 1, 2]), ("cifar10", ["airplane", "automobile", "bird"])],
)
def test_small_pictures_come_from_keras_by_name_or_in_its_file(
    name, classes, tmp_path, monkeypatch
):
    import keras

    x, y = fakes.draw_array(each=2)
    dataset = getattr(keras.datasets, name)
    monkeypatch.setattr(dataset, "load_data", lambda: ((x, y[:, None]), (x[:4], y[:4])))
    monkeypatch.chdir(tmp_path)
    np.savez(f"{name}.npz", x_train=x, y_train=y[:, None], x_test=x[:4], y_test=y[:4])
    read = runpy.run_path(str(EXAMPLES / "small_pictures.py"))["read"]
    for source in (name, f"{name}.npz"):
        train, test = read(source)
        assert list(train.labels) == classes * 2
        assert list(test.labels) == [*classes, classes[0]]
        np.testing.assert_array_equal([path.pixels for path in train.paths], x)
        np.testing.assert_array_equal([path.pixels for path in test.paths], x[:4])


def write_arrays(file, **changes):
    x, y = fakes.draw_array(each=2)
    arrays = {"x_train": x, "y_train": y, "x_test": x, "y_test": y} | changes
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("file", "changes", "words"),
    [
        (
            "a.npz",
            {"y_test": None},
            "expected mnist, cifar10, a folder, or an .npz file of x_train",
        ),
        ("a.npz", {"y_train": np.arange(5)}, "there are 5 labels for 6 images"),
        ("a.npz", {"y_test": np.arange(7)}, "there are 7 labels for 6 images"),
        ("a.npz", {"y_train": np.ones((6, 3))}, "row 0 is not one-hot"),
        ("a.npz", {"x_train": np.zeros((0, 24, 32, 3), np.uint8)}, "so it is empty"),
        ("a.npz", {"x_train": np.uint8(3)}, "images are a int: expected"),
        ("cifar10.npz", {"y_train": np.arange(6) + 7}, "has the label 10: expected 0 to 9"),
        ("a.npy", {}, "expected mnist, cifar10, a folder, or an .npz file of x_train"),
        ("empty.npz", {}, "expected mnist, cifar10, a folder, or an .npz file of x_train"),
        ("cut.npz", {}, "expected mnist, cifar10, a folder, or an .npz file of x_train"),
    ],
)
def test_small_pictures_tell_a_file_of_no_use_in_one_line(
    file, changes, words, fake_engine, tmp_path, monkeypatch, capsys
):
    path = tmp_path / file
    write_arrays(tmp_path / f"{path.stem}.npz", **changes)
    if file == "a.npy":
        np.save(path, np.zeros((6, 24, 32, 3)))
    elif file in ("empty.npz", "cut.npz"):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if file == "cut.npz" else b"")
    line = fails("small_pictures.py", tmp_path, monkeypatch, capsys, path)
    assert line.startswith(f"error: {path}")
    assert words in line
    assert fake_engine.embedded == 0


def test_small_pictures_take_one_hot_labels(fake_engine, tmp_path):
    _, y = fakes.draw_array(each=2)
    write_arrays(tmp_path / "cifar10.npz", y_train=np.eye(10)[y])
    read = runpy.run_path(str(EXAMPLES / "small_pictures.py"))["read"]
    train, test = read(str(tmp_path / "cifar10.npz"))
    assert train.labels == test.labels == ("airplane", "automobile", "bird") * 2


@pytest.mark.keras
def test_small_pictures_that_cannot_be_downloaded_are_one_line(tmp_path, monkeypatch, capsys):
    import keras

    def load_data():
        raise Exception("URL fetch failure on https://...\nNone -- [Errno -2]")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)
    line = fails("small_pictures.py", tmp_path, monkeypatch, capsys, "mnist")
    assert "mnist cannot be downloaded: URL fetch failure on https://... None" in line


@pytest.mark.keras
def test_small_pictures_name_damaged_files_and_open_no_more_than_they_need(run, tmp_path):
    folder = tmp_path / "photos"
    fakes.draw_folder(folder / "train", ["blue", "red"], each=6)
    fakes.draw_folder(folder / "test", ["blue", "red"], each=3)
    for part, name in (("train", "blue/001"), ("train", "blue/005"), ("test", "red/000")):
        (folder / part / f"{name}.png").write_bytes(b"no picture")
    printed = small(run, folder, "--each", 4, "--epochs", 1)
    assert "8 pictures to learn from, 6 to test with" in printed
    named = re.findall(r"^failed: (\S+): \w", printed, re.M)
    assert named == [f"{folder}/train/blue/001.png", f"{folder}/test/red/000.png"]  # 005: not read


@pytest.mark.keras
def test_per_class_finds_its_way_in_cifar10(run, shared):
    printed = run("per_class.py", shared / "data" / "cifar10")
    accuracy = re.search(
        rf"^test accuracy ({ACCURACY}): \d+ of 80 images right{STRANGE}$", printed, re.M
    )
    assert float(accuracy[1].partition(" ")[0]) > 40, printed
    assert re.search(r"^frog +\d\.\d+ +\d\.\d+ +\d\.\d+ +8$", printed, re.M), printed


@pytest.mark.keras
def test_small_pictures_read_folders_of_mnist(run, shared):
    printed = small(run, shared / "data" / "mnist", "--each", 5, "--test", 2, "--epochs", 1)
    assert "50 pictures to learn from, 20 to test with" in printed


# -- The fake engine, which sees colours -----------------------------------------------------------


def test_cats_and_dogs_without_a_folder_are_drawn_fruit_and_that_is_said(run, fake_engine):
    printed = run("cats_and_dogs.py")
    assert "no folder of cats and dogs is named: these are the drawn bananas" in printed
    assert "20 images: 20 embedded" in printed
    assert re.search(
        rf"^test accuracy {ACCURACY}: \d of 8 images right{STRANGE}$", printed, re.M
    ), printed


@pytest.mark.parametrize("layout", ["Kaggle", "PetImages", "filtered"])
def test_cats_and_dogs_are_found_by_the_names_of_files_and_folders(
    layout, run, fake_engine, tmp_path
):
    folder = tmp_path / "dogs-vs-cats"
    for number in range(6):
        for kind, color in (("cat", (200, 60, 60)), ("dog", (60, 60, 200))):
            name = {
                "Kaggle": f"train/{kind}.{number}.jpg",
                "PetImages": f"{kind.title()}/{number}.jpg",
                "filtered": f"cats_and_dogs_filtered/train/{kind}s/{kind}.{number}.jpg",
            }[layout]
            fakes.draw(folder / name, color, seed=number)
    fakes.draw(folder / "dogs-vs-cats" / "test1" / "7.jpg", (0, 0, 0))  # of no class
    if layout == "PetImages":
        (folder / "Cat" / "666.jpg").write_bytes(b"")  # as there
    printed = run("cats_and_dogs.py", folder, "--each", 2)
    assert "4 images: 4 embedded" in printed, printed
    lost = ", 1 file not readable" if layout == "PetImages" else ""
    assert f"accuracy 100.0 % (67.6 to 100.0): 8 of 8 images right{lost}\n" in printed, printed


def test_a_folder_without_dogs_is_told(fake_engine, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "photos"
    fakes.draw_folder(folder / "cat", ["red"])
    line = fails("cats_and_dogs.py", tmp_path, monkeypatch, capsys, folder)
    assert line.startswith(f"error: {folder} has 0 pictures of a dog: expected names such as dog.0")


@pytest.mark.parametrize("layout", ["none", "folders", "Oxford"])
def test_flowers_are_compared_with_intervals(layout, run, fake_engine, tmp_path):
    words = ["--classifiers", "logistic", "centroid"]
    folder = tmp_path / "flowers"
    if layout == "folders":
        fakes.draw_folder(folder, each=6)
    elif layout == "Oxford":
        for number in (*range(1, 6), *range(81, 86)):  # daffodils and snowdrops
            color = (200, 200, 40) if number <= 80 else (200, 200, 200)
            fakes.draw(folder / f"image_{number:04}.jpg", color, seed=number)
    printed = run("flowers.py", *([] if layout == "none" else [folder, "--each", 5]), *words)
    assert ("these are the drawn" in printed) == (layout == "none")
    counts = {"none": (20, 2), "folders": (15, 3), "Oxford": (10, 2)}[layout]
    assert "{} pictures of {} kinds".format(*counts) in printed
    rows = r"^ *\d \*? +(\w+) +\d+\.\d % +\d+\.\d to \d+\.\d "
    assert sorted(re.findall(rows, printed, re.M)) == ["centroid", "logistic"], printed
    assert re.search(r"no clear winner|leads by", printed)


def test_tuning_ends_with_a_model_and_says_what_to_expect(run, fake_engine, tmp_path):
    model = tmp_path / "m.featx"
    test = ROOT / "data" / "fruit" / "test"
    printed = run("tuning.py", "--budget", "5s", "--test", test, "--model", model)
    assert "was chosen among" in printed
    expected = (
        rf"expect {ACCURACY} on photographs like the training ones, \d+\.\d % on such as look"
    )
    assert re.search(expected, printed), printed
    assert re.search(
        rf"^test accuracy {ACCURACY}: \d of 8 images right{STRANGE}$", printed, re.M
    ), printed
    assert model.is_file()


def test_per_class_tells_digits_apart_and_shows_mistakes(run, fake_engine):
    printed = run("per_class.py")
    assert re.search(
        rf"^test accuracy {ACCURACY}: \d+ of 150 images right{STRANGE}$", printed, re.M
    )
    assert len(re.findall(r"^\d +\d\.\d+ +\d\.\d+ +\d\.\d+ +15$", printed, re.M)) == 10, printed
    assert len(re.findall(r"^\d\d\.png: taken for \d, is \d$", printed, re.M)) == 5, printed


@pytest.mark.parametrize("parts", [True, False])
def test_per_class_takes_test_pictures_or_cross_validates(parts, run, fake_engine, tmp_path):
    folder = tmp_path / "photos"
    fakes.draw_folder(folder / "train" if parts else folder)
    if parts:
        fakes.draw_folder(folder / "test", each=2, start=6)
    printed = run("per_class.py", folder)
    assert "18 images: 18 embedded" in printed
    validated = r"3 classes \(.*\), classifier logistic: cross-validated accuracy"
    measured = "test accuracy" if parts else validated
    assert re.search(rf"^{measured} 100.0 % ", printed, re.M), printed
    assert ("6 of 6 images right" in printed) == parts
    assert "taken for" not in printed


@pytest.mark.parametrize(("part", "other"), [("train", "test"), ("test", "train")])
def test_per_class_tells_which_part_is_missing(
    part, other, fake_engine, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "photos"
    fakes.draw_folder(folder / part)
    line = fails("per_class.py", tmp_path, monkeypatch, capsys, folder)
    assert f"{folder} has {part} but no {other}: add a folder {other}" in line
    assert f"or give {folder / part} to cross-validate it" in line
    assert fake_engine.embedded == 0


def test_per_class_takes_a_class_called_train_for_one(run, fake_engine, tmp_path):
    folder = tmp_path / "photos"
    for number in range(6):
        fakes.draw(folder / "train" / f"{number}.png", (200, 40, 40), seed=number)
        fakes.draw(folder / "bus" / f"{number}.png", (40, 60, 200), seed=number)
    printed = run("per_class.py", folder)
    assert "12 images: 12 embedded" in printed
    assert "2 classes (bus, train), classifier logistic: cross-validated" in printed
    assert "accuracy 100.0 % " in printed


@pytest.mark.parametrize("parts", [True, False])
def test_per_class_counts_and_names_what_cannot_be_read(parts, run, fake_engine, tmp_path):
    folder = tmp_path / "photos"
    fakes.draw_folder(folder / "train" if parts else folder)
    place = folder
    if parts:
        place = fakes.draw_folder(folder / "test", each=2)
    for name in ("blue", "red"):
        (place / name / "000.png").write_bytes(b"")
    printed = run("per_class.py", folder)
    told = (
        "4 of 4 images right, 2 files not readable" if parts else "18 images: 16 embedded, 2 fail"
    )
    assert told in printed
    named = re.findall(r"^failed: (\S+): \w", printed, re.M)
    assert named == [f"{place}/{name}/000.png" for name in ("blue", "red")]


def test_per_class_lines_up_confusions_and_bars_of_twenty_classes_with_long_names(
    run, fake_engine, tmp_path
):
    import matplotlib.pyplot as plt

    folder = tmp_path / "photos"
    for number in range(20):  # all alike, so that many are mistaken
        for part, seed in (("train", 0), ("test", 20)):
            for row in range(3):
                name = f"Golden-Delicious-{number:02}"
                noise = 100 * number + seed + row
                fakes.draw(folder / part / name / f"{row}.png", (90, 120, 100), seed=noise)
    run("per_class.py", folder)
    figure = plt.gcf()
    matrix, bars, *mistakes = [ax for ax in figure.axes if ax.axison or ax.images]
    assert matrix.get_ylim() == bars.get_ylim()
    for side in ("y0", "y1"):
        left, right = (getattr(ax.get_window_extent(), side) for ax in (matrix, bars))
        assert left == pytest.approx(right, abs=1)
    assert matrix.get_position().width > 0.25
    titles = [ax.title.get_window_extent() for ax in mistakes]
    assert len(titles) == 10
    for left, right in pairwise(titles):
        assert left.x1 < right.x0
    assert "Delicious-" in mistakes[0].get_title()


def test_augmentation_compares_numbers_of_views(run, fake_engine):
    printed = run("augmentation.py", "--each", 5, "--views", 0, 1)
    assert "10 pictures of 2 classes" in printed
    assert re.findall(rf"^(\d) views: accuracy {ACCURACY}$", printed, re.M) == ["0", "1"]
    lead = r"^\d views lead \d by \d+\.\d points \(95 % interval -\d+\.\d to \d+\.\d\)$"
    assert re.search(lead, printed, re.M), printed


def test_augmentation_takes_a_number_of_views_once(run, fake_engine):
    printed = run("augmentation.py", "--each", 4, "--views", 0, 2, 2)
    assert re.findall(r"^(\d) views: accuracy", printed, re.M) == ["0", "2"]
    assert len(re.findall(r"^\d views lead \d by", printed, re.M)) == 1, printed


@pytest.fixture
def galleries(monkeypatch):
    """What stands in the gallery of a script, and the figure."""
    drawn = []

    def plot(paths, predicted, *, true, probabilities, **more):
        figure = real(paths, predicted, true=true, probabilities=probabilities, **more)
        names = [f"{Path(path).parent.name}/{Path(path).name}" for path in paths]
        drawn.append((names, list(predicted), list(true), list(probabilities), figure))
        return figure

    real = featx.plot_gallery
    monkeypatch.setattr("featx.charts.gallery.plot_gallery", plot)
    return drawn


def test_twenty_images_leaves_out_what_is_no_picture(run, fake_engine, galleries, tmp_path):
    folder = tmp_path / "photos"
    fakes.draw_folder(folder / "train", ["blue", "red"], each=4)
    fakes.draw_folder(folder / "test", ["blue", "red"], each=4, start=4)
    for part in ("train", "test"):
        (folder / part / "blue" / ".DS_Store").write_bytes(b"no picture")
        (folder / part / "blue" / "notes.txt").write_bytes(b"no picture")
    damaged = folder / "test" / "blue" / "000.png"  # the first of all
    damaged.write_bytes(b"")
    words = ["--classes", "blue", "red", "--backbone", "efficientnet_lite0", "--each", 4]
    printed = run("twenty_images.py", folder, *words)
    assert "8 pictures -> 8 x 9 features" in printed
    assert re.search(r"\d of 8 test pictures right", printed), printed
    assert re.findall(r"^failed: (.*): \w", printed, re.M) == [str(damaged)]
    ((names, predicted, true, shares, _),) = galleries
    assert sorted(names) == [f"{kind}/{n:03}.png" for kind in ("blue", "red") for n in range(4, 8)]
    assert true == [name.partition("/")[0] for name in names]
    classic = make_pipeline(VarianceThreshold(), MLPClassifier((100, 10), random_state=0))
    model = featx.train(folder / "train", classic, pooling="flatten")
    for name, label, share in zip(names, predicted, shares, strict=True):
        expected = model.predict_proba(folder / "test" / name)
        assert share == pytest.approx(expected.max(), abs=1e-6), name
        assert label == model.classes[expected.argmax()], name


def test_twenty_images_shows_mistakes_first_and_counts_all(run, fake_engine, galleries, tmp_path):
    folder = tmp_path / "photos"
    fakes.draw_folder(folder / "train", ["blue", "red"], each=4)
    fakes.draw_folder(folder / "test", ["blue", "red"], each=25)
    for number in range(3):  # mislabelled, and last of all
        fakes.draw(folder / "test" / "red" / f"z{number}.png", (40, 60, 200), seed=number)
    words = ["--classes", "blue", "red", "--backbone", "efficientnet_lite0"]
    printed = run("twenty_images.py", folder, *words)
    assert "50 of 53 test pictures right" in printed, printed
    ((names, predicted, true, _, figure),) = galleries
    assert sorted(names[:3]) == ["red/z0.png", "red/z1.png", "red/z2.png"]
    assert predicted[:3] == ["blue"] * 3
    assert true[3:] == predicted[3:]
    assert (true.count("blue"), true.count("red")) == (25, 28)
    assert figure.texts[0].get_text() == "50 of 53 right"


def test_a_saved_model_predicts_the_same_in_another_process(run, fruit, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shutil.copytree(fruit, tmp_path / "photos")
    words = ["--backbone", "pixels", "--classifier", "centroid"]
    printed = run("save_load_predict.py", tmp_path / "photos", *words)
    assert len(re.findall(r"^\w+_\d\d\.jpg +(?:banana|strawberry) +\d", printed, re.M)) == 8
    assert "this process says the same\n" in printed
    assert (tmp_path / "model.featx").stat().st_size > 1000


def test_a_saved_model_leaves_out_what_cannot_be_read(run, galleries, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = tmp_path / "photos"
    fakes.draw_folder(folder / "train", ["blue", "red"], each=3)
    fakes.draw_folder(folder / "test", ["blue", "red"], each=22)
    (folder / "test" / "blue" / "000.png").write_bytes(b"")
    fakes.draw(folder / "test" / "red" / "z.png", (40, 60, 200))  # mislabelled
    words = ["--backbone", "pixels", "--classifier", "centroid"]
    printed = run("save_load_predict.py", folder, *words)
    assert re.findall(r"^(\S+) +failed: \w", printed, re.M) == ["000.png"]
    assert "nan" not in printed
    assert "this process says the same\n" in printed
    ((names, predicted, true, _, figure),) = galleries
    assert dict(zip(names, predicted, strict=True))["red/z.png"] == "blue"
    assert "blue/000.png" not in names
    assert (true.count("blue"), true.count("red")) == (21, 23), true
    assert figure.texts[0].get_text() == "43 of 44 right"


# -- Their page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SCRIPTS, "which_backbone.ipynb"])
def test_the_page_of_examples_shows_each_one_with_a_picture(name):
    text = (EXAMPLES / "README.md").read_text()
    section = re.search(rf"^## [^\n]*`{re.escape(name)}`.*?(?=^## |\Z)", text, re.M | re.S)
    assert section, f"examples/README.md has no section of {name}"
    (picture,) = re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", section[0])
    assert (EXAMPLES / picture).stat().st_size < 150_000
    if name.endswith(".py"):
        assert f"python examples/{name}" in section[0]


def test_the_page_gives_the_command_of_every_row_of_the_table_of_flowers():
    text = (EXAMPLES / "README.md").read_text()
    section = re.search(r"^## `flowers.py`.*?(?=^## )", text, re.M | re.S)[0]
    commands = re.findall(r"^python examples/flowers.py (.*)$", section.replace("\\\n", ""), re.M)
    words = commands[-1].split()
    place = words.index("--backbones")
    assert words[:4] == ["grocery20/train", "--classifiers", "logistic", "centroid"]
    assert words[place + 1 :] == re.findall(r"^\| `(\w+)` \|", section, re.M)
    assert section.index("grocery20/train") < section.index("| `logistic` |")
