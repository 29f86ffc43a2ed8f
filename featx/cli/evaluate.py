"""`featx evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featx.cli.flags import (
    embedding_options,
    file_option,
    json_option,
    labels_option,
    model_weights_option,
    report_option,
)
from featx.cli.help import command
from featx.cli.output import emit, table, working
from featx.cli.report import explained, own_command, short_name, write_report
from featx.cli.sources import source_arguments
from featx.features.options import EngineOptions, RunOptions, options_in
from featx.features.summary import failures_of
from featx.files import PAGES


@command(epilog="Example: featx evaluate fruit.featx test_photos/")
@click.argument("model")
@source_arguments
@labels_option
@report_option
@file_option(
    "--explain",
    "FILE.html",
    "Write a page of the surest mistakes: what spoke for the wrong class, what for the true one.",
    suffixes=PAGES,
)
@model_weights_option
@embedding_options(RunOptions)
@json_option
def evaluate(
    model: str,
    source: str | list[str],
    report: str | None,
    explain: str | None,
    weights: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a model on labelled pictures.

    PATH is a folder with a sub-folder of pictures for each class, or a table of paths and labels
    (.csv, .tsv, .parquet, .xlsx), or a file of saved features.
    """
    import featx

    with working():
        classifier = featx.load(model, weights=weights)
        features = classifier.labelled_features(source, **options)
        result = classifier.evaluate(features)
        title = f"{Path(model).name} on {short_name(source)}"
        engine = options_in(EngineOptions, options)
        if explain:
            result = featx.explain_mistakes(classifier, result, **engine)
            named = f"Mistakes of {title}"
            featx.write_explanation_report(explain, result, title=named, command=own_command())
        result = explained(report, classifier, result, **engine)
        write_report(report, title, features, evaluation=result)
    header = ["class", "precision", "recall", "f1", "support"]
    cells = [
        [name, f"{row.precision:.2f}", f"{row.recall:.2f}", f"{row.f1:.2f}", int(row.support)]
        for name, row in result.by_class.iterrows()
    ]
    text = "\n".join(
        [result.summary, table(header, cells, right=header[1:]), *failures_of(result.failed)]
    )
    emit(result.to_dict(), text, as_json=as_json, report=report, explain=explain)
