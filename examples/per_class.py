"""Class by class: precision, recall, what is taken for what, and the mistakes.

    python examples/per_class.py                 # scikit-learn's handwritten digits
    python examples/per_class.py PHOTOS          # PHOTOS/train/CLASS/*.jpg, PHOTOS/test/CLASS/*.jpg
    python examples/per_class.py PHOTOS/train    # without a test folder: cross-validated

Precision: of the pictures called a 3, how many are one. Recall: of the 3s, how many were found.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

import featx

PICTURES = (".png", ".jpg", ".pdf", ".svg")


def write_digits(folder: Path, each: int = 15) -> None:
    """Write the first digits of each class as pictures: `each` to learn from, as many to test."""
    digits = load_digits()
    for digit in range(10):
        for number, row in enumerate(np.flatnonzero(digits.target == digit)[: 2 * each]):
            place = folder / ("train" if number < each else "test") / str(digit)
            place.mkdir(parents=True, exist_ok=True)
            pixels = (digits.images[row] * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32)).save(place / f"{number:02}.png")


def draw(result: featx.Evaluation, out: Path) -> None:
    """Draw the confusions, precision and recall by class, and the surest mistakes."""
    n, wrong = len(result.classes), result.mistakes[:10]
    height = 2.4 + 0.24 * n
    figure = plt.figure(figsize=(9.5, height + (1.9 if len(wrong) else 0)), layout="constrained")
    above, below = (
        figure.subfigures(2, 1, height_ratios=(height, 1.9)) if len(wrong) else (figure, 0)
    )
    left, right = above.subplots(1, 2)
    result.plot(left)
    left.set_aspect("auto")  # its rows stand beside the bars, however many there are

    by_class = result.by_class
    for name, shift, color in (("precision", -0.19, "#0b5fa5"), ("recall", 0.19, "#9bc1e3")):
        right.barh(np.arange(n) + shift, 100 * by_class[name], 0.36, color=color, label=name)
    right.set_yticks(range(n), by_class.index)
    right.set(ylim=(n - 0.5, -0.5), xlim=(0, 100), xlabel="%")
    right.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    right.spines[["top", "right"]].set_visible(False)

    if len(wrong):
        below.suptitle(f"the surest of {len(result.mistakes)} mistakes", fontsize=10)
        for ax, row in zip(below.subplots(1, 10), wrong.itertuples(), strict=False):
            picture = ImageOps.exif_transpose(Image.open(row.path)).convert("RGB")
            ax.imshow(ImageOps.fit(picture, (120, 120)))
            title = "\n".join((*wrap(row.predicted, 14)[:2], *wrap(f"is {row.true}", 14)[:2]))
            ax.set_title(title, fontsize=7, color="#cf222e")
        for ax in below.axes:
            ax.axis("off")
    figure.savefig(out, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--classifier", default="logistic")
    parser.add_argument("--out", type=Path, default=Path("per_class.png"))
    options = parser.parse_args()
    out = options.out
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")

    with tempfile.TemporaryDirectory() as beside:
        folder = options.folder or Path(beside)
        if options.folder is None:
            write_digits(folder)
        parts = [part for part in ("train", "test") if (folder / part).is_dir()]
        if len(parts) == 1 and any(folder.glob(f"{parts[0]}/*/")):  # not a class called so
            other = "test" if parts == ["train"] else "train"
            raise featx.FeatxError(
                f"{folder} has {parts[0]} but no {other}: add a folder {other} with a "
                f"sub-folder for each class, or give {folder / parts[0]} to cross-validate it"
            )
        train, measured = folder, {"validation": True}
        if len(parts) == 2:
            train, measured = folder / "train", {"test": folder / "test"}
        model = featx.train(train, options.classifier, backbone=options.backbone, **measured)
        print(model.training.summary)
        result = model.training.test or model.training.validation
        print(result.by_class.round(2))
        for row in result.mistakes[:5].itertuples():
            print(f"{Path(row.path).name}: taken for {row.predicted}, is {row.true}")
        draw(result, out)
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
