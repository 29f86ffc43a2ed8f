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
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import featx

PICTURES = (".png", ".jpg", ".pdf", ".svg")
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
# What numpy raises for a file that is missing, damaged or of something else.
UNREADABLE = (KeyError, TypeError, ValueError, OSError, EOFError, BadZipFile, zlib.error)


def read(source: str) -> list[featx.ImageFolder]:
    """Return labelled pictures to learn from, and to test with."""
    if source == "digits":
        digits = load_digits()
        parts = train_test_split(digits.images / 16, digits.target, random_state=0)
        arrays = [parts[0], parts[2], parts[1], parts[3]]
    elif Path(source).is_dir():
        parts = [featx.ImageFolder.of(Path(source) / part) for part in ("train", "test")]
        for images in parts:
            if not images.labelled:
                raise featx.FeatxError(f"{images.root} has no sub-folder for each class")
        return parts
    elif source in ("mnist", "cifar10"):
        import keras

        try:
            parts = getattr(keras.datasets, source).load_data()
        except Exception as error:  # Keras raises a bare one for all that the network does
            raise featx.FeatxError(
                f"{source} cannot be downloaded: {' '.join(str(error).split())}; give an .npz file "
                "of x_train, y_train, x_test and y_test, or a folder"
            ) from None
        arrays = [each for part in parts for each in part]
    else:
        try:
            with np.load(source) as file:
                arrays = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
        except UNREADABLE as error:
            raise featx.FeatxError(
                f"{source}: expected mnist, cifar10, a folder, or an .npz file of x_train, "
                f"y_train, x_test and y_test: {' '.join(str(error).split())}"
            ) from None
    try:
        parts = [featx.ImageFolder.of(arrays[n], arrays[n + 1]) for n in (0, 2)]
    except featx.FeatxError as error:
        raise featx.FeatxError(f"{source}: {error}") from None
    if Path(source).stem == "cifar10" and arrays[1].dtype.kind not in "OSU":
        parts = [replace(images, labels=cifar_names(source, images.labels)) for images in parts]
    return parts


def cifar_names(source: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Name the classes of CIFAR-10, which are numbered there."""
    names = {str(number): name for number, name in enumerate(CIFAR)}
    if unknown := sorted(set(map(str, labels)) - set(names)):
        raise featx.FeatxError(
            f"{source} has the label {unknown[0]}: expected 0 to 9, as in CIFAR-10; "
            "give a file of other pictures another name"
        )
    return tuple(names[str(label)] for label in labels)


def first(images: featx.ImageFolder, each: int) -> featx.ImageFolder:
    """Keep the first pictures of every class, at most `each` of it."""
    labels = np.array(images.labels, dtype=str)
    rows = [row for name in np.unique(labels) for row in np.flatnonzero(labels == name)[:each]]
    return replace(
        images,
        paths=tuple(images.paths[row] for row in rows),
        labels=tuple(images.labels[row] for row in rows),
    )


def draw(
    pixels: np.ndarray, results: dict[str, featx.Evaluation], history: pd.DataFrame, out: Path
) -> None:
    """Draw the learning curves, and below them what was predicted of a picture of each class."""
    figure = plt.figure(figsize=(9, 5.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.7, 1))
    loss, _ = featx.plot_history(history, above.subplots(1, 2))
    loss.set_ylim(bottom=-0.08 * loss.get_ylim()[1])  # a name beside a line stays off the axis
    above.suptitle("the network from scratch", fontsize=10)
    some = next(iter(results.values()))  # all have the same pictures
    truth = some.y_true
    below.suptitle(f"above: true; below: predicted by {', then by '.join(results)}", fontsize=10)
    rows = np.unique(truth, return_index=True)[1][:10]
    size = min(9, 100 / max(map(len, map(str, some.classes))))  # so that names do not touch
    for ax, row in zip(below.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        ax.imshow(pixels[row].astype(np.uint8))
        ax.set(xticks=[], yticks=[])
        ax.set_title(truth[row], fontsize=size)
        ax.set_xlabel("\n\n", fontsize=9)  # room for what stands there
        for line, result in enumerate(results.values()):
            color = "#1a7f37" if result.y_pred[row] == truth[row] else "#cf222e"
            style = {"color": color, "fontsize": size, "ha": "center", "transform": ax.transAxes}
            ax.text(0.5, -0.25 - 0.22 * line, result.y_pred[row], **style)
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", default="digits")
    parser.add_argument("--each", type=int, default=20, help="training pictures per class")
    parser.add_argument("--test", type=int, default=50, help="test pictures per class")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--epochs", type=int, default=100, help="at most, from scratch")
    parser.add_argument("--out", type=Path, default=Path("small_pictures.png"))
    options = parser.parse_args()
    out = options.out
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")

    train, test = read(options.source)
    train, test = first(train, options.each), first(test, options.test)
    print(f"{len(train)} pictures to learn from, {len(test)} to test with")
    seen, unseen = (featx.embed(images, "pixels", input_size=32) for images in (train, test))
    for outcome in (*seen.failed, *unseen.failed):
        print(outcome.failure)

    scratch = featx.make_classifier("cnn").set_params(epochs=options.epochs)
    models = {
        "cnn": featx.train(seen, scratch, test=unseen),
        options.backbone: featx.train(train, backbone=options.backbone, test=test),
    }
    results = {name: model.training.test for name, model in models.items()}
    for name, result in results.items():
        shares = result.probabilities / result.probabilities.sum(axis=1, keepdims=True)
        loss = log_loss(result.y_true, shares, labels=list(result.classes))
        print(f"{name:20} test accuracy {result.interval}, test loss {loss:.2f}")
    draw(unseen.X, results, models["cnn"].history, out)
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
