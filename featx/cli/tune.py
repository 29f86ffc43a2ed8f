"""`featx tune`."""

from __future__ import annotations

from typing import Any

from featx.cli.flags import (
    backbones_option,
    embedding_options,
    file_option,
    groups_option,
    json_option,
    labels_option,
    list_option,
    report_option,
    test_option,
)
from featx.cli.help import command, option
from featx.cli.output import emit, working
from featx.cli.report import short_name, write_report
from featx.cli.sources import source_arguments
from featx.features.options import TuneOptions
from featx.learning.classifiers import CLASSIFIERS, TUNED
from featx.text import count


@command(epilog="Example: featx tune photos/ --budget 10m --out fruit.featx")
@source_arguments
@labels_option
@option(
    "--budget",
    default="5m",
    show_default=True,
    metavar="TIME",
    help="The time for the search: 90s, 5m, 1h, or seconds.",
)
@file_option("--out", "MODEL", "The model file to write.", what="a model")
@backbones_option
@list_option(
    "--classifiers",
    ",".join(TUNED),
    "What learns from the features: "
    f"{', '.join(name for name, spec in CLASSIFIERS.items() if not spec.pixels)}.",
)
@groups_option
@test_option
@report_option
@embedding_options(TuneOptions)
@json_option
def tune(
    source: str | list[str], out: str | None, report: str | None, as_json: bool, **options: Any
) -> None:
    """Search for the best model in a given time.

    PATH is a folder with a sub-folder of pictures for each class, or a table of paths and labels
    (.csv, .tsv, .parquet, .xlsx).

    Networks, alone and joined, poolings and classifiers are tried on it, and the best is trained
    on all of it.
    """
    import featx

    with working():
        tuning = featx.tune(source, **options)
        if out:
            tuning.model.save(out)
        write_report(
            report,
            f"{short_name(source)}: the best of {count(len(tuning.trials), 'candidate')}",
            tuning.best.features,
            evaluation=tuning.validation,
            comparison=tuning.finalists,
            test=tuning.test,
            notes=[*tuning.summary.splitlines(), *tuning.about_series],
        )
    tested = [f"test {tuning.test.summary}"] if tuning.test else []
    shift = [tuning.dataset_shift] if tuning.dataset_shift else []
    text = "\n".join([repr(tuning), *tuning.notes, *tested, *shift])
    emit(tuning.to_dict(), text, as_json=as_json, out=out, report=report)
