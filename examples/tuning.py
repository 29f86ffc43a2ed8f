"""The best model in the time you have: networks, alone and joined, and classifiers, searched.

    python examples/tuning.py                            # the drawn fruit, one minute
    python examples/tuning.py PHOTOS --budget 10m        # PHOTOS/CLASS/*.jpg
    python examples/tuning.py PHOTOS --test OTHERS --model photos.featx

The favourite is what did best on other photographs; what is ahead of it beyond chance takes its
place, and what is promised is without the luck of the choice.
"""

import argparse
import sys
from pathlib import Path

import featx

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "train"
PICTURES = (".png", ".jpg", ".pdf", ".svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DRAWN)
    parser.add_argument("--budget", default="1m", help="such as 90s, 5m or 1h")
    parser.add_argument("--test", type=Path, help="labelled photographs to measure the model on")
    parser.add_argument("--model", type=Path, help="where to save it")
    parser.add_argument("--out", type=Path, default=Path("tuning.png"))
    options = parser.parse_args()
    out, model = options.out, options.model
    if out.is_dir() or not out.parent.is_dir() or out.suffix.lower() not in PICTURES:
        raise featx.FeatxError(f"cannot write {out}: expected a .png or .jpg in an existing folder")
    if model and (model.is_dir() or not model.parent.is_dir()):
        raise featx.FeatxError(f"cannot write {model}: expected a file in an existing folder")

    tuning = featx.tune(options.folder, options.budget, test=options.test)
    print(tuning.summary)
    if tuning.test:
        print(f"test {tuning.test.summary}")
    if model:
        tuning.model.save(model)
    figure = tuning.finalists.plot(kind="forest", width=8).figure
    figure.savefig(out, dpi=100, bbox_inches="tight")
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
