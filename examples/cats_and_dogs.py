"""Cats and dogs from twenty photographs: ten of each to learn from, the others to test with.

    python examples/cats_and_dogs.py                    # the drawn fruit of this project instead
    python examples/cats_and_dogs.py dogs-vs-cats       # train/cat.0.jpg, train/dog.0.jpg, ...
    python examples/cats_and_dogs.py PetImages          # Cat/0.jpg, Dog/0.jpg, ...
    python examples/cats_and_dogs.py cats_and_dogs_filtered --each 10 --seed 3

The class of a photograph stands in its name or in that of a folder: cat.0.jpg, Cat, cats.
"""

import argparse
import random
import re
import sys
from pathlib import Path

import pandas as pd

import featx

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit"
PICTURES = (".png", ".jpg", ".pdf", ".svg")


def photographs(folder: Path, classes: list[str]) -> pd.DataFrame:
    """List the photographs of some classes below a folder, with their labels."""
    pattern = re.compile(rf"({'|'.join(classes)})(s|es)?([ ._-]?\d+)?(\.\w+)?", re.IGNORECASE)
    rows = []
    for path in featx.ImageFolder.of(folder).paths:
        names = map(pattern.fullmatch, reversed(Path(path).relative_to(folder).parts))
        if match := next(filter(None, names), None):
            rows.append({"path": path, "label": match[1].lower()})
    found = pd.DataFrame(rows, columns=["path", "label"])
    for label in classes:
        if (found.label == label).sum() < 3:
            raise featx.FeatxError(
                f"{folder} has {(found.label == label).sum()} pictures of a {label}: "
                f"expected names such as {label}.0.jpg or folders such as {label}s"
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--each", type=int, default=10, help="training pictures per class")
    parser.add_argument("--test", type=int, default=100, help="test pictures per class, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of pictures")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--out", type=Path, default=Path("cats_and_dogs.png"))
    options = parser.parse_args()
    out = options.out
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")

    folder, classes = options.folder, ["cat", "dog"]
    if folder is None:
        print("no folder of cats and dogs is named: these are the drawn bananas and strawberries")
        folder, classes = DRAWN, ["banana", "strawberry"]
    found = photographs(folder, classes)
    chosen = random.Random(options.seed)
    train, test = [], []
    for label in classes:
        paths = found.path[found.label == label].tolist()
        chosen.shuffle(paths)
        each = min(options.each, len(paths) - 1)
        train += [(path, label) for path in paths[:each]]
        test += [(path, label) for path in paths[each : each + options.test]]

    train, test = (pd.DataFrame(rows, columns=["path", "label"]) for rows in (train, test))
    model = featx.train(train, backbone=options.backbone, test=test)
    print(model.training.summary)
    print(model.training.test.by_class.round(2))
    model.training.test.gallery().savefig(out, dpi=100)  # mistakes first
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
