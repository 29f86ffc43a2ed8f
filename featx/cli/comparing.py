"""`featx compare`."""

from __future__ import annotations

from typing import Any

import click

from featx.cli.options import (
    backbones_option,
    check_report,
    json_option,
    report_option,
    shared_embedding_options,
)
from featx.cli.output import command_line, emit, short_name, working
from featx.cli.training import curve_of
from featx.errors import OptionError
from featx.learning.classifiers import CLASSIFIERS, DEFAULT_CLASSIFIER


@click.command(epilog="Example: featx compare photos/ --backbones vgg16,resnet50 --out table.csv")
@click.argument("folder")
@backbones_option
@click.option(
    "--poolings",
    default="avg",
    show_default=True,
    metavar="A,B",
    help="How the last map becomes a vector: avg, max, flatten.",
)
@click.option(
    "--classifiers",
    default=DEFAULT_CLASSIFIER,
    show_default=True,
    metavar="A,B",
    help=f"What learns from the features: {', '.join(CLASSIFIERS)} (on pixels, once).",
)
@click.option("--out", metavar="FILE.csv", help="Write the table, with every column.")
@report_option
@shared_embedding_options
@json_option
def compare(
    folder: str,
    backbones: str,
    poolings: str,
    classifiers: str,
    out: str | None,
    report: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Say which network and classifier suit labelled pictures.

    FOLDER has a sub-folder of pictures for each class. Every candidate is cross-validated on the
    same splits; * marks those that may be as good as the first.
    """
    import featx
    from featx.files import check_writable, written
    from featx.images.folder import ImageFolder

    if out:
        check_writable(out, (".csv",))
    check_report(report)
    images = ImageFolder.of(folder)
    with working():
        comparison = featx.compare(
            images,
            networks_of(backbones),
            listed("poolings", poolings),
            listed("classifiers", classifiers),
            **options,
        )
        if out:
            with written(out) as file:
                comparison.frame.to_csv(file, index=False)
        best = comparison.best
        splits = best.validation.splits
        if report:
            featx.write_report(
                report,
                title=f"{short_name(folder)}: {len(comparison.candidates)} candidates",
                features=best.features,
                evaluation=best.validation,
                comparison=comparison,
                curve=curve_of(best.features, best.estimator),
                command=command_line(),
            )
    corrected = comparison.best_accuracy
    document = {
        "verdict": comparison.verdict,
        "transfer_verdict": comparison.transfer_verdict,
        "best": best.name,
        "best_accuracy": corrected.value,
        "best_accuracy_low": corrected.low,
        "best_accuracy_high": corrected.high,
        "method": best.validation.method,
        "notes": list(splits.notes),
        "n_images": len(best.features),
        "n_failed": len(best.features.failed),
        "candidates": comparison.frame.to_dict(orient="records"),
        "out": out,
        "report": report,
    }
    lines = [repr(comparison), best.validation.method, *splits.notes]
    lines += [f"failed: {each.path}: {each.reason}" for each in best.features.failed]
    lines += [f"wrote {file}" for file in (out, report) if file]
    emit(document, "\n".join(lines), as_json=as_json)


def networks_of(backbones: str) -> Any:
    """Return what --backbones names: "all", or a list."""
    return "all" if backbones == "all" else listed("backbones", backbones)


def listed(option: str, text: str) -> list[str]:
    """Split a list at its commas."""
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise OptionError(f"{option} {text!r}: expected different names with a comma between")
    return names
