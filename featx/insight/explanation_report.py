"""The report of explanations: one HTML file with why pictures were classified as they were."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from featx.charts.overlay import Answer
from featx.evaluation.evaluation import Evaluation
from featx.files import check_writable
from featx.insight.page import write_page
from featx.insight.thumbnails import Album
from featx.insight.why import why_given, why_mistaken
from featx.paths import shortener
from featx.text import count


def write_explanation_report(
    path: str | os.PathLike[str],
    explanations: Evaluation | Sequence[Answer],
    *,
    title: str,
    command: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Write one HTML file of photographs beside what decided, that asks nothing of a network.

    Parameters
    ----------
    path : str or path
        The file to write.
    explanations : sequence of Explanation, or Evaluation
        What `ImageClassifier.explain` gave, of which 200 are shown; or an evaluation with its
        mistakes explained, as `featx.explain_mistakes` returns it: each has what spoke for the
        wrong class and for the true one side by side, on one scale of colours.
    title : str
        Its heading.
    command : str, default=""
        What to type to make the report again.
    notes : sequence of str, optional
        What else a reader should know, a sentence each.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    check_writable(path)
    album = Album()
    if isinstance(explanations, Evaluation):
        short = shortener(explanations.paths.tolist())
        why = why_mistaken(explanations, album, short)
        verdict = _mistakes(explanations, len(why["cards"]))
    else:
        short = shortener([each.path for each in explanations])
        why = why_given(explanations, album, short)
        verdict = f"{count(len(explanations), 'picture')}: what in each of them decided."
    page = {"title": title, "verdict": verdict, "why": why, "command": command, "notes": notes}
    write_page(path, "explanation.html.j2", page, album)


def _mistakes(evaluation: Evaluation, shown: int) -> str:
    """Say how many mistakes there are, and what of them is shown."""
    wrong, n = int(np.sum(evaluation.y_true != evaluation.y_pred)), len(evaluation.y_true)
    if not wrong:
        every = f"all {n:,} images are" if n > 1 else "the image is"
        return f"No mistake: {every} classified correctly."
    of = f"{wrong:,} of {count(n, 'image')} {'is' if wrong == 1 else 'are'} mistaken"
    if not shown:
        return f"{of}; none of them is there to be shown."
    some = ", "
    if shown < wrong:
        some = f"; the surest {shown} are shown, " if shown > 1 else "; the surest is shown, "
    each = "each " if shown > 1 else ""
    return f"{of}{some}{each}with what spoke for the wrong class and for the true one."
