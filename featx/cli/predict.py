"""`featx predict`."""

from __future__ import annotations

from typing import Any

import click

from featx.cli.flags import embedding_options, file_option, json_option, model_weights_option
from featx.cli.help import command, option
from featx.cli.output import emit, table, working, write_csv
from featx.features.options import RunOptions
from featx.files import PICTURES
from featx.images.table import is_table


@command(epilog="Example: featx predict fruit.featx new.jpg more/ --gallery result.png")
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@file_option("--out", "FILE.csv", "Write the predictions as a table too.", suffixes=(".csv",))
@file_option(
    "--gallery",
    "FILE.png",
    "Draw the pictures with their labels: green or red where the sub-folder tells the truth.",
    suffixes=PICTURES,
)
@option("--answer-all", is_flag=True, help="Label every picture, also where the model is unsure.")
@model_weights_option
@embedding_options(RunOptions)
@json_option
def predict(
    model: str,
    paths: tuple[str, ...],
    out: str | None,
    gallery: str | None,
    weights: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Predict the label of each picture; a folder means its pictures.

    So does a table of paths (.csv, .tsv, .parquet, .xlsx), if it is the only PATH.
    """
    import featx

    with working():
        source = paths[0] if len(paths) == 1 and is_table(paths[0]) else list(paths)
        predictions = featx.load(model, weights=weights).predictions(source, **options)
        if gallery:
            from featx.charts.gallery import save_figure

            save_figure(predictions.plot(), gallery)
    if out:
        write_csv(out, predictions.rows)
    text = table(["path", "label", "probability"], predictions.cells)
    emit(predictions.rows, text, as_json=as_json, out=out, gallery=gallery)
