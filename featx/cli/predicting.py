"""`featx predict` and `featx label`."""

from __future__ import annotations

import csv
import math
from typing import Any

import click
import numpy as np

from featx.cli.options import (
    backbone_option,
    fast_option,
    json_option,
    model_weights_option,
    run_options,
    weights_option,
)
from featx.cli.output import emit, percent, table, working
from featx.errors import OptionError


@click.command(epilog="Example: featx predict fruit.featx new.jpg more/ --gallery result.png")
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--out", metavar="FILE.csv", help="Write the predictions as a table too.")
@click.option(
    "--gallery",
    metavar="FILE.png",
    help="Draw the pictures with their labels: green or red where the sub-folder tells the truth.",
)
@click.option(
    "--answer-all", is_flag=True, help="Label every picture, also where the model is unsure."
)
@model_weights_option
@run_options
@json_option
def predict(
    model: str,
    paths: tuple[str, ...],
    out: str | None,
    gallery: str | None,
    answer_all: bool,
    weights: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Predict the label of each picture; a folder means its pictures."""
    import featx
    from featx.files import PICTURES, check_writable
    from featx.images.folder import ImageFolder

    for file, suffixes in ((out, (".csv",)), (gallery, PICTURES)):
        if file is not None:
            check_writable(file, suffixes)
    with working():
        classifier = featx.load(model, weights=weights)
        images = ImageFolder.of(list(paths))
        features = classifier.features(images, **options)
        guesses = classifier.predict(features, answer_all=True)
        unsure = classifier.rejection is not None and not answer_all
        labels = classifier.predict(features) if unsure else guesses
        probabilities = _probabilities_of(guesses, classifier, features)
    rows: list[dict[str, Any]] = [
        {
            "path": outcome.path,
            "label": None if label in (None, featx.UNSURE) else str(label),
            "best_guess": None if guess is None else str(guess),
            "probability": None if math.isnan(probability) else float(probability),
            "outcome": outcome.status,
            "reason": outcome.reason or None,
        }
        for outcome, label, guess, probability in zip(
            features.outcomes, labels, guesses, probabilities, strict=True
        )
    ]
    shown = [_shown(row) for row in rows]
    known = [row for row in rows if row["best_guess"] is not None]
    if gallery:
        from featx.insight.plots import plot_gallery, save_figure

        figure = plot_gallery(
            [row["path"] for row in known],
            [row["best_guess"] for row in known],
            true=_truths(classifier, features),
            probabilities=[_number(row["probability"]) for row in known],
            answered=[row["label"] is not None for row in known],
        )
        save_figure(figure, gallery)
    if classifier.rejection is None:
        for row in rows:
            del row["best_guess"]  # it is the label
    if out:
        _write_csv(out, rows)
    text = table(["path", "label", "probability"], shown)
    emit(
        rows,
        "\n".join([text, *(f"wrote {file}" for file in (out, gallery) if file)]),
        as_json=as_json,
    )


@click.command(epilog="Example: featx label dog.jpg --top 3 --backbone resnet50")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Labels for each picture.",
)
@backbone_option
@weights_option
@fast_option
@run_options
@json_option
def label(paths: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Say what pictures show, in the 1000 classes of ImageNet."""
    import featx

    with working():
        results = featx.label(list(paths), **options)
    document = [
        {
            "path": result.path,
            "labels": [
                {
                    "index": each.index,
                    "wnid": each.wnid,
                    "name": each.name,
                    "probability": each.probability,
                }
                for each in result.labels
            ],
            "outcome": result.outcome.status,
            "reason": result.outcome.reason or None,
        }
        for result in results
    ]
    cells = []
    for result in results:
        named = [f"{each.name} {percent(each.probability)}" for each in result.labels]
        cells.append([result.path, ", ".join(named) or f"failed: {result.outcome.reason}"])
    emit(document, table(["path", "labels"], cells), as_json=as_json)


def _probabilities_of(labels: np.ndarray, classifier: Any, features: Any) -> np.ndarray:
    """Return the probability of each predicted label; NaN where there is none."""
    try:
        probabilities = classifier.predict_proba(features)
    except OptionError:  # a classifier that gives none
        return np.full(len(labels), np.nan)
    columns = {label: column for column, label in enumerate(classifier.classes)}
    return np.array(
        [
            np.nan if label is None else row[columns[str(label)]]
            for label, row in zip(labels, probabilities, strict=True)
        ]
    )


def _shown(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row for a person."""
    guess = row["best_guess"]
    if guess is None:
        return [row["path"], "-", f"failed: {row['reason']}"]
    label = f"unsure ({guess}?)" if row["label"] is None else guess
    return [row["path"], label, percent(_number(row["probability"]))]


def _truths(classifier: Any, features: Any) -> list[str | None] | None:
    """Return the sub-folder of each picture where sub-folders are classes of the model."""
    if set(features.classes) & set(classifier.classes):
        return features.y.tolist()
    return None


def _number(probability: float | None) -> float:
    return math.nan if probability is None else probability


def _write_csv(path: str, rows: list[dict[str, Any]]) -> None:
    from featx.files import written

    with (
        written(path) as file,
        file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as sink,
    ):
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
