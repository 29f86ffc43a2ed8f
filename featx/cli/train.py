"""`featx train`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from featx.cli.flags import (
    backbone_option,
    class_weight_option,
    embedding_options,
    file_option,
    groups_option,
    json_option,
    labels_option,
    report_option,
    test_option,
)
from featx.cli.help import command, option
from featx.cli.output import emit, working
from featx.cli.report import curve_for, explained, short_name, write_report
from featx.cli.sources import source_arguments
from featx.features.options import EmbedOptions, EngineOptions, options_in
from featx.learning.classifiers import CLASSIFIERS, DEFAULT_CLASSIFIER
from featx.learning.memory import bytes_of
from featx.text import count


def _check_memory(context: click.Context, option: click.Parameter, text: Any) -> Any:
    """Refuse what is no size, before any work is done."""
    if text is not None:
        bytes_of(text)
    return text


@command(epilog="Example: featx train photos/ --out fruit.featx --test test_photos/")
@source_arguments
@labels_option
@file_option("--out", "MODEL", "The model file to write.", what="a model", required=True)
@option(
    "--classifier",
    type=click.Choice(list(CLASSIFIERS)),
    default=DEFAULT_CLASSIFIER,
    show_default=True,
    help="What learns from the features; cnn is a network from scratch, on pixels.",
)
@class_weight_option
@backbone_option()
@option(
    "--reject",
    type=float,
    metavar="PRECISION",
    help="Answer only where this precision is to be expected, such as 0.95; else be unsure.",
)
@option(
    "--keep-pictures",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Keep N small pictures of each class in the model, to show beside new ones like them; "
    "whoever has the file can see them.",
)
@option(
    "--memory",
    metavar="SIZE",
    callback=_check_memory,
    help="Take no more memory than this above what Python and its libraries take, such as 2GB: "
    "features that need more are learned from block by block, or from a sample.",
)
@groups_option
@test_option
@report_option
@embedding_options(EmbedOptions)
@json_option
def train(
    source: str | list[str],
    classifier: str,
    out: str,
    report: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a classifier on labelled pictures.

    PATH is a folder with a sub-folder of pictures for each class, an archive of it (.zip, .tar), a
    table of paths or pictures and labels (.csv, .tsv, .parquet, .xlsx), or saved features. It may
    be at an address, such as s3://bucket/photos.
    """
    import featx

    if report and options.get("memory"):
        raise click.UsageError(
            "--report draws all features at once, whatever --memory says: leave one of them out"
        )
    with working():
        model = featx.train(source, classifier, validation=True, **options)
        model.save(out)
        training = model.training
        assert training is not None
        validation = training.validation
        assert validation is not None
        curve = curve_for(report, training.features, training.learner, validation)
        training = replace(training, curve=curve)
        engine = options_in(EngineOptions, options)
        test = training.test and explained(report, model, training.test, **engine)
        write_report(
            report,
            f"{short_name(source)}: {count(len(model.classes), 'class')}",
            training.features,
            evaluation=explained(report, model, validation, **engine),
            test=test,
            curve=curve,
            notes=[str(model.rejection)] if model.rejection else [],
            next_steps=training.next_steps,
        )
    emit(training.to_dict(), training.summary, as_json=as_json, out=out, report=report)
