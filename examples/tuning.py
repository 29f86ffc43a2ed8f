"""The best model in the time you have: networks, views, classifiers and settings, searched.

    python examples/tuning.py                            # the drawn fruit, one minute
    python examples/tuning.py PHOTOS --budget 10m        # PHOTOS/CLASS/*.jpg
    python examples/tuning.py PHOTOS --test OTHERS --model photos.featx

What is tried is judged on photographs like those learned from, and on other scenes, which are
held out whole; the choice is by the mean of both, and what is promised is without its luck.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt

import featx

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "train"
PICTURES = (".png", ".jpg", ".pdf", ".svg")


def draw(tuning: featx.Tuning, out: Path) -> None:
    """Draw the accuracies of what was tried: like these photographs, and of other scenes."""
    frame = tuning.to_frame()[::-1]  # the chosen one last
    figure, ax = plt.subplots(figsize=(7, 5.5), layout="constrained")
    sure = frame.rounds == frame.rounds.max()
    for rows, shade, label in ((~sure, 0.25, "left early"), (sure, 0.8, "finalists")):
        x, y = 100 * frame.accuracy[rows], 100 * frame.accuracy_elsewhere[rows]
        ax.plot(x, y, "o", color="#0b5fa5", alpha=shade, mec="none", label=label, clip_on=False)
    places = (100 * frame[["accuracy", "accuracy_elsewhere"]]).round(6).value_counts()
    for place, count in places[places > 1].items():  # which lie on one another
        ax.annotate(f"×{count}", place, (7, 4), textcoords="offset points", fontsize=8)
    best = frame.iloc[-1]
    x, y = 100 * best.accuracy, 100 * best.accuracy_elsewhere
    ax.plot(x, y, "o", ms=13, mfc="none", mec="#b3450b", mew=2, label=best.candidate, clip_on=False)
    ax.set(xlabel="accuracy on photographs like these, %", ylabel="on those of other scenes, %")
    ax.grid(color="#d9dee2")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=3, frameon=False)
    figure.savefig(out, dpi=100)


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
    draw(tuning, out)
    print(f"look at {out}")


if __name__ == "__main__":
    try:
        main()
    except (featx.FeatxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
