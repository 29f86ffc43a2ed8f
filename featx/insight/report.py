"""The report: one HTML file that says how good a classifier is, and on what that stands."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from importlib import metadata
from typing import Any

import numpy as np

from featx.charts.comparison import plot_comparison
from featx.charts.confusion import plot_confusion
from featx.charts.curve import plot_learning_curve
from featx.charts.fonts import quiet_boxes
from featx.charts.forest import forest_height, plot_forest
from featx.charts.style import INK, LINE, MUTED, RIGHT, WRONG, inline_svg
from featx.evaluation.comparison import Comparison
from featx.evaluation.curve import LearningCurve
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.next_steps import next_steps as steps_from
from featx.evaluation.validation import CrossValidation
from featx.features.duplicates import notes_on
from featx.features.matrix import Features
from featx.files import check_writable
from featx.insight.map import map_of
from featx.insight.page import write_page
from featx.insight.thumbnails import Album
from featx.insight.why import why_mistaken
from featx.paths import shortener

Short = Callable[[str], str]  # writes a path as people read it

_MOST_CLASSES = 30  # of a confusion matrix as a table
_MOST_MISTAKES, _MOST_RIGHT, _MOST_SUSPECTS = 40, 20, 24  # pictures shown
_MOST_PAIRS = 15  # of classes that are confused
_COLORS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    RIGHT: "var(--right)",
    WRONG: "var(--wrong)",
    "#ffffff": "var(--paper)",
}
_SIDE = 160  # pixels of a thumbnail in a gallery
_PACKAGES = ("featx", "keras", "openvino", "scikit-learn")


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    features: Features,
    evaluation: Evaluation,
    comparison: Comparison | None = None,
    curve: LearningCurve | None = None,
    test: Evaluation | None = None,
    command: str = "",
    notes: Sequence[str] = (),
    next_steps: Sequence[str] | None = None,
) -> None:
    """Write one HTML file that holds everything, thumbnails too, and asks nothing of a network.

    Parameters
    ----------
    path : str or path
        The file to write.
    title : str
        Its heading.
    features : Features
        Those of the images of `evaluation`.
    evaluation : Evaluation
        The cross-validation of `features`, or an evaluation on them as test images. Mistakes that
        `featx.explain_mistakes` has explained are shown with what spoke for either class.
    comparison : Comparison, optional
        Of the candidates that this one was chosen from.
    curve : LearningCurve, optional
        What more photographs would give.
    test : Evaluation, optional
        A further evaluation, on images that nothing was trained on.
    command : str, default=""
        What to type to make the report again.
    notes : sequence of str, optional
        What else a reader should know, a sentence each.
    next_steps : sequence of str, optional
        What to do next, a sentence each; by default what `evaluation` and `curve` ask for.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    check_writable(path)
    short = shortener(
        [*features.paths, *evaluation.paths, *(each.path for each in features.failed)]
        + ([] if test is None else list(test.paths))
    )
    album = Album()
    page = {
        "title": title,
        "main": _measured(evaluation, "main", album, short) | _chosen(evaluation, comparison),
        "test": None if test is None else _measured(test, "test", album, short),
        "series": evaluation.about_series if isinstance(evaluation, CrossValidation) else (),
        "shift": _shift(evaluation, test),
        "next_steps": steps_from(evaluation, curve) if next_steps is None else next_steps,
        "run": _run(features, evaluation, [*notes, *(test.notes if test else ())], short),
        "comparison": None if comparison is None else _compared(comparison, features),
        "curve": None if curve is None else _curve(curve),
        "map": map_of(features, evaluation, album, short),
        "suspects": _suspects(evaluation, album, short),
        "again": _again(features, command),
    }
    write_page(path, "report.html.j2", page, album)


def _shift(evaluation: Evaluation, test: Evaluation | None) -> str | None:
    if test is None or not isinstance(evaluation, CrossValidation):
        return None
    return evaluation.shift_to(test)


