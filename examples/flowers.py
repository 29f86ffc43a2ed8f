"""Flowers by kind: several networks and classifiers, cross-validated, with their intervals.

    python examples/flowers.py                          # the drawn fruit of this project instead
    python examples/flowers.py flower_photos            # TensorFlow's: daisy/*.jpg, roses/*.jpg
    python examples/flowers.py 17flowers/jpg            # Oxford's: image_0001.jpg, 80 of each kind
    python examples/flowers.py flower_photos --each 50 --backbones resnet50 xception

A network whose weights are not on this machine is downloaded by Keras, once.
"""

import argparse
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import featx

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "train"
PICTURES = (".png", ".jpg", ".pdf", ".svg")
OXFORD_17 = [
    *("daffodil", "snowdrop", "lily of the valley", "bluebell", "crocus", "iris", "tigerlily"),
    *("tulip", "fritillary", "sunflower", "daisy", "coltsfoot", "dandelion", "cowslip"),
    *("buttercup", "windflower", "pansy"),
]


def flowers(folder: Path, each: int) -> pd.DataFrame:
    """List pictures with their kinds, at most `each` of a kind."""
    images = featx.ImageFolder.of(folder)
    table = pd.DataFrame({"path": images.paths, "label": images.labels})
    if not images.labelled:  # one flat folder: Oxford's kinds follow one another
        numbers = [re.search(r"image_(\d{4})\.jpg$", path) for path in images.paths]
        if not all(number and 0 < int(number[1]) <= 1360 for number in numbers):
            raise featx.FeatxError(f"{folder}: expected a sub-folder for each kind of flower")
        table["label"] = [OXFORD_17[(int(number[1]) - 1) // 80] for number in numbers]
    return table.groupby("label").head(each)


def draw(frame: pd.DataFrame, out: Path) -> None:
    """Draw the accuracy of every candidate with its interval, the best above."""
    figure, ax = plt.subplots(figsize=(7.5, 1.3 + 0.32 * len(frame)), layout="constrained")
    for color, label, rows in (
        ("#0b5fa5", "may be as good as the best", frame[frame.rival]),
        ("#b3450b", "clearly behind it", frame[~frame.rival]),
    ):
        if len(rows):
            low, high = rows.accuracy - rows.accuracy_low, rows.accuracy_high - rows.accuracy
            style = {"fmt": "o", "color": color, "label": label, "clip_on": False}
            ax.errorbar(100 * rows.accuracy, rows.index, xerr=(100 * low, 100 * high), **style)
    ax.set_yticks(frame.index, frame.candidate)
    ax.set(ylim=(len(frame) - 0.5, -0.5), xlabel="accuracy with its 95 % interval, %")
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--each", type=int, default=40, help="pictures per kind, at most")
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--classifiers", nargs="+", default=["logistic", "svm", "knn", "centroid"])
    parser.add_argument("--out", type=Path, default=Path("flowers.png"))
    options = parser.parse_args()
    out = options.out
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")

    if options.folder is None:
        print("no folder of flowers is named: these are the drawn bananas and strawberries")
    table = flowers(options.folder or DRAWN, options.each)
    print(f"{len(table)} pictures of {table.label.nunique()} kinds")
    comparison = featx.compare(table, options.backbones, classifiers=options.classifiers)
    print(comparison)
    draw(comparison.to_frame(), out)
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
