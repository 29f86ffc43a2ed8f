"""The classic example: ten bananas, ten strawberries, a frozen network and a small perceptron.

    python examples/twenty_images.py                # the drawn fruit of this project
    python examples/twenty_images.py PHOTOS         # PHOTOS/train/banana, PHOTOS/test/banana, ...
    python examples/twenty_images.py fruits-360     # its Training and Test folders
    python examples/twenty_images.py PHOTOS --classes cat dog --backbone vgg16

ResNet50 turns each picture into 100,352 numbers (its last map, flattened); columns that never
change are dropped, and a perceptron of 100 and 10 units learns the rest from twenty pictures.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from sklearn.feature_selection import VarianceThreshold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

import featx

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit"
PICTURES = (".png", ".jpg", ".pdf", ".svg")


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
            raise featx.FeatxError(f"{folder} has no folder of {name}")
        rows += [{"path": path, "label": name} for path in found[:each]]
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DRAWN)
    parser.add_argument("--classes", nargs="+", default=["banana", "strawberry"])
    parser.add_argument("--each", type=int, default=10, help="training pictures per class")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--out", type=Path, default=Path("twenty_images.png"))
    options = parser.parse_args()
    out = options.out
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")

    found = options.folder.iterdir() if options.folder.is_dir() else ()
    parts = {part.name.lower(): part for part in found if part.is_dir()}
    training = parts.get("train") or parts.get("training")
    if training is None or "test" not in parts:
        raise featx.FeatxError(f"{options.folder}: expected a folder that has train and test in it")
    train = pictures(training, options.classes, options.each)
    test = pictures(parts["test"], options.classes, None)

    features, held_out = (
        featx.embed(table, options.backbone, pooling="flatten", weights=options.weights)
        for table in (train, test)
    )
    print(f"{len(features)} pictures -> {' x '.join(map(str, features.X.shape))} features")

    classic = make_pipeline(VarianceThreshold(), MLPClassifier((100, 10), random_state=0))
    result = featx.train(features, classic, test=held_out).training.test
    right = (result.y_true == result.y_pred).sum()
    print(f"{right} of {len(held_out)} test pictures right", *result.notes, sep="\n")
    for outcome in (*features.failed, *held_out.failed):
        print(outcome.failure)
    print(result.by_class.round(2))
    result.gallery().savefig(out, dpi=100)  # mistakes first
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