def _measured(evaluation: Evaluation, name: str, album: Album, short: Short) -> dict[str, Any]:
    """Gather what one evaluation says: accuracy, confusions, classes, predictions."""
    counts, classes = evaluation.counts, evaluation.classes
    numbered = _numbered(evaluation)
    many = len(classes) > _MOST_CLASSES
    chart = ""
    if many:
        about = "Confusion matrix of all classes"
        chart = _chart(plot_confusion, evaluation, (6.4, 6.4), f"{name}-confusion", about)
    off = counts * (1 - np.eye(len(classes)))
    pairs = [divmod(int(each), len(classes)) for each in np.argsort(-off, axis=None, kind="stable")]
    by_class = numbered.by_class.itertuples(index=False, name=None)
    wrong = [int(row) for row in numbered.mistakes.path]
    order = np.argsort(np.nan_to_num(evaluation.certainty), kind="stable")
    right = order[(evaluation.y_true == evaluation.y_pred)[order]].tolist()
    return {
        "accuracy": evaluation.interval,
        "chosen": None,
        "balance": evaluation.balance,
        "n": len(evaluation.y_true),
        "method": getattr(evaluation, "method", None),
        "repeats": len(evaluation.predictions),
        "guess": Counter(evaluation.y_true.tolist()).most_common(1)[0][1] / len(evaluation.y_true),
        "classes": classes,
        "counts": None if many else counts.tolist(),
        "shares": (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)).tolist(),
        "confused": [
            (classes[row], classes[column], counts[row, column], counts[row].sum())
            for row, column in pairs[:_MOST_PAIRS]
            if off[row, column] > 0
        ],
        "chart": chart,
        "report": [(name, *row) for name, row in zip(classes, by_class, strict=True)],
        "wrong": _pictures(evaluation, wrong[:_MOST_MISTAKES], album, short),
        "why": why_mistaken(evaluation, album, short) if evaluation.explanations else None,
        "n_wrong": len(wrong),
        "sure": evaluation.probabilities is not None,
        "right": _pictures(evaluation, right[:_MOST_RIGHT], album, short) if name == "main" else [],
        "n_right": len(right),
    }


def _chosen(evaluation: Evaluation, comparison: Comparison | None) -> dict[str, Any]:
    """Return what to expect of a candidate that was chosen of several, without that luck."""
    if comparison is None or len(comparison.candidates) == 1:
        return {}
    taken, best = comparison.recommend(), comparison.best
    found = {id(best.validation): (best.name, comparison.best_accuracy)}
    found[id(taken.candidate.validation)] = (taken.name, taken.accuracy)
    if id(evaluation) not in found:
        return {}
    name, accuracy = found[id(evaluation)]
    return {"chosen": {"name": name, "of": len(comparison.candidates)}, "accuracy": accuracy}


def _pictures(
    evaluation: Evaluation, rows: Sequence[int], album: Album, short: Short
) -> list[dict[str, Any]]:
    """Gather pictures with their predictions, and in how many of several repeats they are wrong."""
    wrong = (~evaluation.hits).sum(axis=0)
    certainty, repeats = evaluation.certainty, len(evaluation.predictions)
    return [
        {
            "thumb": album.place(evaluation.paths[row], _SIDE),
            "path": short(evaluation.paths[row]),
            "true": evaluation.y_true[row],
            "predicted": evaluation.y_pred[row],
            "probability": float(certainty[row]),
            "wrong": int(wrong[row]) if 0 < wrong[row] < repeats else None,
        }
        for row in rows
    ]


def _run(
    features: Features, evaluation: Evaluation, notes: Sequence[str], short: Short
) -> dict[str, Any]:
    """Gather what went in: images, classes, files left out, copies, recipe."""
    twins = evaluation.twins if isinstance(evaluation, CrossValidation) else None
    own = evaluation.notes
    if isinstance(evaluation, CrossValidation):  # copies stand on their own
        own = (*evaluation.splits.notes, *notes_on(evaluation.contradictions))
    return {
        "n": len(features),
        "classes": sorted(Counter(evaluation.y_true.tolist()).items()),
        "n_failed": max(len(features.failed), evaluation.n_failed),
        "failed": [
            (short(each.path), each.reason.replace(each.path, short(each.path)))
            for each in features.failed
        ],
        "n_other": features.n_other,
        "twins": None if twins is None else [[short(path) for path in each] for each in twins],
        "recipe": None if features.recipe is None else str(features.recipe),
        "width": features.matrix.shape[1],
        "notes": list(dict.fromkeys([*features.notes, *notes, *own])),
    }


