"""`featx predict`."""

from __future__ import annotations

import os
from typing import Any

import click

from featx.cli.flags import (
    answer_all_option,
    embedding_options,
    file_option,
    json_option,
    model_weights_option,
    probabilities_option,
    top_option,
)
from featx.cli.help import command, option
from featx.cli.output import complain, emit, table, working
from featx.cli.sources import listed_alone, source_arguments
from featx.features.options import RunOptions
from featx.files import PICTURES
from featx.images.pattern import is_pattern, root_of
from featx.models.prediction_table import TABLES, require_excel
from featx.storage.address import is_address
from featx.text import count, printable


@command(epilog="Example: featx predict fruit.featx new.jpg more/ --gallery result.png")
@click.argument("model")
@source_arguments
@file_option(
    "--out",
    "FILE",
    f"Write the predictions as a table too: {' or '.join(TABLES)}.",
    suffixes=TABLES,
)
@option(
    "--only-new",
    is_flag=True,
    group="Output",
    help="Leave out what the table of --out has already, and add the rest to it.",
)
@top_option
@probabilities_option
@answer_all_option
@file_option(
    "--gallery",
    "FILE.png",
    "Draw the pictures with their labels: green or red where the sub-folder tells the truth.",
    suffixes=PICTURES,
)
@option(
    "--copy-to",
    metavar="DIR",
    group="Output",
    help="Copy each picture into a folder of its label in DIR; none is moved.",
)
@model_weights_option
@embedding_options(RunOptions)
@json_option
def predict(
    model: str,
    source: str | list[str],
    out: str | None,
    only_new: bool,
    gallery: str | None,
    copy_to: str | None,
    weights: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Predict the label of each picture; a folder means its pictures.

    So does a table of paths (.csv, .tsv, .parquet, .xlsx), or a file of saved features, if it is
    the only PATH. A folder without pictures, and pictures that cannot be read, are no mistake.
    """
    import featx

    if only_new and out is None:
        raise click.UsageError("--only-new goes with --out, the table that has the others")
    if out:
        require_excel(out)
    if copy_to is not None:
        _check_apart(copy_to, [source] if isinstance(source, str) else source)
    with working():
        predictions = featx.load(model, weights=weights).predictions(
            listed_alone(source), only_new=out if only_new else None, **options
        )
        if gallery and not predictions.n_read:
            complain("warning: nothing can be drawn, so that there is no gallery")
            gallery = None
        elif gallery:
            from featx.charts.style import save_figure

            save_figure(predictions.plot(), gallery)
    if out:
        predictions.save(out, add=only_new)
    lines = [table(predictions.header, predictions.cells), predictions.summary]
    if copy_to is not None:
        copied = predictions.copy_to(copy_to)
        lines.append(f"copies in {printable(copy_to)}: {count(len(copied), 'picture')}")
    text = "\n".join(lines)
    emit(predictions.rows, text, as_json=as_json, out=out, gallery=gallery)


def _check_apart(folder: str, sources: list[str]) -> None:
    """Refuse to copy into no folder, or into one to predict: the copies would be predicted, too."""
    if not folder or (os.path.lexists(folder) and not os.path.isdir(folder)):
        found = "is a file" if folder else "names none"
        raise click.UsageError(
            f"--copy-to {folder!r} {found}: expected a folder, or . for this one"
        )
    target = os.path.realpath(folder)
    for source in sources:
        if is_address(source) or not (os.path.isdir(source) or is_pattern(source)):
            continue
        place = os.path.realpath(source if os.path.isdir(source) else root_of(source))
        if os.path.commonpath([target, place]) == place:
            raise click.UsageError(
                f"--copy-to {folder!r} is in {source!r}, so that copies would be predicted "
                "themselves: name a folder elsewhere"
            )
