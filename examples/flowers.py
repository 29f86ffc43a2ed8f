"""Flowers by kind: several networks and classifiers, cross-validated, with their intervals.

    python examples/flowers.py                          # the drawn fruit of this project instead
    python examples/flowers.py flower_photos            # TensorFlow's: daisy/*.jpg, roses/*.jpg
    python examples/flowers.py 17flowers/jpg            # Oxford's: image_0001.jpg, 80 of each kind
    python examples/flowers.py flower_photos --each 50 --backbones resnet50 xception

A network whose weights are not on this machine is downloaded by Keras, once.
"""

import argparse
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import featx
from featx.files import PICTURES, check_writable

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "train"
OXFORD_17 = [
    *("daffodil", "snowdrop", "lily of the valley", "bluebell", "crocus", "iris", "tigerlily"),
    *("tulip", "fritillary", "sunflower", "daisy", "coltsfoot", "dandelion", "cowslip"),
    *("buttercup", "windflower", "pansy"),
]
COLORS = ["#0b5fa5", "#b3450b", "#1a7f37", "#6b3fa0", "#8a6d00", "#5b6770"]


def flowers(folder: Path, each: int) -> pd.DataFrame:
    """List pictures with their kinds, at most `each` of a kind."""
    images = featx.ImageFolder.of(folder)
    table = pd.DataFrame({"path": images.paths, "label": images.labels})
    if not images.labelled:  # one flat folder: Oxford's kinds follow one another
        numbers = [re.search(r"image_(\d{4})\.jpg$", path) for path in images.paths]
        if not all(number and 0 < int(number[1]) <= 1360 for number in numbers):
            raise SystemExit(f"error: {folder}: expected a sub-folder for each kind of flower")
        table["label"] = [OXFORD_17[(int(number[1]) - 1) // 80] for number in numbers]
    return table.groupby("label").head(each)


def draw(comparison: featx.Comparison, title: str, out: Path) -> None:
    """Draw the accuracy of every candidate with its interval, the best above."""
    candidates = comparison.candidates
    networks = sorted({each.features.recipe.backbone for each in candidates})
    figure, ax = plt.subplots(figsize=(7.5, 1.3 + 0.32 * len(candidates)), layout="constrained")
    for place, each in enumerate(candidates):
        low, value, high = (
            100 * x for x in (each.accuracy.low, each.accuracy.value, each.accuracy.high)
        )
        color = COLORS[networks.index(each.features.recipe.backbone) % len(COLORS)]
        ax.plot([low, high], [place, place], color=color, alpha=0.4, linewidth=3)
        ax.plot(value, place, "o" if each in comparison.rivals else "x", color=color)
    ax.set_yticks(range(len(candidates)), [each.name for each in candidates])
    ax.set(ylim=(len(candidates) - 0.5, -0.5), xlabel="accuracy with its 95 % interval, %")
    if len(comparison.rivals) < len(candidates):
        title += "; a cross is clearly behind the best"
    ax.set_title(title, fontsize=10, loc="left")
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--each", type=int, default=40, help="pictures of a kind, at most")
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--classifiers", nargs="+", default=["logistic", "svm", "knn", "centroid"])
    parser.add_argument("--out", type=Path, default=Path("flowers.png"))
    options = parser.parse_args()
    check_writable(options.out, PICTURES)

    if options.folder is None:
        print("no folder of flowers is named: these are the drawn bananas and strawberries")
    table = flowers(options.folder or DRAWN, options.each)
    print(f"{len(table)} pictures of {table.label.nunique()} kinds")
    comparison = featx.compare(table, options.backbones, classifiers=options.classifiers)
    for candidate in comparison.candidates:
        print(f"{candidate.name:30} {candidate.accuracy}")
    print(comparison.verdict)
    draw(comparison, f"{len(table)} pictures, {table.label.nunique()} kinds", options.out)
    print(f"look at {options.out}")


if __name__ == "__main__":
    try:
        main()
    except featx.FeatxError as error:
        raise SystemExit(f"error: {error}") from None
