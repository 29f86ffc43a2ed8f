"""Exported files, each run in the runtime it is for, held against featx on photographs.

`python -m tests.benchmarks.export PHOTOS` takes a folder with a sub-folder for each class. A
hundred pictures go through each model and each of its files; the others train it, the default
network before the classifier. It prints the largest difference of a probability, and for int8 what
`featx export --quantize` tells: half of the hundred calibrate, and the others judge.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np

import featx
from featx.export.formats import FORMATS

CLASSIFIERS = ("logistic", "mlp", "pca-mlp", "svm", "svd-svm", "knn", "centroid")
CHECKED = 100  # photographs
QUANTIZED = ("logistic", "svm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", help="a folder with a sub-folder for each class")
    parser.add_argument("--classifiers", default=",".join(CLASSIFIERS))
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--only", choices=["float32", "int8"])
    words = parser.parse_args()
    warnings.simplefilter("ignore")
    images = featx.ImageFolder.scan(words.photos)
    chosen = set(np.linspace(0, len(images) - 1, CHECKED).round().astype(int).tolist())
    training = images.select([row for row in range(len(images)) if row not in chosen])
    others = images.select(sorted(chosen))
    names, formats = words.classifiers.split(","), words.formats.split(",")
    with tempfile.TemporaryDirectory() as folder:
        if words.only != "int8":
            print("| classifier |" + "".join(f" {each} |" for each in formats), flush=True)
            print("|---|" + "---:|" * len(formats), flush=True)
            for name in names:
                model = featx.train(training, classifier=name, progress=False)
                shown = [difference(model, each, others, Path(folder)) for each in formats]
                print(f"| `{name}` |" + "".join(f" {each} |" for each in shown), flush=True)
        if words.only != "float32":
            for name in sorted(set(names) & set(QUANTIZED)):
                model = featx.train(training, classifier=name, progress=False)
                for each in formats:
                    if FORMATS[each].quantizes:
                        quantized(name, model, each, others, Path(folder))


def difference(
    model: featx.ImageClassifier, kind: str, images: featx.ImageFolder, folder: Path
) -> str:
    """Export a model in float32, and return the largest difference of a probability."""
    path = folder / f"model{FORMATS[kind].suffix}"
    return f"{model.export(path, calibrate=images, progress=False).difference:.1e}"


def quantized(
    name: str, model: featx.ImageClassifier, kind: str, images: featx.ImageFolder, folder: Path
) -> None:
    """Export a model in int8, and print what became of it."""
    path = folder / f"model{FORMATS[kind].suffix}"
    made = model.export(path, quantize=True, calibrate=images, progress=False)
    print(f"{name}, {kind}: {made.size / 1e6:.1f} MB; {made.int8}", flush=True)


if __name__ == "__main__":
    main()
