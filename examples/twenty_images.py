"""The classic example: ten bananas, ten strawberries, a frozen network and a small perceptron.

    python examples/twenty_images.py                # the drawn fruit of this project
    python examples/twenty_images.py PHOTOS         # PHOTOS/train/banana, PHOTOS/test/banana, ...
    python examples/twenty_images.py fruits-360     # its Training and Test folders
    python examples/twenty_images.py PHOTOS --classes cat dog --backbone vgg16

ResNet50 turns each picture into 100,352 numbers (its last map, flattened); columns that never
change are dropped, and a perceptron of 100 and 10 units learns the rest from twenty pictures.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_selection import VarianceThreshold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

import featx
from featx.files import PICTURES, check_writable

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit"


def pictures(folder: Path, classes: list[str], each: int | None) -> pd.DataFrame:
    """List the pictures of some classes, at most `each` of a class, with their labels.

    A folder belongs to a class if its name begins with it: "Banana 1" is a banana.
    """
    rows = []
    for name in classes:
        found = [
            path
            for place in sorted(folder.iterdir())
            if place.is_dir() and place.name.lower().startswith(name.lower())
            for path in featx.ImageFolder.of(place).paths
        ]
        if not found:
            raise SystemExit(f"error: {folder} has no folder of {name}")
        rows += [{"path": path, "label": name} for path in found[:each]]
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DRAWN)
    parser.add_argument("--classes", nargs="+", default=["banana", "strawberry"])
    parser.add_argument("--each", type=int, default=10, help="training pictures of a class")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--out", type=Path, default=Path("twenty_images.png"))
    options = parser.parse_args()
    check_writable(options.out, PICTURES)

    found = options.folder.iterdir() if options.folder.is_dir() else ()
    parts = {part.name.lower(): part for part in found if part.is_dir()}
    training = parts.get("train") or parts.get("training")
    if training is None or "test" not in parts:
        raise SystemExit(
            f"error: {options.folder}: expected a folder that has train and test in it"
        )
    train = pictures(training, options.classes, options.each)
    test = pictures(parts["test"], options.classes, None)

    features = featx.embed(train, options.backbone, pooling="flatten", weights=options.weights)
    print(f"{len(features)} pictures -> {' x '.join(map(str, features.X.shape))} features")

    classic = make_pipeline(VarianceThreshold(), MLPClassifier((100, 10), random_state=0))
    model = featx.train(features, classic)

    held_out = model.features(test)
    result = model.evaluate(held_out)
    right = result.y_true == result.y_pred
    print(f"{right.sum()} of {len(right)} test pictures right")
    for failed in (*features.failed, *held_out.failed):
        print(f"{failed.path} cannot be read and is left out: {failed.reason}")
    print(result.report.round(2))

    # Mistakes first, and within them and the others the classes in turn.
    turn = pd.DataFrame({"right": right, "label": result.y_true}).groupby(["right", "label"])
    shown = np.lexsort((turn.cumcount(), right))[:40]
    figure = featx.plot_gallery(
        result.paths[shown],
        result.y_pred[shown],
        true=result.y_true[shown],
        probabilities=result.certainty[shown],
    )
    if len(shown) < len(right):
        counted = f"{right.sum()} of {len(right)} right; {len(shown)} of {len(right)} shown"
        figure.texts[0].set_text(f"{counted}, mistakes first")
    figure.savefig(options.out, dpi=100)
    print(f"look at {options.out}")


if __name__ == "__main__":
    try:
        main()
    except featx.FeatxError as error:
        raise SystemExit(f"error: {error}") from None
