"""`featx compare`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from featx.cli.flags import (
    backbones_option,
    class_weight_option,
    embedding_options,
    figure_option,
    file_option,
    groups_option,
    json_option,
    labels_option,
    list_option,
    report_option,
)
from featx.cli.help import command
from featx.cli.output import complain, emit, save_plot, working
from featx.cli.report import curve_for, short_name, write_report
from featx.cli.sources import source_arguments
from featx.errors import ImageSourceError
from featx.evaluation.margin import WITHIN, check_within
from featx.features.options import CompareOptions
from featx.learning.classifiers import CLASSIFIERS, DEFAULT_CLASSIFIER
from featx.text import spreadsheet_cell


@command(epilog="Example: featx compare photos/ --backbones vgg16,resnet50 --out table.csv")
@source_arguments
@labels_option
@backbones_option
@list_option(
    "--poolings", "avg", "How the last map becomes a vector: avg, max, flatten.", group="Network"
)
@list_option(
    "--classifiers",
    DEFAULT_CLASSIFIER,
    f"What learns from the features: {', '.join(CLASSIFIERS)} (on pixels, once).",
)
@class_weight_option
@click.option(
    "--within",
    default=WITHIN,
    show_default=True,
    type=click.FLOAT,
    callback=lambda context, option, share: check_within(share),
    metavar="SHARE",
    help="How far behind the best is good enough for a faster candidate; 0.02 is 2 points.",
)
@figure_option("--plot", "Draw the candidates, a row with its interval for each")
@figure_option("--curves", "Draw the learning curves of all candidates")
@file_option("--out", "FILE.csv", "Write the table, with every column.", suffixes=(".csv",))
@groups_option
@report_option
@embedding_options(CompareOptions)
@json_option
def compare(
    source: str | list[str],
    within: float,
    plot: str | None,
    curves: str | None,
    out: str | None,
    report: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Say which network and classifier suit labelled pictures.

    PATH is a folder with a sub-folder of pictures for each class, or a table of paths and labels
    (.csv, .tsv, .parquet, .xlsx), or files of saved features of the same pictures.

    Every candidate is cross-validated on the same splits; * marks those that may be as good as the
    first. The verdict ends with the one to take: the fastest that is surely no further behind the
    best than --within.
    """
    import featx
    from featx.files import written

    with working():
        comparison = replace(featx.compare(source, **options), within=within)
        if out:
            with written(out) as file:
                comparison.to_frame().map(spreadsheet_cell).to_csv(file, index=False)
        save_plot(plot, comparison, kind="forest")
        if curves:
            try:
                save_plot(curves, featx.learning_curves(comparison))
            except ImageSourceError as error:  # too few, which takes nothing from the comparison
                complain(f"warning: no learning curves: {error}")
                curves = None
        taken = comparison.recommend().candidate
        write_report(
            report,
            f"{short_name(source)}: {len(comparison.candidates)} candidates",
            taken.features,
            evaluation=taken.validation,
            comparison=comparison,
            curve=curve_for(report, taken.features, taken.learner, taken.validation),
        )
    text = "\n".join([repr(comparison), taken.validation.method, *comparison.notes])
    files = {"plot": plot, "curves": curves, "out": out, "report": report}
    emit(comparison.to_dict(), text, as_json=as_json, **files)