def _compared(comparison: Comparison, features: Features) -> dict[str, Any]:
    """Gather the rows of the comparison, its plots and what it says.

    What to take is said unless the report is of other features, which were chosen otherwise.
    """
    frame = comparison.to_frame()
    low, high = float(frame.accuracy_low.min()), float(frame.accuracy_high.max())
    taken = comparison.recommend()
    own = taken.candidate.features.recipe == features.recipe
    other = own and taken.candidate is not comparison.best
    return {
        "verdict": comparison.verdict if own else comparison.lead_verdict,
        "taken": (taken.name, taken.accuracy) if other else None,
        "transfer": comparison.transfer_verdict,
        "best": comparison.best.name,
        "expected": comparison.best_accuracy if len(frame) > 1 else None,
        "rows": frame.to_dict("records"),
        "n_rivals": int(frame.rival.sum()),
        "scale": (low, max(high - low, 1e-9)),
        "timed": bool(np.isfinite(frame.images_per_second.astype(float)).any()),
        "forest": _chart(
            plot_forest,
            comparison,
            (6.6, forest_height(len(frame))),
            "forest",
            "Accuracy of each candidate with its interval; the numbers are those of the table",
        ),
        "chart": _chart(
            plot_comparison,
            comparison,
            (6.6, 4.0),
            "comparison",
            "Accuracy of the candidates against their speed; the numbers are those of the table",
        ),
    }


def _curve(curve: LearningCurve) -> dict[str, Any]:
    return {
        "verdict": curve.verdict,
        "rows": list(zip(curve.sizes.tolist(), curve.estimates, strict=True)),
        "double": (curve.doubled, curve.forecast(curve.doubled)),
        "chart": _chart(
            plot_learning_curve,
            curve,
            (4.8, 3.2),
            "curve",
            "Accuracy rising with the photographs a class, and its forecast; the numbers are "
            "those of the table",
        ),
    }


def _suspects(evaluation: Evaluation, album: Album, short: Short) -> dict[str, Any]:
    found = _numbered(evaluation).suspects
    classes, shown = evaluation.classes, []
    for each in found.head(_MOST_SUSPECTS).to_dict("records"):
        path = evaluation.paths[int(each["path"])]
        each |= {key: classes[int(each[key])] for key in ("label", "looks_like")}
        shown.append(each | {"thumb": album.place(path, _SIDE), "path": short(path)})
    return {
        "judged": evaluation.probabilities is not None,
        "n": len(found),
        "expected": round(found.probability_wrong.sum()),
        "rows": shown,
    }


def _numbered(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation with numbers for its paths and classes.

    For its tables: pandas takes no name that is not Unicode, and those of files need not be.
    """
    classes = np.array(evaluation.classes)
    codes = np.array([f"{number:06d}" for number in range(len(classes))])  # sorted as the classes
    changed: dict[str, Any] = {
        "paths": np.arange(len(evaluation.paths)),
        "classes": tuple(codes.tolist()),
        "y_true": codes[np.searchsorted(classes, evaluation.y_true)],
        "y_pred": codes[np.searchsorted(classes, evaluation.y_pred)],
    }
    if evaluation.known is not None:
        changed["known"] = tuple(codes[np.isin(classes, evaluation.known)].tolist())
    if isinstance(evaluation, CrossValidation):
        changed["all_predictions"] = codes[np.searchsorted(classes, evaluation.all_predictions)]
    return replace(evaluation, **changed)


def _again(features: Features, command: str) -> dict[str, Any]:
    """Gather what somebody needs who wants the same result."""
    from markupsafe import escape

    versions = []
    for name in _PACKAGES:
        try:
            versions.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            versions.append((name, "not installed"))
    recipe = features.recipe
    return {
        "command": command,
        "versions": versions,
        "recipe": None if recipe is None else escape(json.dumps(recipe.to_dict(), indent=2)),
        "fingerprint": None if recipe is None else recipe.fingerprint,
        "date": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
    }


def _chart(
    plot: Callable[..., Any], made: Any, size: tuple[float, float], name: str, description: str
) -> Any:
    """Draw a chart of so many inches for the middle of the page."""
    from markupsafe import Markup
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    with quiet_boxes():
        plot(made, figure.add_subplot())
    return Markup(inline_svg(figure, name, description, _COLORS))
