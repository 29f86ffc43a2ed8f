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

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

import featx

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def read(source: str) -> tuple[np.ndarray, ...]:
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
            size = opened[0].size
            arrays += [np.stack([image.resize(size) for image in opened]), np.array(images.labels)]
    elif source in ("mnist", "cifar10"):
        import keras

        arrays = [each for part in getattr(keras.datasets, source).load_data() for each in part]
    elif Path(source).is_file():
        try:
            with np.load(source) as file:
                arrays = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
        except (KeyError, ValueError, OSError) as error:
            raise SystemExit(f"error: {source} is no .npz with x_train and so on: {error}") from None
    else:
        raise SystemExit(f"error: {source}: expected mnist, cifar10, an .npz file or a folder")
    colours = arrays[0].ndim == 4 and "cifar" in source
    for place in (1, 3):
        labels = arrays[place].ravel()
        named = colours and labels.dtype.kind in "iu"
        arrays[place] = np.array([CIFAR[each] if named else str(each) for each in labels])
    return tuple(arrays)


def first(labels: np.ndarray, each: int) -> np.ndarray:
    """Return the rows of the first pictures of every class, at most `each` of it."""
    return np.concatenate([np.flatnonzero(labels == name)[:each] for name in np.unique(labels)])


def draw(pictures: np.ndarray, results: dict, history, out: Path) -> None:
    """Draw the learning curves, and below them what was predicted of two pictures a class."""
    figure = plt.figure(figsize=(9, 6.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.1))
    featx.plot_history(history, above.subplots(1, 2))
    above.suptitle("a network from scratch, by epoch", fontsize=10)
    truth = results["cnn"].y_true
    rows = first(truth, 2).reshape(-1, 2).T.ravel()  # one of each class above another
    axes = below.subplots(2, len(rows) // 2, squeeze=False).ravel()
    below.suptitle("true, by the features, from scratch", fontsize=10)
    for ax, row in zip(axes, rows, strict=True):
        ax.imshow(pictures[row], cmap="gray")
        ax.set(xticks=[], yticks=[])
        ax.set_title(truth[row], fontsize=8, pad=3)
        for place, result in enumerate(reversed(results.values())):
            guess = result.y_pred[row]
            color = "#1a7f37" if guess == truth[row] else "#cf222e"
            ax.text(
                *(0.5, -0.06 - 0.2 * place, guess),
                **{"transform": ax.transAxes, "color": color, "fontsize": 8},
                **{"ha": "center", "va": "top"},
            )
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", default="digits")
    parser.add_argument("--each", type=int, default=20, help="training pictures of a class")
    parser.add_argument("--test", type=int, default=20, help="test pictures of a class")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--epochs", type=int, default=100, help="at most, from scratch")
    parser.add_argument("--out", type=Path, default=Path("small_pictures.png"))
    options = parser.parse_args()

    x_train, y_train, x_test, y_test = read(options.source)
    rows, held_out = first(y_train, options.each), first(y_test, options.test)
    x_train, y_train, x_test, y_test = x_train[rows], y_train[rows], x_test[held_out], y_test[held_out]
    print(f"{len(x_train)} pictures to learn from, {len(x_test)} to test with")

    scratch = featx.make_classifier("cnn").set_params(epochs=options.epochs)
    models = {
        "cnn": featx.train(x_train, scratch, labels=y_train),
        options.backbone: featx.train(x_train, labels=y_train, backbone=options.backbone),
    }
    results = {name: model.evaluate(x_test, y_test) for name, model in models.items()}
    for name, result in results.items():
        loss = log_loss(result.y_true, result.probabilities, labels=list(result.classes))
        print(f"{name:20} test accuracy {result.interval}, test loss {loss:.2f}")
    draw(x_test, results, models["cnn"].history, options.out)
    print(f"look at {options.out}")


if __name__ == "__main__":
    try:
        main()
    except featx.FeatxError as error:
        raise SystemExit(f"error: {error}") from None
