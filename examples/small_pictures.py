"""MNIST or CIFAR-10: a network from scratch beside frozen features, with learning curves.

    python examples/small_pictures.py                # scikit-learn's digits, nothing to download
    python examples/small_pictures.py mnist          # Keras downloads it; so with cifar10
    python examples/small_pictures.py mnist.npz      # x_train, y_train, x_test and y_test
    python examples/small_pictures.py FOLDER         # FOLDER/train/CLASS/*.png, FOLDER/test/...
    python examples/small_pictures.py cifar10 --each 100 --backbone resnet50

The network from scratch ("cnn") sees the pixels and nothing else. The features are those of a
network that knows ImageNet, and a logistic regression learns from them. Test loss is the log-loss:
what a probability that was too sure costs.
"""

import argparse
from pathlib import Path
from zipfile import BadZipFile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import featx
from featx.files import check_writable

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def read(source: str) -> list[np.ndarray]:
    """Return pictures and labels to learn from, and pictures and labels to test with."""
    if source == "digits":
        digits = load_digits()
        parts = train_test_split(digits.images / 16, digits.target, random_state=0)
        arrays = [parts[0], parts[2], parts[1], parts[3]]
    elif Path(source).is_dir():
        arrays = []
        for part in ("train", "test"):
            images = featx.ImageFolder.of(Path(source) / part)
            if not images.labelled:
                raise SystemExit(f"error: {source}/{part} has no sub-folder for each class")
            opened = [Image.open(path).convert("RGB") for path in images.paths]
            same_size = [np.asarray(image.resize(opened[0].size)) for image in opened]
            arrays += [np.stack(same_size), np.array(images.labels)]
    elif source in ("mnist", "cifar10"):
        import keras

        arrays = [each for part in getattr(keras.datasets, source).load_data() for each in part]
    else:
        try:
            with np.load(source) as file:
                arrays = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
        except (KeyError, ValueError, OSError, BadZipFile) as error:
            raise SystemExit(f"error: {source}: expected an .npz of x_train ...: {error}") from None
    for place in (1, 3):
        numbered = arrays[place].dtype.kind in "iu"
        names = CIFAR if numbered and Path(source).stem == "cifar10" else None
        arrays[place] = np.array([names[y] if names else str(y) for y in arrays[place].ravel()])
    return arrays


def first(labels: np.ndarray, each: int) -> np.ndarray:
    """Return the rows of the first pictures of every class, at most `each` of it."""
    return np.concatenate([np.flatnonzero(labels == name)[:each] for name in np.unique(labels)])


def draw(pictures: np.ndarray, results: dict, history: pd.DataFrame, out: Path) -> None:
    """Draw the learning curves, and below them what was predicted of a picture of each class."""
    figure = plt.figure(figsize=(9, 5.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.7, 1))
    featx.plot_history(history, above.subplots(1, 2))
    above.suptitle("the network from scratch", fontsize=10)
    truth = next(iter(results.values())).y_true
    below.suptitle(f"above: true; below: predicted by {', then by '.join(results)}", fontsize=10)
    rows = first(truth, 1)[:10]
    for ax, row in zip(below.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        ax.imshow(pictures[row], cmap="gray")
        ax.set(xticks=[], yticks=[])
        ax.set_title(truth[row], fontsize=9)
        ax.set_xlabel("\n\n", fontsize=9)  # room for what stands there
        for line, result in enumerate(results.values()):
            color = "#1a7f37" if result.y_pred[row] == truth[row] else "#cf222e"
            style = {"color": color, "fontsize": 9, "ha": "center", "transform": ax.transAxes}
            ax.text(0.5, -0.25 - 0.22 * line, result.y_pred[row], **style)
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", default="digits")
    parser.add_argument("--each", type=int, default=20, help="training pictures of a class")
    parser.add_argument("--test", type=int, default=50, help="test pictures of a class")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--epochs", type=int, default=100, help="at most, from scratch")
    parser.add_argument("--out", type=Path, default=Path("small_pictures.png"))
    options = parser.parse_args()
    if options.out.suffix.lower() not in (".png", ".jpg", ".pdf", ".svg"):
        raise SystemExit(f"error: {options.out}: expected a name in .png, .jpg, .pdf or .svg")
    check_writable(options.out)

    x_train, y_train, x_test, y_test = read(options.source)
    rows = first(y_train, options.each)
    x_train, y_train = x_train[rows], y_train[rows]
    rows = first(y_test, options.test)
    x_test, y_test = x_test[rows], y_test[rows]
    print(f"{len(x_train)} pictures to learn from, {len(x_test)} to test with")

    scratch = featx.make_classifier("cnn").set_params(epochs=options.epochs)
    models = {
        "cnn": featx.train(x_train, scratch, labels=y_train),
        options.backbone: featx.train(x_train, labels=y_train, backbone=options.backbone),
    }
    results = {name: model.evaluate(x_test, y_test) for name, model in models.items()}
    for name, result in results.items():
        shares = result.probabilities / result.probabilities.sum(axis=1, keepdims=True)
        loss = log_loss(result.y_true, shares, labels=list(result.classes))
        print(f"{name:20} test accuracy {result.interval}, test loss {loss:.2f}")
    draw(x_test, results, models["cnn"].history, options.out)
    print(f"look at {options.out}")


if __name__ == "__main__":
    try:
        main()
    except featx.FeatxError as error:
        raise SystemExit(f"error: {error}") from None
