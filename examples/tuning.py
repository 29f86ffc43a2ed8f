"""The best model in the time you have: networks, views, classifiers and penalties, searched.

    python examples/tuning.py                            # the drawn fruit, one minute
    python examples/tuning.py PHOTOS --budget 10m        # PHOTOS/CLASS/*.jpg
    python examples/tuning.py PHOTOS --test OTHERS --model photos.featx

What is tried is judged on photographs like those learned from, and on other scenes, which are
held out whole; the choice is by the mean of both, and what is promised is without its luck.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

import featx
from featx.files import PICTURES, check_writable
from featx.learning.labels import require_known

DRAWN = Path(__file__).resolve().parents[1] / "data" / "fruit" / "train"


def draw(tuning: featx.Tuning, out: Path) -> None:
    """Draw the accuracies of what was tried: like these photographs, and of other scenes."""
    frame = tuning.frame[::-1]
    figure, ax = plt.subplots(figsize=(7, 5.5), layout="constrained")
    sure = frame.rounds == frame.rounds.max()
    for rows, shade, label in ((~sure, 0.25, "left early"), (sure, 0.8, "finalists")):
        x, y = 100 * frame.accuracy[rows], 100 * frame.accuracy_elsewhere[rows]
        ax.plot(x, y, "o", color="#0b5fa5", alpha=shade, mec="none", label=label, clip_on=False)
    places = (100 * frame[["accuracy", "accuracy_elsewhere"]]).round(6).value_counts()
    for place, count in places[places > 1].items():  # which lie on one another
        ax.annotate(f"×{count}", place, (7, 4), textcoords="offset points", fontsize=8)
    best = tuning.frame.iloc[0]
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
    check_writable(options.out, PICTURES)
    if options.model:
        check_writable(options.model)
    if options.test:  # a mistake is told before the search
        classes = featx.ImageFolder.of(options.folder).classes
        require_known(featx.ImageFolder.of(options.test).labels, classes)

    tuning = featx.tune(options.folder, options.budget)
    print(tuning.verdict)
    print(f"on photographs like these expect {tuning.accuracy}")
    print(f"on those of other scenes {tuning.accuracy_elsewhere}")
    if options.test:
        print(f"on {options.test} it reads {tuning.model.evaluate(options.test).interval}")
    if options.model:
        tuning.model.save(options.model)
    draw(tuning, options.out)
    print(f"look at {options.out}")


if __name__ == "__main__":
    try:
        main()
    except featx.FeatxError as error:
        raise SystemExit(f"error: {error}") from None
