"""The drawn sample pictures: they can be drawn anew, and colour alone does not tell them apart."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

DATA = Path(__file__).resolve().parents[1] / "data"
FRUIT = DATA / "fruit"
PICTURES = sorted(FRUIT.rglob("*.jpg"))

# Mean absolute difference, 0 to 255. JPEG alone makes 2 to 4 of it.
CLOSE_ENOUGH = 6.0


@pytest.fixture(scope="module")
def draw_fruit():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DATA))
        yield importlib.import_module("draw_fruit")


def pixels(path, mode="RGB"):
    with Image.open(path) as image:
        return np.asarray(image.convert(mode))


def histogram(path, mode):
    """Return the shares of 8 x 8 x 8 colours."""
    bins = pixels(path, mode).reshape(-1, 3).astype(int) // 32
    counts = np.bincount(bins @ [64, 8, 1], minlength=512)
    return counts / counts.sum()


@pytest.mark.parametrize(("name", "index"), [("banana", 6), ("strawberry", 3)])
@pytest.mark.parametrize("part", ["train", "test"])
def test_drawing_anew_gives_the_pictures_in_the_repository(draw_fruit, part, name, index):
    index = index if part == "train" else 10 + index % 4
    (path,) = [p for p, *rest in draw_fruit.pictures() if rest == [name, index]]
    assert path.startswith(part)
    kept = pixels(FRUIT / path).astype(int)
    drawn = np.asarray(draw_fruit.draw(name, index, draw_fruit.SEED))
    assert drawn.shape == kept.shape, f"{path}: {drawn.shape} drawn, {kept.shape} kept"
    error = np.abs(drawn - kept).mean()
    assert error < CLOSE_ENOUGH, f"{path}: mean absolute difference {error:.1f}"


def test_the_script_lists_exactly_the_pictures_in_the_repository(draw_fruit):
    listed = {path for path, _, _ in draw_fruit.pictures()}
    kept = {path.relative_to(FRUIT).as_posix() for path in PICTURES}
    assert kept == listed, f"differ: {sorted(kept ^ listed)}"


@pytest.mark.parametrize(("part", "n"), [("train", 10), ("test", 4)])
@pytest.mark.parametrize("name", ["banana", "strawberry"])
def test_each_class_has_ten_pictures_to_train_and_four_to_test(part, n, name):
    found = list((FRUIT / part / name).glob("*.jpg"))
    assert len(found) == n, f"{len(found)} pictures in {part}/{name}"


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_pictures_are_small_files_of_300_to_420_pixels_a_side(path):
    height, width, _ = pixels(path).shape
    assert 300 <= min(width, height) <= max(width, height) <= 420, f"{width} x {height} px"
    assert 8_000 < path.stat().st_size < 35_000, f"{path.stat().st_size} bytes"


@pytest.mark.parametrize("mode", ["RGB", "HSV"])
@pytest.mark.parametrize(
    "model",
    [LogisticRegression(max_iter=2000), KNeighborsClassifier(1)],
    ids=["logistic-regression", "nearest-neighbour"],
)
def test_a_colour_histogram_does_not_tell_the_fruit_apart(mode, model):
    X = np.array([histogram(path, mode) for path in PICTURES])
    y = np.array([path.parent.name for path in PICTURES])
    train = np.array([path.parts[-3] == "train" for path in PICTURES])
    right = (model.fit(X[train], y[train]).predict(X[~train]) == y[~train]).sum()
    assert right <= 6, f"{right} of {(~train).sum()} test pictures right from colours alone"
