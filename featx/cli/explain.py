"""`featx explain`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import click

from featx.charts.overlay import place_of, way_of
from featx.cli.flags import embedding_options, file_option, json_option, model_weights_option
from featx.cli.help import command, option
from featx.cli.output import emit, table, working
from featx.cli.report import own_command
from featx.cli.sources import listed_alone, source_arguments
from featx.errors import ImageSourceWarning, OptionError
from featx.explanation.explanation import METHODS
from featx.features.options import RunOptions
from featx.files import PAGES, PICTURES
from featx.text import percent


@command(epilog="Example: featx explain fruit.featx new.jpg --out why.png")
@click.argument("model")
@source_arguments
@file_option(
    "--out",
    "FILE",
    f"Draw each picture beside what in it decided: {', '.join(PICTURES)}, or .html for a page.",
    suffixes=(*PICTURES, *PAGES),
)
@option(
    "--label",
    metavar="CLASS",
    help="Explain this class; by default the one that is predicted for each picture.",
)
@option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="class-map is exact, for mean pooling and linear classifiers; masks is an estimate.",
)
@option(
    "--budget",
    type=click.INT,
    metavar="N",
    help="How many masks each picture is seen through.  [default: 256]",
)
@model_weights_option
@embedding_options(RunOptions)
@json_option
def explain(
    model: str,
    source: str | list[str],
    out: str | None,
    budget: int | None,
    weights: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Show what in pictures speaks for a class, and what against.

    PATH is a picture, a folder of pictures or a table of paths (.csv, .tsv, .parquet, .xlsx).
    """
    import featx

    if budget is not None:
        options["budget"] = budget
    warnings.filterwarnings("default", category=ImageSourceWarning)  # the result has no failures
    with working():
        made = featx.load(model, weights=weights).explain(listed_alone(source), **options)
        if out:
            _check_is_other(out, [each.path for each in made])
        if out and out.lower().endswith(PAGES):
            title = f"Why {Path(model).name} answers what it does"
            featx.write_explanation_report(out, made, title=title, command=own_command())
        elif out:
            from featx.charts.style import save_figure

            save_figure(featx.plot_explanations(made), out)
    cells = [[each.path, each.label, _chance(each), place_of(each), way_of(each)] for each in made]
    header = ["path", "why", "probability", "where", "found by"]
    document = [each.to_dict() for each in made]
    emit(document, table(header, cells), as_json=as_json, out=out)


def _check_is_other(out: str, paths: list[str]) -> None:
    """Raise an `OptionError` if a drawing would take the place of a picture that it explains."""
    if os.path.realpath(out) in map(os.path.realpath, paths):
        raise OptionError(
            f"cannot write {out}: it is one of the pictures to explain; name another file"
        )


def _why(explanation: Any) -> str:
    asked, predicted = explanation.label, explanation.predicted
    return str(asked) if asked == predicted else f"{asked} (predicted: {predicted})"


def _chance(explanation: Any) -> str:
    return "-" if explanation.probability is None else percent(explanation.probability)
