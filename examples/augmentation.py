"""What augmented views buy: cross-validated accuracy with 0, 2 and 4 views of each picture.

    python examples/augmentation.py                     # the drawn fruit of this project
    python examples/augmentation.py PHOTOS --each 5     # PHOTOS/CLASS/*.jpg, five of each class
    python examples/augmentation.py PHOTOS --views 0 4 8 --backbone resnet50

A view is the picture mirrored, a part of it, tilted, in another light. The classifier learns from
the views too, and its prediction is the mean over a picture and its views, which always stand on
the same side of a split.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import featx

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "train"
PICTURES = (".png", ".jpg", ".pdf", ".svg")


def draw(table: pd.DataFrame, accuracies: dict[int, featx.Estimate], out: Path) -> None:
    """Draw a picture of two classes with its views, and below them the accuracies."""
    shown = table.groupby("label").head(1)[:2]
    most = max(1, *accuracies)
    pixels = featx.embed(shown, "pixels", views=most, input_size=160, progress=False)
    figure = plt.figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.5, 1))
    for number, row in enumerate(above.subplots(len(pixels), most + 1, squeeze=False)):
        for place, (ax, view) in enumerate(zip(row, (pixels.X, *pixels.views), strict=True)):
            ax.imshow(view[number].astype("uint8"))
            ax.axis("off")
            if number == 0:
                ax.set_title(f"view {place}" if place else "picture", fontsize=9)

    ax = below.subplots()
    for place, accuracy in enumerate(accuracies.values()):
        low, value, high = (100 * x for x in (accuracy.low, accuracy.value, accuracy.high))
        ax.plot([low, high], [place, place], color="#0b5fa5", alpha=0.35, linewidth=4)
        ax.plot(value, place, "o", color="#0b5fa5", clip_on=False)
        ax.annotate(
            f"{value:.1f} %", (value, place), (0, 6), textcoords="offset points", ha="center"
        )
    ax.set_yticks(range(len(accuracies)), [f"{views} views" for views in accuracies])
    ax.set(ylim=(len(accuracies) - 0.5, -0.7), xlabel="accuracy with its 95 % interval, %")
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DRAWN)
    parser.add_argument("--each", type=int, default=10, help="pictures per class, at most")
    parser.add_argument("--views", nargs="+", type=int, default=[0, 2, 4])
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--classifier", default="logistic")
    parser.add_argument("--out", type=Path, default=Path("augmentation.png"))
    options = parser.parse_args()
    out = options.out
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")

    images = featx.ImageFolder.of(options.folder)
    if not images.labelled:
        raise featx.FeatxError(f"{options.folder} has no sub-folder for each class")
    table = pd.DataFrame({"path": images.paths, "label": images.labels})
    table = table.groupby("label").head(options.each)
    print(f"{len(table)} pictures of {table.label.nunique()} classes")
    numbers = dict.fromkeys(options.views)  # each once
    several = [featx.embed(table, options.backbone, views=views) for views in numbers]
    comparison = featx.compare(several, classifiers=options.classifier)  # on the same splits
    found = {len(each.features.views): each.accuracy for each in comparison.candidates}
    accuracies = {views: found[views] for views in numbers}
    for views, accuracy in accuracies.items():
        print(f"{views} views: accuracy {accuracy}")
    best, *others = found
    for views, lead in zip(others, comparison.leads[1:], strict=True):
        print(f"{best} views lead {views} by {lead.points}")
    draw(table, accuracies, out)
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
