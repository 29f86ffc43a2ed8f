"""`featx train` and `featx evaluate`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from featx.backbones.pixels import PIXELS
from featx.cli.embedding import describe
from featx.cli.options import (
    check_report,
    embedding_options,
    json_option,
    model_weights_option,
    report_option,
    run_options,
)
from featx.cli.output import command_line, count, emit, short_name, table, working
from featx.errors import ImageSourceError, OptionError
from featx.learning.classifiers import CLASSIFIERS, DEFAULT_CLASSIFIER, network_of


@click.command(epilog="Example: featx train photos/ --out fruit.featx --test test_photos/")
@click.argument("folder")
@click.option("--out", required=True, metavar="MODEL", help="The model file to write.")
@click.option(
    "--classifier",
    type=click.Choice(list(CLASSIFIERS)),
    default=DEFAULT_CLASSIFIER,
    show_default=True,
    help="What learns from the features; cnn is a network from scratch, on pixels.",
)
@click.option(
    "--reject",
    type=float,
    metavar="PRECISION",
    help="Answer only where this precision is to be expected, such as 0.95; else be unsure.",
)
@click.option("--test", metavar="FOLDER", help="Labelled pictures to measure the model on.")
@report_option
@embedding_options
@json_option
def train(
    folder: str,
    out: str,
    classifier: str,
    reject: float | None,
    test: str | None,
    report: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a classifier on labelled pictures.

    FOLDER has a sub-folder of pictures for each class.
    """
    import featx
    from featx.files import check_writable
    from featx.learning.labels import require_every_class
    from featx.learning.rejection import check_classifier

    check_classifier(classifier, reject)
    check_writable(out)
    check_report(report)
    if network_of(classifier):
        for option in ("backbone", "weights", "pooling", "layer"):
            if _was_given(option) and options[option] != PIXELS:
                raise OptionError(
                    f"--classifier {classifier} learns from pixels, not from the features of a "
                    f"network: leave --{option} out"
                )
        options["backbone"] = PIXELS
    images, test_images = labelled(folder, test)
    with working():
        start = time.perf_counter()
        features = featx.embed(images, **options)
        embedding_seconds = time.perf_counter() - start
        require_every_class(images, features)
        validation = featx.cross_validate(features, classifier, progress=True)
        model = featx.train(features, classifier, reject=reject, validation=validation)
        model.save(out)
        evaluation, leaks, fair = judged(model, features, test_images, options)
        if report:
            featx.write_report(
                report,
                title=f"{short_name(folder)}: {count(len(model.classes), 'class')}",
                features=features,
                evaluation=validation,
                curve=curve_of(features, classifier),
                test=evaluation,
                command=command_line(),
                notes=[
                    *_about_rejection(model),
                    *_about_answers(evaluation, model),
                    *about_leaks(leaks, evaluation, fair),
                ],
            )
    interval = validation.interval
    document = {
        "classes": list(model.classes),
        "n_train": len(features),
        "n_failed": len(features.failed),
        "classifier": classifier,
        "cv_accuracy": validation.accuracy,
        "cv_accuracy_low": interval.low,
        "cv_accuracy_high": interval.high,
        "cv_std": validation.std,
        "rejection": model.rejection.to_dict() if model.rejection else None,
        "twins": [list(paths) for paths in validation.twins],
        "n_test": len(evaluation.y_true) if evaluation else None,
        "test_accuracy": evaluation.accuracy if evaluation else None,
        **_answers_of(evaluation, "test_"),
        "test_leaks": leaks,
        "test_accuracy_without_leaks": fair.accuracy if fair else None,
        "fingerprint": model.recipe.fingerprint,
        "seconds": round(time.perf_counter() - start, 3),
        "out": out,
        "report": report,
    }
    splits = validation.splits
    lines = [
        describe(features, embedding_seconds),
        f"{count(len(model.classes), 'class')}, classifier {classifier}: cross-validated accuracy "
        f"{interval}, {splits.folds} folds, {splits.repeats} times",
        *splits.notes,
        *_about_rejection(model),
    ]
    if validation.twins:
        lines.append(f"copies of one photograph, kept together: {_some(validation.twins)}")
    if evaluation:
        failed = f", {evaluation.n_failed:,} failed" if evaluation.n_failed else ""
        lines.append(
            f"accuracy on {test}: {evaluation.interval} "
            f"of {count(len(evaluation.y_true), 'image')}{failed}"
        )
        lines += _about_answers(evaluation, model)
        lines += about_leaks(leaks, evaluation, fair)
    lines += [f"wrote {file}" for file in (out, report) if file]
    emit(document, "\n".join(lines), as_json=as_json)


