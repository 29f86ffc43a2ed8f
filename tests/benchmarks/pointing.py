"""Whether explanations point at what they explain: two pictures in one, each on its own half.

    python -m tests.benchmarks.pointing FOLDER... [--backbones A B] [--classifiers logistic knn]
        [--pairs 200] [--method auto] [--budget 256] [--test FOLDER...] [--head]

Two pictures of different classes stand side by side in one, which the network sees as a square. The
map of each class has to fall on its own half: its mean there is larger than on the other half. A
pair is right where both maps do. The model learns from two thirds of each class of a folder, and
pairs are drawn from the others, or from a folder to test with, once everything is chosen.

With `--head` it is the network's own classifier of ImageNet instead, and the number of the class is
the last in the name of a picture, as in `imagenet_07_609.jpg`; then nothing is learned.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps
from sklearn.linear_model import LogisticRegression

import featx
from featx.explanation.class_map import resized

from .classifiers import markdown

_SIDE = 256  # pixels of each picture of a pair


def side_by_side(left: str, right: str) -> np.ndarray:
    """Put two pictures into one, each squashed to a square."""
    whole = Image.new("RGB", (2 * _SIDE, _SIDE))
    for place, path in ((0, left), (_SIDE, right)):
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        whole.paste(upright.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR), (place, 0))
    return np.asarray(whole)


def drawn_pairs(labels: Sequence[Any], n: int, seed: int = 0) -> list[tuple[int, int]]:
    """Draw pairs of pictures of different classes, all there are or so many."""
    rows = range(len(labels))
    every = [(i, j) for i in rows for j in rows if i < j and labels[i] != labels[j]]
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(every))[:n]
    turned = random.random(len(chosen)) < 0.5
    return [every[k][::-1] if turn else every[k] for k, turn in zip(chosen, turned, strict=True)]


def lead(heat: np.ndarray) -> float:
    """Return by how much more the left half of a map says than the right one, on average."""
    even = resized(heat, heat.shape[0], 2 * heat.shape[1])
    middle = heat.shape[1]
    return float(even[:, :middle].mean() - even[:, middle:].mean())


def points_left(heat: np.ndarray) -> bool:
    """Whether the place that says most is in the left half."""
    return bool(heat.max(axis=0).argmax() + 0.5 < heat.shape[1] / 2)


def judged(model: Any, paths: Sequence[str], labels: Sequence[Any], options: Any) -> dict[str, Any]:
    """Explain pairs for both of their classes, and count what is right."""
    pairs = drawn_pairs(labels, options.pairs)
    own, peaks, start = [], [], time.process_time()
    with model.session() as session:
        for one, other in pairs:
            picture = side_by_side(paths[one], paths[other])
            heats = [
                model.explain(
                    picture,
                    label=labels[each],
                    method=options.method,
                    budget=options.budget,
                    session=session,
                ).heat
                for each in (one, other)
            ]
            own.append([lead(heats[0]) > 0, lead(heats[1]) < 0])
            peaks.append([points_left(heats[0]), not points_left(heats[1])])
    halves, tops = np.array(own), np.array(peaks)
    return {
        "pairs": len(pairs),
        "both right": f"{100 * halves.all(axis=1).mean():.1f} %",
        "maps right": f"{100 * halves.mean():.1f} %",
        "peaks right": f"{100 * tops.mean():.1f} %",
        "CPU seconds a map": f"{(time.process_time() - start) / (2 * len(pairs)):.3f}",
    }


def divided(folder: str, seed: int = 0) -> tuple[list[str], list[Any], list[str], list[Any]]:
    """Divide a folder: two thirds of each class to learn from, and the others."""
    images = featx.ImageFolder.of(folder)
    labels, random = np.array(images.labels), np.random.default_rng(seed)
    learned = np.zeros(len(labels), bool)
    for name in images.classes:
        rows = random.permutation(np.flatnonzero(labels == name))
        learned[rows[: -(-2 * len(rows) // 3)]] = True
    paths = np.array(images.paths, object)
    return (
        *(paths[learned].tolist(), labels[learned].tolist()),
        *(paths[~learned].tolist(), labels[~learned].tolist()),
    )


def imagenet_model(backbone: str) -> Any:
    """Make a model of a network with its own classifier of the thousand classes of ImageNet."""
    loaded = featx.Backbone.load(backbone, layer="predictions")
    network, _ = loaded.source.network("predictions", None, loaded.input_size)
    kernel, bias = next(
        layer.get_weights() for layer in reversed(network.layers) if len(layer.get_weights()) == 2
    )
    head = LogisticRegression()
    head.classes_ = np.arange(1000)
    head.coef_, head.intercept_ = kernel.reshape(-1, 1000).T.astype(float), bias.astype(float)
    head.n_features_in_ = head.coef_.shape[1]
    picture = np.zeros((8, 8, 3), np.uint8)
    recipe = featx.embed([picture], backbone, progress=False, cache=False).recipe
    return featx.ImageClassifier(head, recipe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--classifiers", nargs="+", default=["logistic"])
    parser.add_argument("--poolings", nargs="+", default=["avg"])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--budget", type=int, default=256)
    parser.add_argument("--test", nargs="+", default=[])
    parser.add_argument("--head", action="store_true")
    options = parser.parse_args()
    rows = []
    for number, folder in enumerate(options.folders):
        for backbone in options.backbones:
            about = {"pictures": Path(folder).resolve().parent.name, "network": backbone}
            if options.head:
                paths = [str(each) for each in sorted(Path(folder).iterdir())]
                labels = [int(re.findall(r"\d+", each)[-1]) for each in paths]
                found = judged(imagenet_model(backbone), paths, labels, options)
                rows.append({**about, "classifier": "its own", **found})
                continue
            learned, known, paths, labels = divided(folder)
            if options.test:
                images = featx.ImageFolder.of(folder)
                learned, known = list(images.paths), list(images.labels)
                new = featx.ImageFolder.of(options.test[number])
                paths, labels = list(new.paths), list(new.labels)
            for classifier in options.classifiers:
                for pooling in options.poolings:
                    model = featx.train(
                        learned,
                        labels=known,
                        backbone=backbone,
                        classifier=classifier,
                        pooling=pooling,
                        progress=False,
                    )
                    found = judged(model, paths, labels, options)
                    rows.append({**about, "classifier": classifier, "pooling": pooling, **found})
                    print(rows[-1], flush=True)
    print(markdown(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
