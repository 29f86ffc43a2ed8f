"""What views, joined networks, larger pictures and inner layers buy on photographs of your own.

    python -m tests.benchmarks.switches PHOTOS [--backbone resnet50] [--repeats 10] [--test FOLDER]

Each switch is held against the plain network on the same splits; the table is in Markdown.
"""

from __future__ import annotations

import argparse
from typing import Any

import featx
from featx.evaluation.fits import fit_all
from featx.evaluation.intervals import leads
from featx.evaluation.splits import split
from featx.evaluation.validation import tasks_of, validation_of
from featx.features.duplicates import find_duplicates
from featx.learning.classes import labels_to_learn
from featx.learning.learner import Learner

INNER = {
    "efficientnet_lite0": "block5c_add+block7a_project_bn",
    "resnet50": "conv4_block6_out+conv5_block3_out",
    "xception": "block13_sepconv2_act+block14_sepconv2_act",
}


def switches(backbone: str) -> dict[str, dict[str, Any]]:
    """Name the switches and what `embed` takes for each; the first is none."""
    other = "xception" if backbone != "xception" else "resnet50"
    size = featx.BACKBONES[backbone].input_size
    table: dict[str, dict[str, Any]] = {
        "nothing": {"backbone": backbone},
        "`views=2`": {"backbone": backbone, "views": 2},
        "`views=4`": {"backbone": backbone, "views": 4},
        f"`+{other}`": {"backbone": f"{backbone}+{other}"},
        f"`+{other}`, `views=4`": {"backbone": f"{backbone}+{other}", "views": 4},
        f"`input_size={2 * size}`": {"backbone": backbone, "input_size": 2 * size},
    }
    if backbone in INNER:
        table["an inner layer joined"] = {"backbone": backbone, "layer": INNER[backbone]}
    return table


def main() -> None:
    """Measure every switch and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="a folder with a sub-folder for each class")
    parser.add_argument("--test", help="labelled photographs of another kind, say")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--classifier", default="logistic")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()

    learner = Learner.of(options.classifier)
    splits, plain = None, None
    head = ["", "accuracy", "gain in points", *(["on the other folder"] if options.test else [])]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name, embedding in switches(options.backbone).items():
        features = featx.embed(options.photos, **embedding)
        if splits is None:
            groups = find_duplicates(features).groups
            splits = split(labels_to_learn(features), groups, repeats=options.repeats)
        tasks = tasks_of(features, splits, learner)
        validation = validation_of(features, splits, fit_all(tasks, progress=name))
        plain = plain or validation
        gain = leads([validation.hits, plain.hits], 0, plain.size)[1]
        low, high = 100 * gain.low, 100 * gain.high
        cells = [name, str(validation.interval)]
        cells.append(f"{100 * gain.value:+.1f} ({low:+.1f} to {high:+.1f})" if gain.value else "")
        if options.test:
            model = featx.train(features, learner)
            cells.append(f"{100 * model.evaluate(options.test, progress=False).accuracy:.1f} %")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