@click.command(epilog="Example: featx evaluate fruit.featx test_photos/")
@click.argument("model")
@click.argument("folder")
@report_option
@model_weights_option
@run_options
@json_option
def evaluate(
    model: str,
    folder: str,
    report: str | None,
    weights: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a model on labelled pictures.

    FOLDER has a sub-folder of pictures for each class.
    """
    import featx
    from featx.images.folder import ImageFolder
    from featx.learning.labels import require_known

    check_report(report)
    with working():
        classifier = featx.load(model, weights=weights)
        images = ImageFolder.of(folder)
        require_known(images.labels, classifier.classes)
        features = classifier.features(images, **options)
        result = classifier.evaluate(features)
        per_class = result.report
        if report:
            featx.write_report(
                report,
                title=f"{Path(model).name} on {short_name(folder)}",
                features=features,
                evaluation=result,
                command=command_line(),
                notes=_about_answers(result, classifier),
            )
    document = {
        "accuracy": result.accuracy,
        "accuracy_low": result.interval.low,
        "accuracy_high": result.interval.high,
        **_answers_of(result),
        "n_images": len(result.y_true),
        "n_failed": result.n_failed,
        "classes": [{"class": name, **row} for name, row in per_class.to_dict("index").items()],
        "report": report,
    }
    cells = [
        [name, f"{row.precision:.2f}", f"{row.recall:.2f}", f"{row.f1:.2f}", int(row.support)]
        for name, row in per_class.iterrows()
    ]
    header = ["class", "precision", "recall", "f1", "support"]
    right = sum(result.y_true == result.y_pred)
    of = count(len(result.y_true), "image")
    lines = [
        f"accuracy {result.interval}: {right} of {of} right",
        *_about_answers(result, classifier),
        table(header, cells, right=header[1:]),
    ]
    if result.n_failed:
        lines.append(f"left out, not readable: {count(result.n_failed, 'file')}")
    if report:
        lines.append(f"wrote {report}")
    emit(document, "\n".join(lines), as_json=as_json)


def _was_given(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def labelled(folder: str, test: str | None) -> tuple[Any, Any]:
    """Return the images to learn from and those to test with, None where there are none.

    That they can be learned and judged is checked before any is opened.
    """
    from featx.images.folder import ImageFolder
    from featx.learning.labels import require_known, require_learnable

    images = ImageFolder.of(folder)
    require_learnable(images.paths, images.labels)
    test_images = ImageFolder.of(test) if test else None
    if test_images:
        require_known(test_images.labels, images.classes)
    return images, test_images


def judged(
    model: Any, training: Any, test_images: Any, options: dict[str, Any]
) -> tuple[Any, dict[str, str], Any]:
    """Measure a model on test images, where there are any.

    Returns the evaluation, the copies of training images among them, and the evaluation of the
    others: None where there is nothing to judge.
    """
    from featx.features.running import RUN_OPTIONS
    from featx.learning.duplicates import find_leaks

    if test_images is None:
        return None, {}, None
    run = {key: options[key] for key in RUN_OPTIONS}
    features = model.features(test_images, **run)
    evaluation = model.evaluate(features)
    leaks = find_leaks(training, features)
    return evaluation, leaks, evaluation.without(leaks) if leaks else evaluation


def curve_of(features: Any, classifier: Any) -> Any:
    """Measure the learning curve of a report; None where there are too few pictures for one."""
    import featx

    try:
        return featx.learning_curve(features, classifier, progress=True)
    except ImageSourceError:
        return None


def _about_rejection(model: Any) -> list[str]:
    return [str(model.rejection)] if model.rejection else []


def _about_answers(evaluation: Any, model: Any) -> list[str]:
    """Say how many images a model that rejects has answered, and how many of these right."""
    if evaluation is None or evaluation.answered is None:
        return []
    share = f"coverage {evaluation.coverage}"
    answers = int(evaluation.answered.sum())
    if not answers:
        return [f"it answers none of these images: {share}"]
    of = count(len(evaluation.y_true), "image")
    line = f"precision of its answers {evaluation.precision}: {answers} of {of}, {share}"
    target = model.rejection.target
    if evaluation.precision.high < target:
        line += f"; less than the {target:g} asked for: these are not like the training images"
    return [line]


def _answers_of(evaluation: Any, prefix: str = "") -> dict[str, float]:
    """Return coverage and precision for JSON, where a model that rejects has been measured."""
    if evaluation is None or evaluation.answered is None:
        return {}
    values: dict[str, float] = {}
    for name in ("coverage", "precision"):
        each = getattr(evaluation, name)
        ends = {"": each.value, "_low": each.low, "_high": each.high}
        values |= {f"{prefix}{name}{end}": value for end, value in ends.items()}
    return values


def about_leaks(leaks: dict[str, str], evaluation: Any, fair: Any) -> list[str]:
    """Name test pictures that are copies of training pictures, and say what the others read."""
    if not leaks:
        return []
    named = _some([f"{copy} is {original}" for copy, original in leaks.items()])
    of = count(len(evaluation.y_true), "test image")
    known = f"{len(leaks)} of {of} are copies of training images"
    if fair is None:
        return [f"{known}, so that accuracy says nothing; trust the cross-validated one: {named}"]
    return [f"{known}; accuracy without them: {fair.interval} ({named})"]


def _some(names: Sequence[Any], most: int = 6) -> str:
    texts = [each if isinstance(each, str) else " = ".join(each) for each in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(texts) + more
