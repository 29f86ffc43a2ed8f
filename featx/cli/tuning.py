"""`featx tune`."""

from __future__ import annotations

import time
from typing import Any

import click

from featx.cli.comparing import listed, networks_of
from featx.cli.options import (
    backbones_option,
    check_report,
    fast_option,
    json_option,
    report_option,
    run_options,
    weights_option,
)
from featx.cli.output import command_line, count, emit, short_name, working
from featx.cli.training import about_leaks, judged, labelled
from featx.learning.classifiers import CLASSIFIERS, TUNED


@click.command(epilog="Example: featx tune photos/ --budget 10m --out fruit.featx")
@click.argument("folder")
@click.option(
    "--budget",
    default="5m",
    show_default=True,
    metavar="TIME",
    help="The time for the search: 90s, 5m, 1h, or seconds.",
)
@click.option("--out", metavar="MODEL", help="The model file to write.")
@backbones_option
@click.option(
    "--classifiers",
    default=",".join(TUNED),
    show_default=True,
    metavar="A,B",
    help="What learns from the features: "
    f"{', '.join(name for name, spec in CLASSIFIERS.items() if not spec.pixels)}.",
)
@click.option("--test", metavar="FOLDER", help="Labelled pictures to measure the model on.")
@report_option
@fast_option
@weights_option
@run_options
@json_option
def tune(
    folder: str,
    budget: str,
    out: str | None,
    backbones: str,
    classifiers: str,
    test: str | None,
    report: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Search for the best model in a given time.

    FOLDER has a sub-folder of pictures for each class. Networks, alone and joined, poolings,
    augmented views and classifiers are tried on it, and the best is trained on all of it.
    """
    import featx
    from featx.files import check_writable
    from featx.learning.budget import seconds_of

    seconds_of(budget)
    if out:
        check_writable(out)
    check_report(report)
    names = networks_of(backbones)
    images, test_images = labelled(folder, test)
    with working():
        start = time.perf_counter()
        tuning = featx.tune(
            images,
            budget,
            backbones=names,
            classifiers=listed("classifiers", classifiers),
            **options,
        )
        best, model, splits = tuning.best, tuning.model, tuning.race.alike
        if out:
            model.save(out)
        evaluation, leaks, fair = judged(model, best.features, test_images, options)
        if report:
            featx.write_report(
                report,
                title=f"{short_name(folder)}: the best of {count(len(tuning.trials), 'candidate')}",
                features=best.features,
                evaluation=tuning.validation,
                comparison=tuning.finalists,
                test=evaluation,
                command=command_line(),
                notes=[
                    *tuning.summary.splitlines(),
                    *about_leaks(leaks, evaluation, fair),
                ],
            )
        frame = tuning.frame
    document = {
        "best": best.name,
        "backbone": model.recipe.backbone,
        "pooling": model.recipe.pooling,
        "views": model.views,
        "classifier": best.classifier,
        "verdict": tuning.verdict,
        **_of("accuracy", tuning.accuracy),
        **_of("accuracy_elsewhere", tuning.accuracy_elsewhere),
        "classes": list(model.classes),
        "n_images": len(best.features),
        "n_failed": len(best.features.failed),
        "candidates": frame.to_dict(orient="records"),
        "skipped": tuning.skipped,
        "notes": list(splits.notes),
        "n_test": len(evaluation.y_true) if evaluation else None,
        "test_accuracy": evaluation.accuracy if evaluation else None,
        "test_leaks": leaks,
        "test_accuracy_without_leaks": fair.accuracy if fair else None,
        "budget": tuning.budget,
        "seconds": round(time.perf_counter() - start, 3),
        "out": out,
        "report": report,
    }
    lines = [repr(tuning), *splits.notes]
    lines += [f"failed: {each.path}: {each.reason}" for each in best.features.failed]
    if evaluation:
        of = count(len(evaluation.y_true), "image")
        lines.append(f"accuracy on {test}: {evaluation.interval} of {of}")
        lines += about_leaks(leaks, evaluation, fair)
    lines += [f"wrote {file}" for file in (out, report) if file]
    emit(document, "\n".join(lines), as_json=as_json)


def _of(name: str, estimate: Any) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
